"""A program killed in the middle of a large upload goes on from the parts that are done."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.path.accounts import settings
from tests.path.files import pdf
from yizhan.testing import RunningSandbox

PARTS = 60


@pytest.mark.crash
async def test_an_upload_killed_twice_puts_hardly_a_part_again(sandbox: RunningSandbox, tmp_path: Path) -> None:
    paper = pdf(PARTS * 20_000)
    (tmp_path / "paper.pdf").write_bytes(paper)
    sandbox.rules("qqbot", limits=False, set={"chunks.block_bytes": 20_000, "chunks.concurrency": 2})
    sandbox.chaos("putPart", delay=0.02)
    account = {**settings("qqbot"), "base_url": sandbox.url}
    account["rules"] = {"limits": False, "files.inline_max_bytes": 1000}
    targets = sandbox.users(1)
    (tmp_path / "plan.json").write_text(json.dumps({"accounts": {"qqbot.main": account}, "targets": targets}))

    for confirmed in (15, 35, None):
        await _run(sandbox, tmp_path, confirmed)

    parts = -(-len(paper) // 20_000)
    (post,) = sandbox.posts(targets[0])
    assert post.blob is not None
    assert paper == post.blob.read()
    assert 1 == sandbox.calls("prepareForUser")
    # At most what was on its way at each kill, and what was confirmed but not written down yet.
    assert parts <= sandbox.calls("putPart") <= parts + 2 * 6


async def _run(sandbox: RunningSandbox, folder: Path, until: int | None) -> None:
    """Run the child until it is done, or kill it once so many parts are confirmed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.child", str(folder), stdout=asyncio.subprocess.PIPE
    )
    ended = asyncio.ensure_future(process.communicate())
    while not ended.done():
        if until is not None and sandbox.calls("finishPartForUser") >= until:
            process.kill()
            break
        await asyncio.wait([ended], timeout=0.02)
    said, _ = await ended
    assert (until is None) == (b"DONE" in said), "the child ended by itself"
