"""A program killed in the middle of a large upload continues after the finished parts."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.running import start_child
from tests.end_to_end.files import pdf
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.http.router import Call, Handler
from yizhan.platforms.qqbot.client.unfinished_uploads import UnfinishedUploads
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

PARTS = 60
PART_BYTES = 20_000
AT_ONCE = 2


class Storage:
    """The platform's storage, which takes only so many parts; the others wait."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.room = 0
        self.run = 0
        for routes in sandbox.sandbox.server("qqbot").router.routes.values():
            for index, (endpoint, handler) in enumerate(routes):
                if endpoint.name == "putPart":
                    routes[index] = endpoint, self._through(handler)

    def _through(self, handler: Handler) -> Handler:
        async def put(call: Call[Any]) -> Any:
            run = self.run
            while not self.room and run == self.run:  # noqa: ASYNC110  (the room is made on another loop)
                await asyncio.sleep(0.002)
            if run == self.run:
                self.room -= 1
            return await handler(call)

        return put


@pytest.mark.crash
async def test_an_upload_killed_twice_resends_only_the_parts_in_flight(sandbox: RunningSandbox, tmp_path: Path) -> None:
    paper = pdf(PARTS * PART_BYTES)
    (tmp_path / "paper.pdf").write_bytes(paper)
    sandbox.rules("qqbot", limits=False, set={"chunks.block_bytes": PART_BYTES, "chunks.concurrency": AT_ONCE})
    account = {**platform_named("qqbot").sandbox_settings, "base_url": sandbox.url}
    account["rules"] = {"limits": False, "files.inline_max_bytes": 1000}
    targets = sandbox.users(1)
    (tmp_path / "plan.json").write_text(json.dumps({"accounts": {"qqbot.main": account}, "targets": targets}))
    storage = Storage(sandbox)

    for run, noted in ((1, 15), (2, 35)):
        storage.run, storage.room = run, 15 if run == 1 else 20
        child = await start_child(tmp_path)
        async with asyncio.timeout(PATIENCE):
            while child.returncode is None and noted > await _noted(tmp_path / "store"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        child.kill()
        assert -signal.SIGKILL == await child.wait()
    storage.run, storage.room = 3, PARTS
    assert 0 == await (await start_child(tmp_path)).wait()

    parts = -(-len(paper) // PART_BYTES)
    (post,) = sandbox.posts(targets[0])
    assert post.blob is not None
    assert paper == post.blob.read()
    assert 1 == sandbox.calls("prepareForUser")
    # Only parts that were in flight at a kill are sent again.
    assert parts <= sandbox.calls("putPart") <= parts + 2 * AT_ONCE


async def _noted(store: Path) -> int:
    """Return how many parts are known to be done, as a program that starts now would find them."""
    async with await Engine.open(store, sending=False) as engine:
        if "qqbot.main" not in await engine.accounts():
            return 0
        adapter: Any = await engine.adapter("qqbot.main")
        uploads: UnfinishedUploads = adapter._uploads
        return sum(len(upload.done) for upload in uploads._uploads.values())
