"""An attempt without an answer is repeated only under its account, address and login."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.support import until
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, LoginNeeded, OutcomeUnknown
from yizhan.model import State
from yizhan.sending.decide import Policy
from yizhan.world import TurnableClock

ALICE = "fake.me/user/a"
QUICK = Policy(first_delay=0.01, longest_delay=0.05)


async def in_doubt(engine: Engine, network: Network) -> Any:
    """Return the receipt of a delivery whose first attempt arrived without an answer, on an account that is paused."""
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None
    network.script = lambda target, number: LoginNeeded("log in") if number == 2 else None
    (receipt,) = await engine.submit(ALICE, "hi")
    await until(lambda: bool(engine.supervisor.worker.lanes["fake.me"].paused))
    return receipt


async def settled(engine: Engine, receipt: Any) -> tuple[State, str]:
    try:
        (receipt,) = await engine.wait([receipt])
    except DeliveryFailed as failed:
        (receipt,) = failed.receipts
    return receipt.state, receipt.detail


async def test_an_attempt_in_doubt_is_repeated_in_the_same_session_under_the_same_key(
    engine: Engine, network: Network
) -> None:
    receipt = await in_doubt(engine, network)
    await engine.login("fake.me", lambda step: None)

    assert State.SENT == (await settled(engine, receipt))[0]
    assert 1 == len({key for _, _, key in network.arrived})


async def test_an_attempt_in_doubt_is_unknown_after_a_new_login(engine: Engine, network: Network) -> None:
    receipt = await in_doubt(engine, network)
    network.session = "login 2"
    await engine.login("fake.me", lambda step: None)
    state, detail = await settled(engine, receipt)

    assert (State.UNKNOWN, 1) == (state, len(network.arrived))
    assert "logged in anew" in detail


async def test_an_attempt_in_doubt_is_unknown_when_the_login_changes_just_before_it_leaves(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = engine.supervisor.outbox
    mark_sending = outbox.mark_sending
    receipt = await in_doubt(engine, network)

    async def slowly(*args: Any, **kwargs: Any) -> None:
        await mark_sending(*args, **kwargs)
        network.session = "login 2"

    monkeypatch.setattr(outbox, "mark_sending", slowly)
    await engine.login("fake.me", lambda step: None)
    state, detail = await settled(engine, receipt)

    assert (State.UNKNOWN, 1) == (state, len(network.arrived))
    assert "logged in anew" in detail


@asynccontextmanager
async def restarted(path: Path, clock: TurnableClock) -> AsyncIterator[Engine]:
    engine = await Engine.open(path, clock=clock, policy=QUICK)
    yield engine
    await engine.close()


@pytest.mark.parametrize(
    ("session", "settings", "state"),
    [
        ("login 1", {}, State.SENT),
        ("login 2", {}, State.UNKNOWN),
        ("login 1", {"base_url": "http://127.0.0.1:9"}, State.UNKNOWN),
        ("login 1", {"rules": {"client.concurrency": 9}}, State.SENT),
    ],
)
async def test_a_restart_keeps_the_session_of_an_attempt_in_doubt(
    session: str, settings: dict[str, Any], state: State, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    async with restarted(tmp_path / "store", clock) as engine:
        await engine.add_account("fake.me")
        receipt = await in_doubt(engine, network)
        network.session = session
        if settings:
            await engine.add_account("fake.me", **settings)
    async with restarted(tmp_path / "store", clock) as engine:
        assert state == (await settled(engine, receipt))[0]

    assert (2 if state is State.SENT else 1) == len(network.arrived)
    assert 1 == len({key for _, _, key in network.arrived})


async def test_an_operator_may_send_again_in_a_new_session_under_the_same_key(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    receipt = await in_doubt(engine, network)
    network.session = "login 2"
    await engine.login("fake.me", lambda step: None)
    await settled(engine, receipt)
    clock.advance(5000)
    again = await engine.settle(receipt.delivery, as_="again")

    assert State.SENT == (await settled(engine, again))[0]
    assert 1 == len({key for _, _, key in network.arrived})


async def test_keys_hold_the_time_of_the_first_attempt_and_count_up(engine: Engine, network: Network) -> None:
    for text in ("one", "two", "three"):
        await engine.send(ALICE, text)
    keys = [key for _, _, key in network.arrived]

    assert keys == sorted(keys, key=lambda key: (key.at, key.serial))
    assert all(abs(key.at - at) < 5 for key, at in zip(keys, network.times, strict=True))
    assert 3 == len({key.serial for key in keys})
