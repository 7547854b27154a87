"""Accounts that change while they send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.delivery.fake import Network
from tests.delivery.test_path import PNG, users
from tests.delivery.waiting import answers_of, rested
from tests.support import PATIENCE, until
from yizhan.delivery import lanes, worker
from yizhan.engine import Engine
from yizhan.errors import LoginNeeded, Unavailable
from yizhan.model import Image, State
from yizhan.world import TurnableClock


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "GRACE", 0.1)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.02)


@pytest.mark.parametrize("grace", [0.0, PATIENCE])
async def test_changing_an_account_while_it_uploads_sends_nothing_twice(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    monkeypatch.setattr(lanes, "GRACE", grace)
    network.upload_gate = asyncio.Event()
    (first,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))

    lane = engine.worker.lanes["fake.me"]
    changing = asyncio.create_task(engine.add_account("fake.me", rules={"client.concurrency": 7}))
    await until(lambda: lane._closing)
    (second,) = await engine.submit("fake.me/user/b", "hi")
    network.upload_gate.set()
    await changing
    await engine.wait([first, second])
    await rested(engine)

    assert 2 == len(network.arrived)


async def test_what_was_being_sent_when_its_account_changed_is_settled(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await until(lambda: network.concurrent == 1)

    await engine.add_account("fake.me", base_url="http://elsewhere")

    assert State.UNKNOWN == (await engine.receipt(receipt.delivery)).state


async def test_adding_an_account_again_as_it_is_disturbs_nothing(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await until(lambda: network.concurrent == 1)

    await engine.add_account("fake.me")
    network.gate.set()
    (receipt,) = await engine.wait([receipt])

    assert State.SENT == receipt.state
    assert 1 == len(network.arrived)


async def test_handles_of_another_address_are_not_used(engine: Engine, network: Network) -> None:
    await engine.send("fake.me/user/a", Image(PNG))

    await engine.add_account("fake.me", base_url="http://elsewhere")
    await engine.send("fake.me/user/a", Image(PNG))
    await engine.add_account("fake.me", base_url="http://elsewhere", rules={"client.concurrency": 7})
    await engine.send("fake.me/user/a", Image(PNG))

    assert 2 == len(network.uploads)


async def test_an_upload_that_was_under_way_when_its_account_changed_is_not_kept(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.upload_gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))

    await engine.add_account("fake.me", base_url="http://elsewhere")
    network.upload_gate.set()
    await engine.wait([receipt])

    assert 2 == len(network.uploads)


async def test_a_login_as_somebody_else_makes_new_handles(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.login("fake.me", lambda step: None)
    await engine.send("fake.me/user/a", Image(PNG))
    await engine.login("fake.me", lambda step: None)
    await engine.send("fake.me/user/b", Image(PNG))
    assert 1 == len(network.uploads)

    network.identity = "somebody else"
    await engine.login("fake.me", lambda step: None)
    await engine.send("fake.me/user/c", Image(PNG))

    assert 2 == len(network.uploads)


async def test_an_account_that_is_removed_and_added_again_begins_anew(engine: Engine, network: Network) -> None:
    await engine.send("fake.me/user/a", Image(PNG))

    assert await engine.remove_account("fake.me")
    assert [] == await engine.shelf.rows("fake.me")
    await engine.add_account("fake.me")
    await engine.send("fake.me/user/a", Image(PNG))

    assert 2 == len(network.uploads)


async def test_a_broadcast_whose_account_is_paused_ends_its_wait_whatever_others_do(
    engine: Engine, network: Network, tmp_path: Path
) -> None:

    await engine.add_account("fake.other")
    await engine.send("fake.other/user/a", "hi")
    network.script = lambda target, number: LoginNeeded("log in") if target.account == "fake.me" else None

    broadcast = await engine.broadcast("news", to=[*users(3), "fake.other/user/b"])
    counts = await asyncio.wait_for(broadcast.wait(), PATIENCE)

    assert {State.SENT: 1, State.QUEUED: 3} == counts


async def test_a_send_of_which_only_its_neighbour_lost_the_login_is_not_said_to_wait(
    engine: Engine, network: Network
) -> None:

    network.gate = asyncio.Event()
    network.script = lambda target, number: LoginNeeded("log in") if target.id == "b" else None
    first = asyncio.create_task(engine.send("fake.me/user/a", "hi"))
    await until(lambda: network.concurrent == 1)
    second = asyncio.create_task(engine.send("fake.me/user/b", "hi"))
    await until(lambda: network.concurrent == 2)
    network.gate.set()

    assert State.SENT == (await first).state
    with pytest.raises(LoginNeeded):
        await second


async def test_a_removed_account_that_has_work_does_not_keep_a_wait_for_ever(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.script = lambda target, number: Unavailable("down")
    broadcast = await engine.broadcast("hi", to=users(3))
    await until(lambda: bool(network.tries))
    # What was submitted is no news any more when the account goes.
    looks = answers_of(monkeypatch, engine.worker, "_look")
    await until(lambda: 2 <= len(looks))

    await engine.remove_account("fake.me")

    assert {State.QUEUED: 3} == await asyncio.wait_for(broadcast.wait(), PATIENCE)
