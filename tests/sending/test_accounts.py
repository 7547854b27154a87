"""Accounts that change while they send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import PNG, users
from tests.sending.waiting import answers_of, rested, waits
from tests.support import PATIENCE, until
from yizhan import supervisor as supervisor_module
from yizhan.accounts.tables import AccountTable
from yizhan.engine import Engine
from yizhan.errors import ConfigError, DeliveryFailed, LoginNeeded, Throttled, Unavailable, UnknownAccount
from yizhan.model import Image, State
from yizhan.platforms.adapter import Limit
from yizhan.sending import lane as lane_module
from yizhan.storage.ledger import Ledger
from yizhan.storage.vault import Vault
from yizhan.world import TurnableClock


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "GRACE", 0.1)
    monkeypatch.setattr(supervisor_module, "LOOK_SECONDS", 0.02)


@pytest.mark.parametrize("grace", [0.0, PATIENCE])
async def test_changing_an_account_while_it_uploads_sends_nothing_twice(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    monkeypatch.setattr(lane_module, "GRACE", grace)
    network.upload_gate = asyncio.Event()
    (first,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))

    lane = engine.supervisor.worker.lanes["fake.me"]
    changing = asyncio.create_task(engine.add_account("fake.me", rules={"client.concurrency": 7}))
    await until(lambda: lane._closing)
    (second,) = await engine.submit("fake.me/user/b", "hi")
    network.upload_gate.set()
    await changing
    await engine.wait([first, second])
    await rested(engine)

    assert 2 == len(network.arrived)


async def test_a_delivery_under_way_when_its_account_changes_is_settled(engine: Engine, network: Network) -> None:
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


async def test_the_handle_of_an_upload_under_way_when_its_account_changes_is_not_kept(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.upload_gate = asyncio.Event()
    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG))
    await until(lambda: bool(network.uploads))

    await engine.add_account("fake.me", base_url="http://elsewhere")
    network.upload_gate.set()
    await engine.wait([receipt])

    assert 2 == len(network.uploads)


async def test_a_login_under_another_identity_makes_new_handles(
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


async def test_an_account_that_is_removed_and_added_again_starts_afresh(engine: Engine, network: Network) -> None:
    await engine.send("fake.me/user/a", Image(PNG))

    assert await engine.remove_account("fake.me")
    assert [] == await engine.handles.rows("fake.me")
    await engine.add_account("fake.me")
    await engine.send("fake.me/user/a", Image(PNG))

    assert 2 == len(network.uploads)


async def test_waiting_for_a_broadcast_ends_when_its_account_is_paused_with_others_still_sending(
    engine: Engine, network: Network, tmp_path: Path
) -> None:

    await engine.add_account("fake.other")
    await engine.send("fake.other/user/a", "hi")
    network.script = lambda target, number: LoginNeeded("log in") if target.account == "fake.me" else None

    broadcast = await engine.broadcast([*users(3), "fake.other/user/b"], "news")
    counts = await asyncio.wait_for(broadcast.wait(), PATIENCE)

    assert {State.SENT: 1, State.QUEUED: 3} == counts


async def test_a_send_under_way_does_not_raise_login_needed_when_another_send_meets_it(
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


async def test_waiting_ends_when_the_account_of_the_deliveries_is_removed(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.script = lambda target, number: Unavailable("down")
    broadcast = await engine.broadcast(users(3), "hi")
    await until(lambda: bool(network.tries))
    # The submitted deliveries have been seen before the account goes.
    looks = answers_of(monkeypatch, engine.supervisor, "_look")
    await until(lambda: 2 <= len(looks))

    await engine.remove_account("fake.me")

    assert {State.QUEUED: 3} == await asyncio.wait_for(broadcast.wait(), PATIENCE)


async def test_a_send_under_way_when_its_account_changes_reports_how_it_ended(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    sending = asyncio.create_task(engine.send("fake.me/user/a", "hi", timeout=None))
    await until(lambda: network.concurrent == 1)

    await engine.add_account("fake.me", base_url="http://elsewhere")

    with pytest.raises(DeliveryFailed, match="unknown"):
        await asyncio.wait_for(sending, PATIENCE)


async def test_a_send_that_must_wait_after_another_lost_the_login_raises_login_needed(
    engine: Engine, network: Network
) -> None:
    late = network.gate = asyncio.Event()
    network.script = lambda target, number: LoginNeeded("log in") if target.id == "b" else Unavailable("down")
    first = asyncio.create_task(engine.send("fake.me/user/a", "hi", timeout=None))
    await until(lambda: network.concurrent == 1)
    network.gate = None
    with pytest.raises(LoginNeeded):
        await engine.send("fake.me/user/b", "hi")

    late.set()

    with pytest.raises(LoginNeeded):
        await asyncio.wait_for(first, PATIENCE)


async def test_waiting_for_a_delivery_under_way_does_not_raise_login_needed(engine: Engine, network: Network) -> None:
    late = network.gate = asyncio.Event()
    network.script = lambda target, number: LoginNeeded("log in") if target.id == "b" else None
    (first,) = await engine.submit("fake.me/user/a", "hi")
    await until(lambda: network.concurrent == 1)
    network.gate = None
    with pytest.raises(LoginNeeded):
        await engine.send("fake.me/user/b", "hi")

    # Asked before it has arrived: it is still on its way.
    (meanwhile,) = await engine.wait([first], timeout=0)
    late.set()
    (done,) = await engine.wait([first])

    assert (State.SENDING, State.SENT) == (meanwhile.state, done.state)


async def test_waiting_ends_when_one_account_must_log_in_and_another_is_gone(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    await engine.add_account("fake.other")
    network.script = lambda target, number: (
        LoginNeeded("log in") if target.account == "fake.me" else Throttled("slow", retry_after=3600)
    )
    receipts = await engine.submit(["fake.me/user/a", "fake.other/user/a"], "hi")
    await waits(engine, receipts[1])

    await engine.remove_account("fake.other")

    with pytest.raises(LoginNeeded):
        await asyncio.wait_for(engine.wait(receipts), PATIENCE)


async def test_a_delivery_held_by_a_limit_is_sent_when_the_account_gets_another_limit(
    engine: Engine, network: Network
) -> None:
    network.limits = lambda message, target: [Limit("one a day", "account", "any", 1, 86400.0)]
    await engine.send("fake.me/user/a", "hi")
    held = await engine.send("fake.me/user/b", "hi")
    network.limits = lambda message, target: [Limit("never, for one", "target", target.id, int(target.id == "b"))]

    await engine.add_account("fake.me", rules={"client.concurrency": 7})
    (receipt,) = await asyncio.wait_for(engine.wait([held], until_held=False), PATIENCE)

    assert (State.HELD, State.SENT) == (held.state, receipt.state)


async def test_an_account_whose_stored_settings_are_no_longer_understood_keeps_no_other_from_sending(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    await engine.add_account("fake.other")
    network.script = lambda target, number: Throttled("slow", retry_after=3600)
    receipts = await engine.submit(["fake.me/user/a", "fake.other/user/a"], "hi")
    for receipt in receipts:
        await waits(engine, receipt)
    await engine.close()
    ledger = await Ledger.open(tmp_path / "store" / "yizhan.db")
    # As another version of the program left them.
    await AccountTable(ledger, Vault.open(tmp_path / "store" / "key")).put("fake.me", {"rules": 7}, 0.0)
    await ledger.close()

    network.script = lambda target, number: None
    clock.advance(3601)
    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        (other,) = await again.wait(receipts[1])
        with pytest.raises(ConfigError, match="rules"):
            await again.wait(receipts[0])

    assert State.SENT == other.state


async def test_a_limit_holds_over_a_change_of_the_account_while_it_uploads(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "GRACE", PATIENCE)
    network.limits = lambda message, target: [Limit("three a day", "account", "any", 3, 86400.0)]
    network.upload_gate = asyncio.Event()
    await engine.submit(users(3), Image(PNG))
    await until(lambda: bool(network.uploads))
    lane = engine.supervisor.worker.lanes["fake.me"]

    changing = asyncio.create_task(engine.add_account("fake.me", rules={"client.concurrency": 5}))
    await until(lambda: lane._closing)
    late = await engine.submit(["fake.me/user/late"], "hi")
    network.upload_gate.set()
    await changing
    await engine.wait(late)

    assert State.HELD == (await engine.receipt(late[0].delivery)).state
    assert 3 == len(network.arrived)


@pytest.mark.parametrize("removed", [True, False])
async def test_a_change_of_an_account_by_another_process_takes_effect_here(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, removed: bool
) -> None:
    await engine.send("fake.me/user/a", Image(PNG))
    network.script = lambda target, number: Throttled("slow", retry_after=3600)
    (receipt,) = await engine.submit("fake.me/user/a", Image(PNG))
    await waits(engine, receipt)
    lane = engine.supervisor.worker.lanes["fake.me"]

    async with await Engine.open(tmp_path / "store", clock=clock, sending=False) as other:
        if removed:
            await other.remove_account("fake.me")
        else:
            await other.add_account("fake.me", base_url="http://elsewhere")
    await until(lambda: engine.supervisor.worker.lanes.get("fake.me") is not lane)
    network.script = lambda target, number: None
    clock.advance(3601)

    if removed:
        with pytest.raises(UnknownAccount):
            await engine.wait(receipt)
        assert 1 == len(network.arrived)
    else:
        (receipt,) = await engine.wait(receipt)
        assert (State.SENT, 2) == (receipt.state, len(network.uploads))
