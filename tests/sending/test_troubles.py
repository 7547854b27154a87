"""Failures on the way of a delivery, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import PNG, users
from tests.sending.waiting import rested, waits
from tests.support import until
from yizhan.engine import Engine
from yizhan.errors import (
    DeliveryFailed,
    Duplicate,
    HandleExpired,
    LoginNeeded,
    MediaFormat,
    NotAllowed,
    OutcomeUnknown,
    StorageError,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.media import uploads
from yizhan.model import Image, State
from yizhan.platforms.adapter import Limit
from yizhan.sending import sender as sender_module
from yizhan.sending.decide import Policy
from yizhan.sending.delivery import Delivery, Progress
from yizhan.world import TurnableClock


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are tried once per try of a delivery, and a store that fails is tried again soon."""
    monkeypatch.setattr(uploads, "TRIES", 1)
    monkeypatch.setattr(sender_module, "STORE_PAUSE", 0.01)


async def test_a_message_of_many_parts_survives_a_hiccup_at_its_last_part(engine: Engine, network: Network) -> None:
    parts = [str(number) for number in range(12)]
    network.script = lambda target, number: Unavailable("down") if len(network.arrived) == 11 and number < 3 else None

    receipt = await engine.send("fake.me/user/a", *parts)

    assert State.SENT == receipt.state
    assert [f"a {part}" for part in parts] == network.order


@pytest.mark.parametrize("error", [OutcomeUnknown("cut"), WireMismatch("odd"), Unavailable("down")])
@pytest.mark.parametrize("repeatable", [True, False])
async def test_an_upload_without_an_answer_leaves_the_outcome_known(
    engine: Engine, network: Network, error: Exception, repeatable: bool
) -> None:
    network.repeatable = repeatable
    network.upload_error = lambda number: error if number == 1 or number > 2 else None

    first = await engine.send("fake.me/user/a", Image(PNG))
    with pytest.raises(DeliveryFailed, match="after 8 attempts") as caught:
        await engine.send("fake.me/group/a", Image(PNG))

    assert State.SENT == first.state
    assert State.FAILED == caught.value.receipts[0].state
    assert 1 == len(network.arrived)


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [
        (Throttled("slow", retry_after=3600), State.QUEUED, 0),
        (LoginNeeded("log in"), State.QUEUED, 0),
        (WindowClosed("closed"), State.HELD, 0),
        (HandleExpired("gone"), State.FAILED, 2),
        (MediaFormat("odd"), State.FAILED, 1),
        (NotAllowed("no"), State.FAILED, 1),
        (ZeroDivisionError("bug"), State.FAILED, 1),
    ],
)
async def test_every_error_of_an_upload_has_its_end(
    engine: Engine, network: Network, error: Exception, state: State, attempts: int
) -> None:
    network.upload_error = lambda number: error

    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))
    await rested(engine)
    receipt = await engine.receipt(receipt.delivery)

    assert (state, attempts) == (receipt.state, receipt.attempts)
    assert [] == network.arrived


async def test_a_refused_repeat_does_not_make_the_delivery_failed(engine: Engine, network: Network) -> None:
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None
    network.script = lambda target, number: WindowClosed("used up") if number == 2 else None

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send("fake.me/user/a", "hi")

    assert State.UNKNOWN == caught.value.receipts[0].state
    assert 1 == len(network.arrived)


async def test_a_delivery_resent_by_an_operator_that_had_arrived_is_sent(engine: Engine, network: Network) -> None:
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut")
    with pytest.raises(DeliveryFailed):
        await engine.send("fake.me/user/a", "hi")
    network.script = lambda target, number: Duplicate("again")

    receipt = await engine.settle("d1", as_="again")
    (receipt,) = await engine.wait([receipt])

    assert State.SENT == receipt.state


