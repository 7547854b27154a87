"""The accounts that the default world has, by platform."""

from __future__ import annotations

from typing import Any

from yizhan.engine import Engine
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

QQ_USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
QQ_GROUP = "B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5"
ROOM = "10001@chatroom"
NAMES = {"qqbot": "qqbot.main", "webwechat": "webwechat.me"}
ALL = {**NAMES, "wechatsdk": "wechatsdk.main", "ohwxapi": "ohwxapi.main", "ilink": "ilink.main"}


async def add_accounts(
    engine: Engine, sandbox: RunningSandbox, platforms: tuple[str, ...] = tuple(NAMES), **more: Any
) -> None:
    """Add one account per platform, pointed at the sandbox, and log in where that is needed."""
    for platform in platforms:
        name = ALL[platform]
        await engine.add_account(name, **platform_named(platform).sandbox_settings, base_url=sandbox.url, **more)
        await engine.login(name, lambda step: None)


async def person_of(engine: Engine, platform: str) -> str:
    """Return a person whom the account can write to, as a target; for iLink the person who scanned the code."""
    if platform == "ilink":
        adapter: Any = await engine.adapter(ALL[platform])
        return f"{ALL[platform]}/user/{adapter.calls.session.user_id}"
    return f"{ALL[platform]}/user/{_PEOPLE[platform]}"


def group_of(platform: str) -> str:
    """Return a group that the platform's account is in, as a target; empty where there are none."""
    return f"{ALL[platform]}/group/{_GROUPS[platform]}" if platform in _GROUPS else ""


_PEOPLE = {"qqbot": QQ_USER, "webwechat": "Alice", "wechatsdk": "wxid_alice", "ohwxapi": "wxid_alice"}
_GROUPS = {"qqbot": QQ_GROUP, "webwechat": "产品群", "wechatsdk": ROOM, "ohwxapi": ROOM}
