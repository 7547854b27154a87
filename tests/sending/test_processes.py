"""Several engines on one store, as several processes are; and the end of an engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.sending.killing import kill
from tests.sending.test_path import users
from tests.sending.waiting import answers_of, rested, waits
from tests.support import PATIENCE, until
from yizhan import supervisor as supervisor_module
from yizhan.engine import Engine
from yizhan.errors import StorageError, Throttled
from yizhan.model import State
from yizhan.sending import lane as lane_module
from yizhan.sending.decide import Policy
from yizhan.sending.senders import Senders
from yizhan.world import TurnableClock


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "GRACE", 0.05)
    monkeypatch.setattr(supervisor_module, "LOOK_SECONDS", 0.02)


async def test_a_new_store_can_be_opened_by_many_at_once(tmp_path: Path) -> None:
    engines = await asyncio.gather(*(Engine.open(tmp_path / "new", sending=False) for _ in range(6)))

    assert 1 == len({engine.supervisor.store_id for engine in engines})
    await engines[0].contacts.put("@boss", ["fake.me/user/b"])
    for engine in engines:
        assert ["@boss"] == list(await engine.contacts.all())
        await engine.close()


async def test_two_processes_that_submit_the_same_key_at_once_send_it_once(
    engine: Engine, network: Network, tmp_path: Path
) -> None:
    async with await Engine.open(tmp_path / "store") as other:
        both = await asyncio.gather(*(one.submit(users(20), "hi", key="k") for one in (engine, other, engine, other)))
    await engine.wait(both[0])
    await rested(engine)

    assert 1 == len({tuple(receipt.delivery for receipt in receipts) for receipts in both})
    assert 20 == len(network.arrived)


async def test_when_the_sending_process_is_killed_another_takes_over(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    follower = await Engine.open(tmp_path / "store", clock=clock, policy=Policy(first_delay=0.01))
    network.gate = asyncio.Event()
    await engine.submit(users(30), "hi")
    await until(lambda: network.concurrent == 8)

    await kill(engine)
    network.gate.set()
    await follower.supervisor.waiting.until(lambda: settled(follower, 30), PATIENCE)

    counts = await follower.records.counts()
    assert {State.UNKNOWN: 8, State.SENT: 22} == counts
    assert 22 == len(network.arrived)
    await follower.close()


async def test_a_delivery_submitted_during_a_takeover_is_not_settled_as_a_leftover(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await Engine.open(tmp_path / "store", clock=clock)
    recover = follower.supervisor.outbox.recover
    receipts: list[Any] = []
    begun: list[str] = []

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        receipts.extend(await follower.submit("fake.me/user/a", "hi"))
        begun.extend(follower.supervisor.worker.lanes)
        return await recover(*args, **kwargs)

    monkeypatch.setattr(follower.supervisor.outbox, "recover", slowly)
    await engine.close()
    await until(lambda: bool(receipts))
    (receipt,) = await follower.wait(receipts)

    assert [] == begun
    assert State.SENT == receipt.state
    assert 1 == len(network.arrived)
    await follower.close()


async def test_a_takeover_that_the_store_refuses_is_retried(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await Engine.open(tmp_path / "store", clock=clock)
    network.gate = asyncio.Event()
    await engine.submit(users(3), "hi")
    await until(lambda: network.concurrent == 3)
    recover, refusals = follower.supervisor.outbox.recover, iter(range(2))

    async def sometimes(*args: Any, **kwargs: Any) -> Any:
        if next(refusals, None) is not None:
            raise StorageError("the disk is full")
        return await recover(*args, **kwargs)

    monkeypatch.setattr(follower.supervisor.outbox, "recover", sometimes)
    await kill(engine)
    await follower.supervisor.waiting.until(lambda: settled(follower, 3), PATIENCE)

    assert {State.UNKNOWN: 3} == await follower.records.counts()
    await follower.close()


async def test_a_delivery_submitted_by_another_process_at_the_very_start_is_seen(
    network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await Engine.open(tmp_path / "store", clock=clock, sending=False)
    await other.add_account("fake.me")
    from yizhan.sending.outbox.outbox import Outbox

    accounts_with_work = Outbox.accounts_with_work

    async def late(self: Outbox, *args: Any, **kwargs: Any) -> Any:
        found = await accounts_with_work(self, *args, **kwargs)
        monkeypatch.setattr(Outbox, "accounts_with_work", accounts_with_work)
        await other.submit("fake.me/user/a", "hi")
        return found

    monkeypatch.setattr(Outbox, "accounts_with_work", late)
    engine = await Engine.open(tmp_path / "store", clock=clock)
    await until(lambda: bool(network.arrived))

    await engine.close()
    await other.close()


async def test_a_send_through_a_closed_engine_raises_storage_error(engine: Engine, network: Network) -> None:
    await engine.send("fake.me/user/a", "hi")
    await engine.close()

    with pytest.raises(StorageError, match="closed"):
        await asyncio.wait_for(engine.send("fake.me/user/a", "hi"), PATIENCE)
    await engine.close()


async def test_a_caller_that_waits_when_the_engine_closes_gets_the_present_state(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.gate = asyncio.Event()
    sending = asyncio.create_task(engine.send("fake.me/user/a", "hi", timeout=None))
    await until(lambda: network.concurrent == 1)
    broadcast = await engine.broadcast(users(3), "news")
    asked = answers_of(monkeypatch, engine.supervisor.broadcast_table, "going")
    waiting = asyncio.create_task(broadcast.wait())
    await until(lambda: asked)

    await engine.close()

    assert State.SENDING == (await asyncio.wait_for(sending, PATIENCE)).state
    assert 3 == sum((await asyncio.wait_for(waiting, PATIENCE)).values())


async def test_an_adapter_that_does_not_close_keeps_nothing_else_open(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(await engine.adapter("fake.me"), "close", broken)
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        assert again.supervisor.worker.leading


async def test_deliveries_under_way_when_the_engine_closed_are_settled_when_it_opens(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.gate = asyncio.Event()
    await engine.submit(users(10), "hi")
    await until(lambda: network.concurrent == 8)
    await engine.close()
    network.gate.set()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        await again.supervisor.waiting.until(lambda: settled(again, 10), PATIENCE)
        counts = await again.records.counts()

    assert {State.UNKNOWN: 8, State.SENT: 2} == counts


async def settled(engine: Engine, count: int) -> bool:
    receipts = await engine.records.receipts()
    return len(receipts) == count and all(receipt.state.final for receipt in receipts)


async def test_leftover_deliveries_are_sent_although_the_store_failed_to_list_their_accounts_at_first(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.script = lambda target, number: Throttled("slow", retry_after=3600)
    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await waits(engine, receipt)
    follower = await Engine.open(tmp_path / "store", clock=clock)
    refuse_once(monkeypatch, follower.supervisor.outbox, "accounts_with_work")

    network.script = lambda target, number: None
    await engine.close()
    clock.advance(3601)
    (receipt,) = await follower.wait([receipt])

    assert State.SENT == receipt.state
    await follower.close()


async def test_an_account_that_could_not_be_read_at_first_sends_deliveries_of_another_process(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_once(monkeypatch, engine.supervisor.event_table, "contexts")
    async with await Engine.open(tmp_path / "store", clock=clock, sending=False) as other:
        receipts = await other.submit("fake.me/user/a", "hi")
        await other.supervisor.waiting.until(lambda: settled(other, 1), PATIENCE)

    assert State.SENT == (await engine.wait(receipts))[0].state


async def test_a_stored_delivery_is_sent_although_its_account_could_not_be_opened_at_first(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_once(monkeypatch, Senders, "of")

    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await engine.supervisor.waiting.until(lambda: settled(engine, 1), PATIENCE)

    assert State.SENT == (await engine.receipt(receipt.delivery)).state


def refuse_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Have the async method `name` of `owner` fail at its first call, as where the store cannot be read."""
    method, refusals = getattr(owner, name), iter(range(1))

    async def sometimes(*args: Any, **kwargs: Any) -> Any:
        if next(refusals, None) is not None:
            raise StorageError("the disk is gone")
        return await method(*args, **kwargs)

    monkeypatch.setattr(owner, name, sometimes)
