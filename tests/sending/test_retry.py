"""A retry is a new delivery that names the old one and carries the parts that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import users
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, OutcomeUnknown, Refused, Rejected
from yizhan.model import Receipt, State, Target
from yizhan.world import TurnableClock

ANN = "fake.me/user/ann"


async def failed(engine: Engine, network: Network, *content: str, first_wrong: int = 1) -> Receipt:
    """Send a message to ANN whose part `first_wrong` (from 1) is refused."""
    sends = iter(range(1, 100))
    network.script = lambda target, number: Rejected("no") if next(sends) >= first_wrong else None
    with pytest.raises(DeliveryFailed) as caught:
        await engine.send(ANN, *content)
    network.script = lambda target, number: None
    return caught.value.receipts[0]


async def test_a_failed_delivery_is_sent_by_a_new_one(engine: Engine, network: Network) -> None:
    old = await failed(engine, network, "hi")

    (new,) = await engine.retry(old)
    (ended,) = await engine.wait(new)

    assert (State.SENT, old.delivery) == (ended.state, ended.retry_of)
    assert State.FAILED == (await engine.receipt(old.delivery)).state
    assert ["ann hi"] == network.order


async def test_only_the_parts_that_are_missing_are_sent(engine: Engine, network: Network) -> None:
    old = await failed(engine, network, "one", "two", "three", first_wrong=2)

    (ended,) = await engine.wait(await engine.retry(old))

    assert ["ann one", "ann two", "ann three"] == network.order
    assert (3, 3) == (ended.parts, ended.parts_done)


async def test_a_second_retry_finds_the_first(engine: Engine, network: Network) -> None:
    old = await failed(engine, network, "hi")

    first, second = await engine.retry(old), await engine.retry(old)
    await engine.wait(first)

    assert [one.delivery for one in first] == [one.delivery for one in second]
    assert 1 == len(network.arrived)


async def test_everything_in_a_state_is_retried_once(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: Rejected("no")
    await (await engine.broadcast(users(700), "news")).wait()
    network.script = lambda target, number: None

    new = await engine.retry(states=["failed"])
    await engine.wait(new)

    assert 700 == len(new) == len(network.arrived)
    assert [] == await engine.retry(states=["failed"])


async def test_an_unknown_delivery_is_retried_only_by_its_name(engine: Engine, network: Network) -> None:
    network.after = lambda target, number: OutcomeUnknown("no answer") if number == 1 else None
    with pytest.raises(DeliveryFailed):
        await engine.send(ANN, "hi")

    with pytest.raises(Refused, match=r"unknown are not retried by their state\. Name the deliveries"):
        await engine.retry(states=["unknown"])
    (ended,) = await engine.wait(await engine.retry("d1"))

    assert State.SENT == ended.state
    assert ["ann hi", "ann hi"] == network.order


async def test_a_retry_survives_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    old = await failed(engine, network, "one", "two", first_wrong=2)
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock, sending=False) as looking:
        new = await looking.retry(old)
    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        (ended,) = await again.wait(new)

    assert State.SENT == ended.state
    assert ["ann one", "ann two"] == network.order


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("d1", "d1 was sent; there is nothing to send again"),
        ("d2", "d2 is held and goes on by itself. Cancel it first"),
        ("d9", "There is no delivery d9"),
        ("b1", "is not a delivery's id"),
    ],
)
async def test_a_delivery_that_cannot_be_retried_says_why(
    engine: Engine, network: Network, clock: TurnableClock, which: str, words: str
) -> None:
    await engine.send(ANN, "hi")
    await engine.send(ANN, "later", at=clock.now() + 3600)

    with pytest.raises(Refused, match=words):
        await engine.retry(which)


async def test_a_cancelled_delivery_is_retried_to_its_own_target(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    held = await engine.send(ANN, "later", at=clock.now() + 3600)
    await engine.cancel([held])

    await engine.wait(await engine.retry(held))

    assert [(Target.parse(ANN), "later")] == [(target, text) for target, text, _ in network.arrived]
