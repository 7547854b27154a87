"""A published client of WeCom group robots, unmodified, against the sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wild.envs import DRIVERS, drive, python_env
from yizhan.platforms.wecom import PLATFORM
from yizhan.testing import RunningSandbox

pytestmark = [pytest.mark.wild, pytest.mark.timeout(900)]


async def test_apprise_posts_to_the_group(sandbox: RunningSandbox, tmp_path: Path) -> None:
    python = await asyncio.to_thread(python_env, "apprise")
    command = [str(python), str(DRIVERS / "apprise_wecom.py")]
    async with drive(command, sandbox.url, tmp_path, KEY=PLATFORM.sandbox_settings["key"]) as driver:
        await driver.report("done")

    posts = sandbox.posts(platform="wecom")
    assert driver.reports["sent"]
    assert ["me"] * len(posts) == [post.target for post in posts]
    assert "备份完成：3 个文件" in posts[0].text
    assert 400 == sum(post.text.count("line of text") for post in posts[1:]) or len(posts) == 1
    assert {"send"} == {request.endpoint for request in sandbox.requests()}
