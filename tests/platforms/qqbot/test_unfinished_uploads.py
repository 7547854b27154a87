"""An interrupted upload in chunks continues with the missing parts."""

from __future__ import annotations

import pytest

from tests.platforms.qqbot.support import TO_GROUP, TO_USER, USER, adapter_for, media_of
from tests.support import MemoryStateStore, Served, serve
from yizhan.errors import Rejected, Unavailable
from yizhan.http.router import Exchange
from yizhan.model import BytesContent, File, Message, Target
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Adapter
from yizhan.platforms.qqbot.client.unfinished_uploads import (
    UnfinishedUpload,
    UnfinishedUploads,
)
from yizhan.platforms.qqbot.wire.files import UploadConfig
from yizhan.wire import HttpResponse
from yizhan.world import TurnableClock

CHUNKED = {"limits": False, "files.inline_max_bytes": 10, "chunks.block_bytes": 1000, "chunks.retry_delay": 0}
DATA = bytes(range(256)) * 14
PAPER = Message((File(media_of(DATA, "file", "bin", "报告.bin")),))


class CutOff:
    """A storage that accepts a number of parts and then fails until it is repaired."""

    def __init__(self, served: Served, takes: int) -> None:
        self.left = takes
        served.before = self.before  # type: ignore[method-assign]

    async def before(self, exchange: Exchange) -> HttpResponse | None:
        if exchange.endpoint != "putPart":
            return None
        self.left -= 1
        return None if self.left >= 0 else HttpResponse(503, (), b"busy")


async def place(adapter: Adapter, target: Target = TO_USER, progress: list[int] | None = None) -> str:
    (part,) = adapter.compose(PAPER, target)
    told = progress if progress is not None else []
    return (await adapter.upload(part.needs[0], BytesContent(DATA), target, told.append)).token


async def cut_off(served: Served, state_store: MemoryStateStore, takes: int) -> CutOff:
    """Begin an upload that ends after `takes` parts, as if the program had been killed there."""
    storage = CutOff(served, takes)
    adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
    with pytest.raises(Unavailable):
        await place(adapter)
    await adapter.close()
    storage.left = 1000
    return storage


def taken(served: Served, endpoint: str) -> int:
    """Return how often a call was made."""
    done = [e.response.status for e in served.exchanges if e.endpoint == endpoint and e.response]
    return done.count(200)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_only_missing_parts_are_put_again(concurrency: int) -> None:
    async with serve(PLATFORM, rules={**CHUNKED, "chunks.concurrency": concurrency}) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 2)

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        told: list[int] = []
        token = await place(adapter, progress=told)

        assert [1, 4, 4, 1] == [
            taken(served, name) for name in ("prepareForUser", "putPart", "finishPartForUser", "uploadToUser")
        ]
        assert DATA == served.server.files.find(token, "user").blob.read()  # type: ignore[attr-defined]
        assert len(DATA) == sum(told)
        assert None is state_store.get("uploads")
        await adapter.close()


async def test_a_continued_upload_keeps_the_target_under_which_it_began() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 3)
        (other,) = served.server.people("user", 1)

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        await place(adapter, Target("qqbot.main", "user", other))

        finished = {e.http.path for e in served.exchanges if e.endpoint == "finishPartForUser"}
        assert {f"/v2/users/{USER}/upload_part_finish"} == finished
        assert (1, 4) == (taken(served, "prepareForUser"), taken(served, "putPart"))
        await adapter.close()


async def test_an_upload_of_one_scope_is_not_continued_in_the_other() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 2)

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        await place(adapter, TO_GROUP)

        assert (1, 6) == (taken(served, "prepareForGroup"), taken(served, "putPart"))
        await adapter.close()


async def test_an_upload_that_the_platform_no_longer_knows_begins_anew() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 2)
        served.server.chunks.reset()  # type: ignore[attr-defined]

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        token = await place(adapter)

        assert (2, 6) == (taken(served, "prepareForUser"), taken(served, "putPart"))
        assert DATA == served.server.files.find(token, "user").blob.read()  # type: ignore[attr-defined]
        await adapter.close()


async def test_an_upload_that_is_two_hours_old_begins_anew() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 2)
        served.world.clock.advance(2 * 3600)

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        await place(adapter)

        assert (2, 6) == (taken(served, "prepareForUser"), taken(served, "putPart"))
        await adapter.close()


async def test_an_upload_that_is_nearly_two_hours_old_is_continued() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:
        state_store = MemoryStateStore()
        await cut_off(served, state_store, 2)
        served.world.clock.advance(2 * 3600 - 60)

        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)
        await place(adapter)

        assert 1 == taken(served, "prepareForUser")
        await adapter.close()


async def test_a_refused_upload_is_not_continued() -> None:
    async with serve(PLATFORM, rules=CHUNKED) as served:

        async def refuse(exchange: Exchange) -> HttpResponse | None:
            return HttpResponse(403, (), b"AccessDenied") if exchange.endpoint == "putPart" else None

        served.before = refuse  # type: ignore[method-assign]
        state_store = MemoryStateStore()
        adapter = adapter_for(served, rules=CHUNKED, state_store=state_store)

        with pytest.raises(Rejected, match="403"):
            await place(adapter)
        assert None is state_store.get("uploads")
        await adapter.close()


async def test_a_limited_number_of_uploads_is_stored_and_a_broken_store_counts_as_empty() -> None:
    state_store, clock = MemoryStateStore(), TurnableClock()
    uploads = UnfinishedUploads(state_store, clock)
    for number in range(16 + 3):
        await uploads.add(UnfinishedUpload(f"k{number}", "o", f"u{number}", [], UploadConfig(), clock.now()))

    again = UnfinishedUploads(state_store, clock)
    assert None is again.find("k2")
    assert "u3" == getattr(again.find("k3"), "upload_id", "")
    await state_store.put("uploads", b"[{]")
    assert None is UnfinishedUploads(state_store, clock).find("k3")
