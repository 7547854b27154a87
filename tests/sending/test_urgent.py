"""The order of sends, and how many are made at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import users
from tests.sending.waiting import answers_of
from tests.support import until
from yizhan.engine import Engine
from yizhan.model import State
from yizhan.sending import lane as lane_module


async def test_no_more_are_sent_at_once_than_the_rules_allow(engine: Engine, network: Network) -> None:
    await engine.add_account("fake.me", rules={"client.concurrency": 1})
    network.delay = 0.005

    broadcast = await engine.broadcast(users(10), "news")
    await asyncio.gather(*(engine.send(f"fake.me/user/vip{number}", "for you") for number in range(5)))
    await broadcast.wait()

    assert 1 == network.most_concurrent
    assert 15 == len(network.arrived)


async def test_a_broadcast_leaves_room_for_single_sends(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    await engine.broadcast(users(100), "news")
    await until(lambda: network.concurrent == 8)

    singles = [asyncio.create_task(engine.send(f"fake.me/user/vip{number}", "for you")) for number in range(4)]
    await until(lambda: network.concurrent == 10)

    network.gate.set()
    assert {State.SENT} == {receipt.state for receipt in await asyncio.gather(*singles)}


async def test_a_broadcast_is_limited_during_urgent_sends_and_runs_at_full_width_afterwards(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "AFTER_URGENT", 3600.0)
    await engine.send("fake.me/user/vip", "for you")
    lane = engine.supervisor.worker.lanes["fake.me"]
    # Sends slow each other down, so the concurrency stays at its minimum.
    now = asyncio.get_running_loop().time()
    lane.concurrency.record(now, now + 1e-6)
    for _ in range(100):
        lane.concurrency.record(now, now + 1)

    first = network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(40), "news")
    await until(lambda: lane.resting)
    meanwhile = len(lane.under_way)
    # The last urgent send, after which broadcasts are not limited any longer.
    monkeypatch.setattr(lane_module, "AFTER_URGENT", 0.0)
    await engine.submit("fake.me/user/vip", "for you too")
    await until(lambda: network.concurrent == 5)
    network.gate = asyncio.Event()
    first.set()
    await until(lambda: network.concurrent == 8)
    network.gate.set()

    assert {State.SENT: 40} == await broadcast.wait()
    assert 4 == meanwhile
    assert 8 == network.most_concurrent


async def test_thousands_of_messages_to_one_target_do_not_hold_up_another(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    for number in range(300):
        await engine.submit("fake.me/user/slow", f"hi {number}")
    (other,) = await engine.submit("fake.me/user/other", "hi")

    await until(lambda: "other:hi" in network.tries)

    network.gate.set()
    (other,) = await engine.wait([other])
    assert State.SENT == other.state


async def test_a_broadcast_that_is_repeated_with_one_more_target_waits_for_all_of_them(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.gate = asyncio.Event()
    first = await engine.broadcast(users(3), "news", key="news")
    second = await engine.broadcast(users(4), "news", key="news")
    asked = answers_of(monkeypatch, engine.supervisor.broadcast_table, "going")
    waiting = asyncio.create_task(second.wait())
    await until(lambda: asked)
    assert [{"fake.me"}] == asked
    network.gate.set()

    assert first.id == second.id
    assert {State.SENT: 4} == await waiting
