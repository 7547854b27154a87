"""Races: sends against cancels, expiry, other processes and changed accounts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import PNG, users
from tests.sending.waiting import rested, waits
from tests.support import PATIENCE, until
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, Throttled
from yizhan.model import Image, State
from yizhan.platforms.adapter import Limit
from yizhan.world import TurnableClock


async def test_a_half_sent_message_is_finished_although_it_is_past_its_time(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: (
        Throttled("slow", retry_after=600, concerns="target") if len(network.arrived) == 1 and number == 1 else None
    )
    (receipt,) = await engine.submit("fake.me/user/a", "one", "two", expires_in=60)
    await waits(engine, receipt)

    clock.advance(61)
    # The lane rests, and does not look into the store again and again.
    await rested(engine)
    clock.advance(600)
    (done,) = await engine.wait([receipt])

    assert State.SENT == done.state
    assert ["a one", "a two"] == network.order


async def test_a_send_that_expires_before_its_next_attempt_raises_delivery_failed(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: Throttled("slow", retry_after=3600, concerns="target")
    sending = asyncio.create_task(engine.send("fake.me/user/a", "hi", expires_in=60, timeout=None))
    await until(lambda: "a:hi" in network.tries)
    await rested(engine)

    clock.advance(61)

    with pytest.raises(DeliveryFailed, match="expired"):
        await asyncio.wait_for(sending, PATIENCE)


async def test_a_send_that_is_cancelled_raises_delivery_failed(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: Throttled("slow", retry_after=3600, concerns="target")
    sending = asyncio.create_task(engine.send("fake.me/user/a", "hi", timeout=None))
    await until(lambda: "a:hi" in network.tries)
    await waits(engine, (await engine.deliveries())[0])

    assert 1 == await engine.cancel(["d1"])

    with pytest.raises(DeliveryFailed, match="cancelled"):
        await asyncio.wait_for(sending, PATIENCE)


async def test_listeners_hear_of_expired_and_cancelled_deliveries(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.limits = lambda message, target: [Limit("none", "target", "any", 0)]
    heard: list[tuple[str, State]] = []
    engine.on_settled(lambda target, state: heard.append((target.id, state)))
    first = await engine.send("fake.me/user/a", "hi", expires_in=60)
    second = await engine.send("fake.me/user/b", "hi")

    await engine.cancel([second])
    clock.advance(61)
    await until(lambda: ("a", State.EXPIRED) in heard)

    assert ("b", State.CANCELLED) in heard
    assert State.EXPIRED == (await engine.receipt(first.delivery)).state


async def test_a_large_broadcast_that_is_held_expires_on_time(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    await engine.send("fake.me/user/before", "hi")
    network.limits = lambda message, target: [Limit("none", "target", "any", 0)]
    broadcast = await engine.broadcast(users(100), "hi", expires_in=60)
    assert {State.HELD: 100} == await broadcast.wait()

    clock.advance(61)

    assert {State.EXPIRED: 100} == await broadcast.wait(until_held=False)


async def test_a_delivery_cancelled_by_another_process_is_not_sent(
    engine: Engine, network: Network, tmp_path: Path
) -> None:
    network.gate = asyncio.Event()
    receipts = await engine.submit(users(30), "hi")
    await until(lambda: network.concurrent >= 8)

    async with await Engine.open(tmp_path / "store") as other:
        cancelled = await other.cancel(receipts)
    network.gate.set()
    await engine.wait([r for r in await engine.deliveries() if r.state is not State.CANCELLED])
    await rested(engine)

    assert cancelled == sum(r.state is State.CANCELLED for r in await engine.deliveries())
    assert 22 == cancelled
    assert 8 == len(network.arrived)


async def test_a_delivery_cancelled_during_its_upload_is_not_sent(engine: Engine, network: Network) -> None:
    network.upload_gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))

    assert 1 == await engine.cancel([receipt])
    network.upload_gate.set()
    await rested(engine)

    assert [] == network.arrived
    assert State.CANCELLED == (await engine.receipt(receipt.delivery)).state


async def test_a_delivery_that_expires_during_its_upload_is_not_sent(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.upload_gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG), expires_in=60)
    await until(lambda: bool(network.uploads))
    clock.advance(61)
    await engine.supervisor.waiting.until(lambda: expired(engine, receipt.delivery), PATIENCE)

    network.upload_gate.set()
    await rested(engine)

    assert [] == network.arrived
    assert State.EXPIRED == (await engine.receipt(receipt.delivery)).state


async def test_a_half_sent_message_cannot_be_cancelled(engine: Engine, network: Network, clock: TurnableClock) -> None:
    network.script = lambda target, number: (
        Throttled("slow", retry_after=60, concerns="target") if len(network.arrived) == 1 and number == 1 else None
    )
    network.gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", "one", "two")
    await until(lambda: network.concurrent == 1)
    network.gate.set()
    await waits(engine, receipt)

    assert 0 == await engine.cancel([receipt])
    clock.advance(61)
    (done,) = await engine.wait([receipt])

    assert State.SENT == done.state


async def expired(engine: Engine, delivery: str) -> bool:
    return (await engine.receipt(delivery)).state is State.EXPIRED
