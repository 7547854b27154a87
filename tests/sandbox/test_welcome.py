"""The first words of a sandbox: its accounts can be added, its people written to, and its call made as it stands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import aiohttp
import pytest

from yizhan.engine import Engine
from yizhan.errors import ConfigError
from yizhan.sandbox.welcome import Welcome, welcome
from yizhan.testing import RunningSandbox


async def test_every_account_is_added_and_every_target_written_to_as_it_is_said(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    known = welcome(sandbox.url)

    async with await Engine.open(tmp_path / "store", clock=sandbox.clock) as engine:
        for name, settings in known.accounts.items():
            await engine.add_account(name, **settings)
        for name in known.logins:
            await engine.login(name, lambda step: None)
        targets = [target for some in known.targets.values() for target in some]
        receipts = [await engine.send(target, "hello") for target in targets]

    assert {"ilink.me", "ohwxapi.me", "qqbot.me", "webwechat.me", "wechatsdk.me", "wecom.me"} == known.accounts.keys()
    assert known.accounts.keys() - {"ilink.me"} == known.targets.keys()
    assert ["sent"] * len(targets) == [receipt.state for receipt in receipts]


@pytest.mark.parametrize("served", [None, ["qqbot"], ["webwechat", "wechatsdk"]])
async def test_the_first_call_is_answered_and_seen(sandbox: RunningSandbox, served: list[str] | None) -> None:
    known = welcome(sandbox.url, served)
    _, address, *_, data = shlex.split(known.curl)

    async with aiohttp.ClientSession() as session, session.post(address, json=json.loads(data)) as answer:
        status, body = answer.status, await answer.json()

    assert 200 == status
    assert "message_id" in body or {"errcode": 0, "errmsg": "ok"} == body
    assert served is None or {f"{name}.me" for name in served} == known.accounts.keys()


def test_only_platforms_that_are_served_are_named() -> None:
    known: Welcome = welcome("http://127.0.0.1:1", ["ilink"])

    assert (["ilink.me"], {}, "curl http://127.0.0.1:1/_sandbox/posts") == (
        list(known.accounts),
        known.targets,
        known.curl,
    )


def test_a_world_of_ones_own_is_named(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text('[[wechat.people]]\nid = "wxid_x"\nname = "Xi"\nremark = "小西"\n')

    known = welcome("http://127.0.0.1:1", ["webwechat", "wechatsdk"], file)

    assert {"webwechat.me": ["webwechat.me/user/小西"], "wechatsdk.me": ["wechatsdk.me/user/wxid_x"]} == known.targets
    with pytest.raises(ConfigError, match="not a world file"):
        welcome("http://127.0.0.1:1", None, tmp_path / "none.toml")
