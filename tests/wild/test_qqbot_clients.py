"""Published QQ bot clients, as they come, against the sandbox."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.end_to_end.accounts import QQ_GROUP, QQ_USER
from tests.wild.envs import DRIVERS, drive, python_env
from yizhan.testing import RunningSandbox

pytestmark = [pytest.mark.wild, pytest.mark.timeout(900)]

QQ_CHANNEL = "1000001"
IDENTITY = {
    "APP_ID": "102000001",
    "SECRET": "DG5g3B4j9X2KOErG",
    "USER_OPENID": QQ_USER,
    "GROUP_OPENID": QQ_GROUP,
    "CHANNEL": QQ_CHANNEL,
}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def test_nonebot_adapter_qq_sends_everything_and_answers(sandbox: RunningSandbox, media: Path) -> None:
    python = await asyncio.to_thread(python_env, "nonebot-adapter-qq")
    command = [str(python), str(DRIVERS / "nonebot_qq.py")]
    async with drive(command, sandbox.url, media, MEDIA=str(media), **IDENTITY) as driver:
        await driver.report("ready")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "ping")
        await driver.report("answered 1")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "pong", to=QQ_GROUP)
        await driver.report("answered 2")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "pang", to=QQ_CHANNEL)
        await driver.report("answered 3")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "peng", to="dm")
        await driver.report("answered 4")

    posts = sandbox.posts(platform="qqbot")
    by_id = {post.message_id: post for post in posts}
    assert by_id[driver.reports["text"]].recalled
    assert sha256(media / "picture.png") == by_id[driver.reports["image"]].blob.sha256  # type: ignore[union-attr]
    assert sha256(media / "clip.mp4") == by_id[driver.reports["video"]].blob.sha256  # type: ignore[union-attr]
    assert sha256(media / "big.bin") == by_id[driver.reports["big"]].blob.sha256  # type: ignore[union-attr]
    assert "file" == by_id[driver.reports["file"]].kind
    assert 2 == len({by_id[one].message_id for one in driver.reports["twice"]})
    assert "ActionFailed" in driver.reports["refused"]
    texts = [post.text for post in posts]
    assert texts.count("and again") == 4
    assert {"you said ping", "you said pong", "you said pang", "you said peng"} <= set(texts)
    for one in ("channel", "dm"):
        assert sha256(media / "picture.png") == by_id[driver.reports[one]].blob.sha256  # type: ignore[union-attr]
    assert ("in a channel", True) == (by_id[driver.reports["channel"]].text, by_id[driver.reports["channel"]].recalled)


async def test_qq_botpy_sends_everything_and_answers(sandbox: RunningSandbox, media: Path, files: str) -> None:
    python = await asyncio.to_thread(python_env, "qq-botpy")
    command = [str(python), str(DRIVERS / "botpy_qq.py")]
    async with drive(command, sandbox.url, media, FILES=files, **IDENTITY) as driver:
        await driver.report("ready")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "ping")
        await driver.report("answered user")
        await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "pong", to=QQ_GROUP)
        await driver.report("answered group")

    by_id = {post.message_id: post for post in sandbox.posts(platform="qqbot")}
    assert by_id[driver.reports["text"]].recalled
    assert "hello again, same msg_seq" == by_id[driver.reports["again"]].text
    for one in driver.reports["twice"]:
        assert sha256(media / "picture.png") == by_id[one].blob.sha256  # type: ignore[union-attr]
    assert sha256(media / "clip.mp4") == by_id[driver.reports["video"]].blob.sha256  # type: ignore[union-attr]
    assert "you said ping" == by_id[driver.reports["answered user"]].text
    assert ["group said pong", "second answer"] == [by_id[one].text for one in driver.reports["answered group"]]
