"""The shelf of handles, with many at it at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.sending.fake import Network
from tests.sending.test_path import PNG
from tests.support import until
from yizhan.engine import Engine
from yizhan.model import Image, Media, State, Target
from yizhan.platforms.adapter import MediaNeed
from yizhan.world import TurnableClock

ALICE = Target("fake.me", "user", "alice")


async def need_of(engine: Engine) -> MediaNeed:
    media: Media = await engine.upload(PNG)
    return MediaNeed(media, "user", "image")


async def test_a_refused_handle_is_not_read_back_from_the_store(engine: Engine, network: Network) -> None:
    need, adapter = await need_of(engine), await engine.adapter("fake.me")
    refused = await engine.handles.place("fake.me", need, ALICE, adapter)

    _, fresh = await asyncio.gather(
        engine.handles.drop("fake.me", need, refused), engine.handles.place("fake.me", need, ALICE, adapter)
    )

    assert refused.token != fresh.token


async def test_a_late_refusal_of_the_old_handle_leaves_the_new_one_in_the_store(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    need, adapter = await need_of(engine), await engine.adapter("fake.me")
    refused = await engine.handles.place("fake.me", need, ALICE, adapter)
    await engine.handles.drop("fake.me", need, refused)
    network.upload_gate = asyncio.Event()
    placing = asyncio.create_task(engine.handles.place("fake.me", need, ALICE, adapter))
    await until(lambda: len(network.uploads) == 2)
    network.upload_gate.set()
    late = asyncio.create_task(engine.handles.drop("fake.me", need, refused))
    await asyncio.gather(placing, late)
    await engine.handles.drop("fake.me", need, refused)
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        await again.send(ALICE, Image(PNG))

    assert 2 == len(network.uploads)


async def test_an_upload_continues_for_the_other_callers_when_the_first_is_cancelled(
    engine: Engine, network: Network
) -> None:
    network.upload_gate = asyncio.Event()
    await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: network.uploads)
    (second,) = await engine.submit("fake.me/user/b", Image(PNG))
    lane = engine.supervisor.worker.lanes["fake.me"]
    await until(lambda: {1, 2} == set(lane.under_way))
    lane._active[1].cancel()
    await until(lambda: {2} == set(lane.under_way))

    network.upload_gate.set()
    (second,) = await engine.wait([second])

    assert State.SENT == second.state
    assert 1 == len(network.uploads)


async def test_a_listener_to_uploads_that_fails_stops_no_upload(engine: Engine, network: Network) -> None:
    def listener(account: str, need: MediaNeed, count: int) -> None:
        raise ZeroDivisionError("mine")

    engine.handles.on_bytes = listener
    network.tells_progress = True

    receipt = await engine.send(ALICE, Image(PNG))

    assert State.SENT == receipt.state


async def test_expired_handles_are_removed_from_the_store(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.handle_ends = 300
    await engine.send(ALICE, Image(PNG))
    network.handle_ends = None
    await engine.send("fake.me/group/g", Image(PNG))
    clock.advance(301)

    assert 1 == await engine.handles.tidy()

    assert ["group"] == [row["scope"] for row in await engine.handles.rows()]
