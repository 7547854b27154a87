"""Who goes first, and how many at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.delivery.fake import Network
from tests.delivery.test_path import until, users
from yizhan.delivery import lanes
from yizhan.engine import Engine
from yizhan.model import State


async def test_no_more_are_sent_at_once_than_the_rules_allow(engine: Engine, network: Network) -> None:
    await engine.add_account("fake.me", rules={"client.concurrency": 1})
    network.delay = 0.005

    broadcast = await engine.broadcast("news", users(10))
    await asyncio.gather(*(engine.send(f"fake.me/user/vip{number}", "for you") for number in range(5)))
    await broadcast.wait(5)

    assert 1 == network.most_concurrent
    assert 15 == len(network.arrived)


async def test_a_broadcast_leaves_room_for_a_person(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    await engine.broadcast("news", users(100))
    await until(lambda: network.concurrent == 8)

    singles = [asyncio.create_task(engine.send(f"fake.me/user/vip{number}", "for you")) for number in range(4)]
    await until(lambda: network.concurrent == 10)

    network.gate.set()
    assert {State.SENT} == {receipt.state for receipt in await asyncio.gather(*singles)}


async def test_a_broadcast_keeps_back_while_somebody_talks_and_then_has_the_road_again(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "AFTER_URGENT", 0.3)
    network.delay = 0.002
    await engine.send("fake.me/user/vip", "for you")
    network.most_concurrent = 0

    broadcast = await engine.broadcast("news", users(400))
    await asyncio.sleep(0.1)
    meanwhile = network.most_concurrent
    await broadcast.wait(10)

    assert 4 == meanwhile
    assert 8 == network.most_concurrent


async def test_thousands_of_messages_to_one_target_do_not_hold_up_another(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    for number in range(300):
        await engine.submit("fake.me/user/slow", f"hi {number}")
    (other,) = await engine.submit("fake.me/user/other", "hi")

    await until(lambda: "other:hi" in network.tries, 2)

    network.gate.set()
    (other,) = await engine.wait([other], timeout=5)
    assert State.SENT == other.state


async def test_a_broadcast_that_is_repeated_with_one_more_target_waits_for_all_of_them(
    engine: Engine, network: Network
) -> None:
    network.gate = asyncio.Event()
    first = await engine.broadcast("news", users(3), key="news")
    second = await engine.broadcast("news", users(4), key="news")
    waiting = asyncio.create_task(second.wait(5))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    network.gate.set()

    assert first.id == second.id
    assert {State.SENT: 4} == await waiting
