"""Windows and quotas: through restarts, in doubt, and who goes first when they open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.killing import kill
from tests.sending.test_path import users
from tests.sending.waiting import StillClock, rested
from tests.support import PATIENCE, until
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, OutcomeUnknown
from yizhan.model import State, Target
from yizhan.platforms.adapter import Limit
from yizhan.sending.delivery import Delivery, Progress
from yizhan.world import TurnableClock

DAY = 86400.0


@pytest.fixture
def clock() -> TurnableClock:
    return StillClock()


async def test_a_quota_of_a_month_survives_a_restart_after_days(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.limits = lambda message, target: [Limit("one per month", "target", "active", 1, 30 * DAY)]
    await engine.send("fake.me/user/a", "hi")
    await engine.close()
    clock.advance(3 * DAY)

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        receipt = await again.send("fake.me/user/a", "hi")

    assert State.HELD == receipt.state


async def test_a_part_in_doubt_counts_after_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.limits = lambda message, target: [Limit("two per day", "target", "active", 2, DAY)]
    network.late = lambda: 60.0 if len(network.arrived) == 2 else 0.0
    await engine.submit("fake.me/user/a", "one", "two")
    await until(lambda: len(network.arrived) == 2)
    await kill(engine)

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        receipt = await again.send("fake.me/user/a", "three")

    assert State.HELD == receipt.state


async def test_a_resend_still_counts_after_the_next_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.repeatable = True
    network.limits = lambda message, target: [Limit("one per day", "target", "active", 1, DAY)]
    network.late = lambda: 60.0
    await engine.submit("fake.me/user/a", "hi")
    await until(lambda: len(network.arrived) == 1)
    await kill(engine)
    network.recognise = lambda known: known
    async with await Engine.open(tmp_path / "store", clock=clock) as second:
        await second.wait(await second.deliveries())

    async with await Engine.open(tmp_path / "store", clock=clock) as third:
        receipt = await third.send("fake.me/user/a", "more")

    assert State.HELD == receipt.state
    assert 1 == len(network.arrived)


async def test_a_single_send_does_not_wait_behind_a_broadcast_that_is_held_for_days(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("ten per day", "account", "active", 10, DAY)]
    await (await engine.broadcast(users(200), "news")).wait()

    receipt = await engine.send("fake.me/user/vip", "for you")
    clock.advance(DAY + 1)
    (receipt,) = await engine.wait([receipt], until_held=False)

    assert State.SENT == receipt.state


async def test_waiting_for_a_broadcast_waits_out_the_pace_of_its_platform(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("five per second", "account", "active", 5, 1.0)]
    broadcast = await engine.broadcast(users(20), "news")
    waiting = asyncio.create_task(broadcast.wait())
    of_some = asyncio.create_task(engine.wait(await broadcast.receipts()))
    await until(lambda: len(network.arrived) == 5)
    await rested(engine)
    assert (5, False, False) == (len(network.arrived), waiting.done(), of_some.done())

    async with asyncio.timeout(PATIENCE):
        while not (waiting.done() and of_some.done()):
            # Those in line have places of their own in the seconds that come.
            clock.advance(0.1)
            await asyncio.sleep(0.002)

    assert {State.SENT: 20} == await asyncio.wait_for(waiting, PATIENCE)
    assert {State.SENT} == {receipt.state for receipt in await asyncio.wait_for(of_some, PATIENCE)}


async def test_waiting_for_a_broadcast_does_not_wait_for_a_window_of_hours(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("five per hour", "account", "active", 5, 3600.0)]
    broadcast = await engine.broadcast(users(20), "news")

    assert {State.SENT: 5, State.HELD: 15} == await asyncio.wait_for(broadcast.wait(), PATIENCE)


async def test_the_rest_of_a_cancelled_broadcast_moves_up(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("ten per day", "account", "active", 10, DAY)]
    broadcast = await engine.broadcast(users(200), "news")
    await broadcast.wait()
    held = await broadcast.receipts([State.HELD])

    await engine.cancel(held[:-2])
    await engine.wait(held[-2:])
    clock.advance(DAY + DAY / 5)
    done = await engine.wait(held[-2:], until_held=False)

    assert [State.SENT, State.SENT] == [receipt.state for receipt in done]


async def test_a_plan_reserves_no_slot(engine: Engine, network: Network, clock: TurnableClock) -> None:
    network.limits = lambda message, target: [Limit("one per day", "account", "active", 1, DAY)]
    await engine.send("fake.me/user/a", "hi")

    plans = [plan for _ in range(5) for plan in await engine.plan("fake.me/user/b", "hi")]
    broadcast = await engine.broadcast(users(2), "news")
    await broadcast.wait()

    assert 1 == len({plan.opens_at for plan in plans})
    assert plans[0].opens_at == min(receipt.due_at for receipt in await broadcast.receipts())


async def test_a_send_that_failed_before_it_left_counts_against_no_budget_after_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.limits = lambda message, target: [Limit("one per day", "target", "active", 1, DAY)]
    network.script = lambda target, number: OutcomeUnknown("cut") if "a:more" not in network.tries else None
    with pytest.raises(DeliveryFailed):
        await engine.send("fake.me/user/a", "hi")
    await engine.settle("d1", as_="lost")
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        receipt = await again.send("fake.me/user/a", "more")

    assert State.SENT == receipt.state


ANN = Target("fake.me", "user", "ann")


def closed_window(network: Network) -> list[int]:
    """Close every window; the returned list holds the number of sends that is allowed."""
    allowed = [0]
    network.limits = lambda message, target: [Limit("when asked", "target", "any", allowed[0])]
    return allowed


async def test_a_delivery_held_while_the_other_side_writes_is_sent_at_once_and_first(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, settle = closed_window(network), engine.supervisor.outbox.settle

    async def written_to_meanwhile(job: Delivery, end: Progress) -> None:
        if end.state is State.HELD and not allowed[0]:
            # The event is stored first, and lets go what is behind this one alone.
            allowed[0] = 9
            await engine.supervisor.outbox.release_target(ANN)
        await settle(job, end)

    monkeypatch.setattr(engine.supervisor.outbox, "settle", written_to_meanwhile)
    heard: list[State] = []
    engine.on_settled(lambda target, state: heard.append(state))
    receipts = [*await engine.submit(ANN, "one"), *await engine.submit(ANN, "two")]

    done = await engine.wait(receipts, until_held=False)

    assert {State.SENT} == {receipt.state for receipt in done}
    assert ["ann one", "ann two"] == network.order
    assert State.HELD not in heard


async def test_the_delivery_held_first_goes_first_although_a_later_one_sees_the_open_window_sooner(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, settle = closed_window(network), engine.supervisor.outbox.settle

    async def then_written_to(job: Delivery, end: Progress) -> None:
        await settle(job, end)
        # The context of what is coming in is known before the store lets go of what it holds.
        allowed[0] = 9

    monkeypatch.setattr(engine.supervisor.outbox, "settle", then_written_to)
    receipts = [receipt for text in ("one", "two", "three") for receipt in await engine.submit(ANN, text)]

    done = await engine.wait(receipts, until_held=False)

    assert {State.SENT} == {receipt.state for receipt in done}
    assert ["ann one", "ann two", "ann three"] == network.order
