"""Published web WeChat clients, unmodified, against the sandbox."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import pytest

from tests.wild.envs import DRIVERS, Driver, drive, node_env, python_env
from yizhan.testing import RunningSandbox

pytestmark = [pytest.mark.wild, pytest.mark.timeout(900)]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check(sandbox: RunningSandbox, driver: Driver, media: Path) -> None:
    by_id = {post.message_id: post for post in sandbox.posts(platform="webwechat")}
    assert by_id[driver.reports["text"]].recalled
    assert "Alice" == by_id[driver.reports["text"]].target
    for name, file in (("image", "picture.png"), ("video", "clip.mp4"), ("file", "report.pdf"), ("big", "big.bin")):
        post = by_id[driver.reports[name]]
        assert post.blob is not None
        assert sha256(media / file) == post.blob.sha256, name
    assert "filehelper" == by_id[driver.reports["big"]].target
    assert ["Alice", "Bob"] == [by_id[one].target for one in driver.reports["twice"]]
    assert "you said ping" in [post.text for post in by_id.values()]


async def test_itchat_uos_logs_in_sends_everything_and_answers(sandbox: RunningSandbox, media: Path) -> None:
    python = await asyncio.to_thread(python_env, "itchat-uos")
    async with drive([str(python), str(DRIVERS / "itchat_uos.py")], sandbox.url, media, MEDIA=str(media)) as driver:
        await driver.report("ready")
        await asyncio.to_thread(sandbox.say, "webwechat", "wxid_alice", "ping")
        await driver.report("answered")

    check(sandbox, driver, media)
    assert 1 <= driver.reports["rooms"]
    assert "hello room" in [post.text for post in sandbox.posts(platform="webwechat", target="产品群")]


async def test_wechat4u_logs_in_sends_everything_and_answers(sandbox: RunningSandbox, media: Path) -> None:
    folder = await asyncio.to_thread(node_env, "wechat4u", ["wechat4u@0.7.14"])
    shutil.copy(DRIVERS / "wechat4u.js", folder / "driver.js")
    async with drive(["node", "driver.js"], sandbox.url, folder, MEDIA=str(media)) as driver:
        await driver.report("ready")
        await asyncio.to_thread(sandbox.say, "webwechat", "wxid_alice", "ping")
        await driver.report("answered")

    check(sandbox, driver, media)
    assert "报告.pdf" == next(p.name for p in sandbox.posts(platform="webwechat", kind="file") if p.target == "Alice")
