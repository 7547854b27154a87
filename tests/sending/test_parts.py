"""A message of several parts arrives whole: it begins when there is room for all of them, and they follow closely."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.killing import kill
from tests.sending.test_path import PNG, users
from tests.sending.waiting import StillClock, rested
from yizhan.engine import Engine
from yizhan.errors import Throttled, Unsupported
from yizhan.model import Image, State
from yizhan.platforms.adapter import Limit
from yizhan.world import TurnableClock

ALICE = "fake.me/user/alice"


@pytest.fixture
def clock() -> TurnableClock:
    return StillClock()


async def test_a_message_begins_only_when_its_budget_has_room_for_all_its_parts(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("three per day", "target", "all", 3, 86400.0)]
    await engine.send(ALICE, "one")
    await engine.send(ALICE, "two")

    held = await engine.send(ALICE, "first half", "second half")
    single = await engine.send(ALICE, "three")
    clock.advance(86401)
    (sent,) = await engine.wait([held])

    assert (State.HELD, 0) == (held.state, held.parts_done)
    assert State.SENT == single.state
    assert (State.SENT, 2) == (sent.state, sent.parts_done)
    assert [f"alice {text}" for text in ("one", "two", "three", "first half", "second half")] == network.order


async def test_the_parts_of_a_paced_broadcast_arrive_together(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("five per ten seconds", "account", "all", 5, 10.0)]
    broadcast = await engine.broadcast(users(9), "news", Image(PNG, "news.png"))
    for _ in range(60):
        await rested(engine)
        clock.advance(1)

    times: dict[str, list[float]] = {}
    for at, (target, _, _) in zip(network.times, network.arrived, strict=True):
        times.setdefault(target.id, []).append(at)
    assert {State.SENT: 9} == await broadcast.counts()
    assert [0.0] * 9 == [second - first for first, second in times.values()]
    # Two messages in each window, and never the half of a third one.
    assert all(sum(at <= later < at + 9.99 for later in network.times) <= 5 for at in network.times)


async def test_a_part_that_must_wait_keeps_its_room_while_others_send(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("four per minute", "account", "all", 4, 60.0)]
    network.script = lambda target, number: (
        Throttled("slow", retry_after=5, concerns="target") if len(network.arrived) == 1 and number == 1 else None
    )
    await engine.submit(ALICE, "first", "second")
    await rested(engine)
    others = await engine.submit(users(4), "hi")
    await rested(engine)
    clock.advance(6)
    await rested(engine)

    states = [(await engine.receipt(one.delivery)).state for one in others]
    assert [State.SENT, State.SENT, State.HELD, State.HELD] == states
    assert "alice second" in network.order


async def test_the_rest_of_a_half_sent_message_goes_first_after_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.limits = lambda message, target: [Limit("three per minute", "account", "all", 3, 60.0)]
    network.script = lambda target, number: (
        Throttled("slow", retry_after=5, concerns="target")
        if target.id == "alice" and len(network.arrived) == 1 and number == 1
        else None
    )
    await engine.submit(ALICE, "first", "second", priority=50)
    await rested(engine)
    await kill(engine)
    async with await Engine.open(tmp_path / "store", clock=clock, sending=False) as other:
        await other.submit(users(6), "urgent", priority=0)
    clock.advance(61)

    async with await Engine.open(tmp_path / "store", clock=clock, concurrency=1) as again:
        await rested(again)

    assert ["alice first", "alice second"] == network.order[:2]


@pytest.mark.parametrize(
    "limit", [Limit("five answers", "target", "all", 2), Limit("a day", "target", "all", 2, 86400.0)]
)
async def test_a_message_with_more_parts_than_the_budget_ever_allows_is_refused(
    limit: Limit, engine: Engine, network: Network
) -> None:
    network.limits = lambda message, target: [limit]

    with pytest.raises(Unsupported, match=f"the message has 3 parts, and {limit.name} allows 2"):
        await engine.send(ALICE, "one", "two", "three")

    assert [] == await engine.deliveries()


async def test_a_broadcast_is_refused_as_a_whole_where_one_target_never_allows_all_its_parts(
    engine: Engine, network: Network
) -> None:
    network.limits = lambda message, target: [Limit("two", "target", "all", 2)] if target.id == "b" else []

    with pytest.raises(Unsupported, match=r"fake\.me/user/b"):
        await engine.broadcast(["fake.me/user/a", "fake.me/user/b"], "one", "two", "three")

    assert [] == await engine.deliveries()


async def test_a_receipt_tells_how_many_of_its_parts_are_sent(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: (
        Throttled("slow", retry_after=600, concerns="target") if network.arrived and number == 1 else None
    )
    (receipt,) = await engine.submit(ALICE, "one", "two")
    await rested(engine)
    half = await engine.receipt(receipt.delivery)
    clock.advance(601)
    (whole,) = await engine.wait([receipt])

    assert (1, 2, True) == (half.parts_done, half.parts, half.half_sent)
    assert (2, 2, False) == (whole.parts_done, whole.parts, whole.half_sent)
