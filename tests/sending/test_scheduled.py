"""A scheduled delivery leaves at its time, once, and not before."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import users
from tests.sending.waiting import answers_of, rested
from tests.support import until
from yizhan.accounts.status import ACTIVE, Paused
from yizhan.engine import Engine
from yizhan.errors import Refused
from yizhan.model import State, Target, message_of
from yizhan.sending.delivery import SINGLE, Submission
from yizhan.world import TurnableClock

HOUR = 3600.0
ANN = "fake.me/user/ann"


async def test_a_scheduled_delivery_is_held_until_its_time_and_sent_then(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    at = clock.now() + HOUR

    receipt = await engine.send(ANN, "later", at=at)
    await engine.send(ANN, "now")
    clock.advance(HOUR + 1)
    await until(lambda: len(network.order) == 2)

    assert (State.HELD, at, "Held until its time.") == (receipt.state, receipt.due_at, receipt.detail)
    assert ["ann now", "ann later"] == network.order


async def test_the_time_may_be_a_datetime_and_the_present_one_is_now(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    held = await engine.send(ANN, "later", at=datetime.fromtimestamp(clock.now() + HOUR, UTC))
    sent = await engine.send(ANN, "at once", at=clock.now() - 1)

    assert (State.HELD, State.SENT) == (held.state, sent.state)


async def test_a_time_that_has_passed_is_refused_with_the_remedy(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    with pytest.raises(Refused, match=r"passed 3,\d00 seconds ago\. Leave `at` out to send now"):
        await engine.send(ANN, "late", at=clock.now() - HOUR)

    assert [] == await engine.deliveries()


async def test_a_call_that_is_repeated_after_its_time_finds_its_delivery(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    at = clock.now() + HOUR
    first = await engine.send(ANN, "later", at=at, key="once")
    clock.advance(2 * HOUR)
    again = await engine.send(ANN, "later", at=at, key="once")

    assert first.delivery == again.delivery
    assert ["ann later"] == network.order


async def test_a_broadcast_waits_in_the_store_over_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    broadcast = await engine.broadcast(users(100), "news", at=clock.now() + HOUR)
    counts = await broadcast.wait(30)
    await engine.close()
    clock.advance(HOUR + 1)

    async with await Engine.open(tmp_path / "store", clock=clock):
        await until(lambda: len(network.order) == 100)

    assert {State.HELD: 100} == counts


async def test_a_message_from_the_other_side_does_not_release_a_scheduled_delivery(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    receipt = await engine.send(ANN, "later", at=clock.now() + HOUR)
    assert 0 == await engine.supervisor.outbox.release_target(Target.parse(ANN))
    await engine.supervisor.worker.wake("fake.me")
    await engine.send("fake.me/user/other", "behind it")

    assert ["other behind it"] == network.order
    assert State.HELD == (await engine.receipt(receipt.delivery)).state
    clock.advance(HOUR + 1)
    await until(lambda: "ann later" in network.order)


async def test_a_clock_that_is_set_back_does_not_release_a_scheduled_delivery(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    receipt = await engine.send(ANN, "later", at=clock.now() + HOUR)
    statuses = engine.supervisor.statuses
    statuses.set("fake.me", Paused("nobody is logged in"))
    clock.advance(HOUR + 1)
    await rested(engine)
    assert State.QUEUED is (await engine.receipt(receipt.delivery)).state

    clock.advance(-HOUR)
    statuses.set("fake.me", ACTIVE)
    await rested(engine)

    assert [] == network.order
    assert State.HELD is (await engine.receipt(receipt.delivery)).state
    clock.advance(HOUR + 1)
    await until(lambda: network.order == ["ann later"])


async def test_a_scheduled_delivery_stays_held_when_others_are_cancelled_or_its_account_changes(
    engine: Engine, network: Network, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = await engine.broadcast(users(3), "news", at=clock.now() + HOUR)
    other = await engine.send(ANN, "later", at=clock.now() + HOUR)
    settled = answers_of(monkeypatch, engine.supervisor.outbox, "settle")

    await engine.cancel([other])
    await engine.add_account("fake.me", rules={"client.concurrency": 3})
    await engine.supervisor.worker.wake("fake.me")
    await rested(engine)

    assert [] == settled
    assert {State.CANCELLED: 1} == await engine.records.counts()
    assert {State.HELD: 3} == await news.counts()


async def test_a_scheduled_delivery_whose_time_passed_before_the_first_look_is_sent(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    await engine.send(ANN, "now")
    await rested(engine)
    # As another process stores it, which does not wake this one.
    message, there = message_of("later"), [Submission(Target.parse(ANN), 1)]
    await engine.supervisor.outbox.submit(message, there, priority=SINGLE, not_before=clock.now() + 1)
    clock.advance(2)

    await rested(engine)

    assert ["ann now", "ann later"] == network.order


async def test_expires_in_counts_from_the_scheduled_time(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    await engine.send(ANN, "later", at=clock.now() + HOUR, expires_in=60)
    clock.advance(HOUR + 1)

    await until(lambda: network.order == ["ann later"])


async def test_a_scheduled_delivery_can_be_cancelled_before_its_time(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    receipt = await engine.send(ANN, "later", at=clock.now() + HOUR)

    assert 1 == await engine.cancel([receipt])

    clock.advance(HOUR + 1)
    await engine.send("fake.me/user/other", "hi")
    assert ["other hi"] == network.order


async def test_the_same_key_finds_the_scheduled_delivery(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    first = await engine.send(ANN, "later", at=clock.now() + HOUR, key="k")
    second = await engine.send(ANN, "later", at=clock.now() + HOUR, key="k")

    assert first.delivery == second.delivery


@pytest.mark.parametrize("at", [math.inf, math.nan, datetime.min, "tomorrow", object()])
async def test_a_value_that_is_not_a_time_is_refused(engine: Engine, at: Any) -> None:
    with pytest.raises(Refused, match="not a time"):
        await engine.send(ANN, "never", at=at)