async def test_a_delivery_is_not_resent_after_the_platform_forgot_its_key(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None
    network.script = lambda target, number: LoginNeeded("log in") if number == 2 else None
    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await until(lambda: bool(engine.supervisor.worker.lanes["fake.me"].paused))

    clock.advance(3600)
    await engine.login("fake.me", lambda step: None)
    with pytest.raises(DeliveryFailed, match="no longer recognizes a repeat"):
        await engine.wait([receipt])

    assert State.UNKNOWN == (await engine.receipt("d1")).state
    assert 1 == len(network.arrived)


async def test_a_failing_listener_stops_nothing(engine: Engine, network: Network) -> None:
    def listener(target: object, state: State) -> None:
        raise ZeroDivisionError("mine")

    engine.on_settled(listener)
    network.script = lambda target, number: Unavailable("down") if number < 3 else None

    counts = await (await engine.broadcast(users(5), "hi")).wait()

    assert {State.SENT: 5} == counts


async def test_a_message_that_cannot_be_composed_any_more_fails_alone(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await engine.adapter("fake.me")
    network.gate = asyncio.Event()
    receipts = await engine.submit(users(20), "hi")
    await until(lambda: network.concurrent == 8)
    compose = opened.compose

    def broken(message: Any, target: Any) -> Any:
        if target.id == "u15":
            raise ZeroDivisionError("bug")
        return compose(message, target)

    monkeypatch.setattr(opened, "compose", broken)
    network.gate.set()
    with pytest.raises(DeliveryFailed) as caught:
        await engine.wait(receipts)

    assert [State.FAILED] == [r.state for r in caught.value.receipts if r.state is not State.SENT]


async def test_nothing_is_lost_while_the_store_cannot_be_written(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = engine.supervisor.ledger.put
    failures = 0

    def sometimes(statement: Any, row: Any, **how: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures % 3 and failures < 100:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(StorageError("the disk is full"))
            return failed
        return put(statement, row, **how)

    monkeypatch.setattr(engine.supervisor.ledger, "put", sometimes)
    network.script = lambda target, number: Unavailable("down") if number == 1 else None

    receipt = await engine.send("fake.me/user/a", "one", "two")
    counts = await (await engine.broadcast(users(5), "hi")).wait()

    assert State.SENT == receipt.state
    assert {State.SENT: 5} == counts
    assert 7 == len(network.arrived)


async def test_two_sends_that_upload_at_once_do_not_share_the_last_place_in_a_window(
    engine: Engine, network: Network
) -> None:
    network.limits = lambda message, target: [Limit("one per day", "account", "any", 1, 86400)]

    receipts = await engine.submit(["fake.me/user/a", "fake.me/user/b", "fake.me/group/c"], Image(PNG))
    await engine.wait(receipts)

    assert 1 == len(network.arrived)


async def test_a_refused_send_does_not_use_up_the_window(engine: Engine, network: Network) -> None:
    network.limits = lambda message, target: [Limit("one per day", "target", "any", 1, 86400)]
    network.script = lambda target, number: Throttled("slow", retry_after=0.01) if number < 4 else None

    receipt = await engine.send("fake.me/user/a", "hi")

    assert State.SENT == receipt.state


async def test_a_program_that_ends_between_two_parts_continues_with_the_second(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.upload_gate = asyncio.Event()
    await engine.submit("fake.me/user/a", "one", Image(PNG, "two.png"))
    await until(lambda: bool(network.uploads))
    await abandon(engine)

    network.upload_gate.set()
    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        (receipt,) = await again.wait(await again.deliveries())

    assert State.SENT == receipt.state
    assert ["a one", "a two.png"] == network.order


async def test_a_paused_lane_rests_although_deliveries_are_due(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: (
        Throttled("slow", retry_after=30, concerns="target") if target.id == "a" else LoginNeeded("x")
    )
    (first,) = await engine.submit("fake.me/user/a", "hi")
    await waits(engine, first)
    with pytest.raises(LoginNeeded):
        await engine.send("fake.me/user/b", "hi")
    clock.advance(60)

    await rested(engine)

    assert 1 == network.tries["a:hi"]
    assert State.QUEUED == (await engine.receipt(first.delivery)).state


async def test_a_clock_that_is_set_back_delays_nothing(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.script = lambda target, number: Throttled("slow", retry_after=30) if number == 1 else None
    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await waits(engine, receipt)

    clock.advance(-86400)
    (done,) = await engine.wait([receipt])

    assert State.SENT == done.state


async def test_no_other_message_comes_between_two_paced_parts(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("ten per second", "target", "any", 1, 0.1)]

    receipts = [r for n in range(3) for r in await engine.submit("fake.me/user/a", f"{n}a", f"{n}b")]
    await engine.wait(receipts, until_held=False)

    order = [entry.split()[1] for entry in network.order]
    assert ["0a", "0b", "1a", "1b", "2a", "2b"] == order


async def test_a_delivery_that_came_due_while_the_store_could_not_be_read_is_sent(
    engine: Engine, network: Network, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = [await engine.send("fake.me/user/a", str(at), at=clock.now() + at) for at in (3600, 3600.5)]
    next_due, refusals = engine.supervisor.outbox.next_due, iter(range(1))

    async def sometimes(account: str, now: float) -> float | None:
        if next(refusals, None) is not None:
            clock.advance(1)
            raise StorageError("the disk is gone")
        return await next_due(account, now)

    await rested(engine)
    monkeypatch.setattr(engine.supervisor.outbox, "next_due", sometimes)
    clock.advance(3600)

    done = await engine.wait(later, until_held=False)

    assert [State.SENT, State.SENT] == [receipt.state for receipt in done]


async def abandon(engine: Engine) -> None:
    """End it as a kill does: nothing is settled, nothing is told."""
    lanes = list(engine.supervisor.worker.lanes.values())
    engine.supervisor.senders.policy = Policy()
    for lane in lanes:
        await lane.close(grace=0)
    await engine.close()


async def test_error_words_that_cannot_be_stored_change_no_outcome(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: Unavailable("down \ud800") if number == 1 else None

    receipt = await engine.send("fake.me/user/a", "hi")

    assert State.SENT == receipt.state
    assert ["down ?"] == [attempt["detail"] for attempt in await engine.records.attempts_of(1)]


@pytest.mark.parametrize("refusals", [0, 2])
async def test_an_internal_error_inside_a_message_keeps_no_later_one_from_its_target(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    network.script = lambda target, number: Unavailable("down") if len(network.arrived) == 1 and number == 1 else None
    settle, recover, refused = engine.supervisor.outbox.settle, engine.supervisor.outbox.recover, iter(range(refusals))

    async def broken(job: Delivery, end: Progress) -> None:
        if job.seq == 1 and end.state is State.SENT:
            raise ZeroDivisionError("bug")
        await settle(job, end)

    async def sometimes(*args: Any, **kwargs: Any) -> Any:
        if next(refused, None) is not None:
            raise StorageError("the disk is full")
        return await recover(*args, **kwargs)

    monkeypatch.setattr(engine.supervisor.outbox, "settle", broken)
    monkeypatch.setattr(engine.supervisor.outbox, "recover", sometimes)
    with pytest.raises(DeliveryFailed):
        await engine.send("fake.me/user/a", "one", "two", timeout=None)
    after = await engine.send("fake.me/user/a", "after", timeout=None)

    assert State.UNKNOWN == (await engine.receipt("d1")).state
    assert State.SENT == after.state
