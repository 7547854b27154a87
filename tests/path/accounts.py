"""The accounts that the default world has, by platform."""

from __future__ import annotations

from typing import Any

from yizhan.engine import Engine
from yizhan.testing import RunningSandbox

QQ_USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
QQ_GROUP = "B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5"
NAMES = {"qqbot": "qqbot.main", "webwechat": "webwechat.me"}


def settings(platform: str) -> dict[str, Any]:
    if platform == "qqbot":
        return {"app_id": "102000001", "secret": "DG5g3B4j9X2KOErG"}
    return {}


async def add_accounts(
    engine: Engine, sandbox: RunningSandbox, platforms: tuple[str, ...] = tuple(NAMES), **more: Any
) -> None:
    """Add one account per platform, pointed at the sandbox, and log in where that is needed."""
    for platform in platforms:
        name = NAMES[platform]
        await engine.add_account(name, **settings(platform), base_url=sandbox.url, **more)
        await engine.login(name, lambda step: None)
