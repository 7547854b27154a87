"""Throttling without a time waits at one target, unless others meet it; and it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import users
from tests.sending.waiting import StillClock, rested
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, Throttled
from yizhan.model import State
from yizhan.sending.decide import Policy
from yizhan.world import TurnableClock

BAD = "fake.me/user/bad"


@pytest.fixture
def clock() -> TurnableClock:
    return StillClock()


@pytest.fixture
async def engine(network: Network, clock: TurnableClock, tmp_path: Path) -> AsyncIterator[Engine]:
    policy = Policy(first_delay=10.0, longest_delay=100.0, max_throttles=4)
    async with await Engine.open(tmp_path / "store", clock=clock, policy=policy) as engine:
        await engine.add_account("fake.me")
        yield engine


async def test_one_target_that_is_always_too_fast_keeps_no_other_waiting(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: Throttled("429") if target.id == "bad" else None
    await engine.submit(BAD, "hi")
    await rested(engine)

    broadcast = await engine.broadcast(users(50), "news")

    # Time stands still, so none of them has waited.
    assert {State.SENT: 50} == await broadcast.wait()


async def test_a_target_that_alone_is_always_too_fast_fails_in_the_end(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: Throttled("429") if target.id == "bad" else None
    (receipt,) = await engine.submit(BAD, "hi")
    for _ in range(4):
        await rested(engine)
        clock.advance(101)

    with pytest.raises(DeliveryFailed, match="this target alone was refused 4 times for being too fast"):
        await engine.wait([receipt])
    assert 4 == network.tries["bad:hi"]


async def test_an_account_slows_down_when_other_targets_are_too_fast_as_well(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: Throttled("429") if number == 1 else None
    for target in ("a", "b"):
        await engine.submit(f"fake.me/user/{target}", "hi")
        await rested(engine)
    (third,) = await engine.submit("fake.me/user/c", "hi")
    await rested(engine)
    slowed = "c:hi" not in network.tries
    for _ in range(3):
        clock.advance(101)
        await rested(engine)

    assert slowed
    assert State.SENT == (await engine.receipt(third.delivery)).state
    assert 3 == len(network.arrived)


async def test_a_delivery_never_fails_while_the_whole_account_is_too_fast(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    slow = True
    network.script = lambda target, number: Throttled("429") if slow else None
    receipts = await engine.submit(users(3), "hi")
    for _ in range(12):
        await rested(engine)
        clock.advance(101)
    await rested(engine)
    states = {receipt.state for receipt in await engine.deliveries()}
    slow = False
    clock.advance(101)
    done = await engine.wait(receipts)

    assert {State.QUEUED} == states
    assert {State.SENT} == {receipt.state for receipt in done}


async def test_a_time_that_the_platform_gives_is_kept_by_the_whole_account(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: Throttled("slow", retry_after=30) if target.id == "bad" else None
    await engine.submit(BAD, "hi")
    await rested(engine)
    (other,) = await engine.submit("fake.me/user/other", "hi")
    await rested(engine)
    waited = not network.arrived
    clock.advance(31)
    (done,) = await engine.wait([other])

    assert waited
    assert State.SENT == done.state
