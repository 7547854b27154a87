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

    (post,) = sandbox.posts(platform="wecom")
    answers = [request.status for request in sandbox.requests("send")]
    assert driver.reports["sent"]
    assert ("me", "Backup\r\n备份完成：3 个文件") == (post.target, post.text)
    # Apprise sends 5,200 bytes in one message, which the platform refuses under HTTP 200, and reads the status alone.
    assert [200, 200] == answers == [request.status for request in sandbox.requests()]
    assert driver.reports["long"]
