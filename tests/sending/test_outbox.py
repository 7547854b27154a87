"""The outbox on its own store: amounts above every batch size, order, doubt, and indexes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from yizhan.model import Message, PlatformId, State, Target, Text
from yizhan.sending.delivery import BROADCAST, REPLY, SINGLE, Delivery, Progress, Submission
from yizhan.sending.outbox import claim, operator, receipts, record
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.storage.ledger import Ledger, RowChanged
from yizhan.storage.statement import Statement

NOW = 1000.0


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(tmp_path / "a.db")
    yield ledger
    await ledger.close()


@pytest.fixture
def outbox(ledger: Ledger, clock: Clock) -> Outbox:
    return Outbox(ledger, clock)


@pytest.fixture
def records(ledger: Ledger) -> Records:
    return Records(ledger)


def submissions(count: int, first: int = 0) -> list[Submission]:
    return [Submission(Target("fake.me", "user", f"u{number}"), 1) for number in range(first, first + count)]


async def submit(
    outbox: Outbox, to: Sequence[Submission], *, priority: int = SINGLE, expires_at: float | None = None
) -> Sequence[int]:
    message = Message((Text("hi"),))
    return (await outbox.submit(message, to, priority=priority, expires_at=expires_at)).seqs


async def sending(outbox: Outbox, *, repeatable: bool = True, expires_at: float | None = None) -> Delivery:
    """Store one delivery and mark it as about to leave."""
    await submit(outbox, submissions(1), expires_at=expires_at)
    (delivery,) = await outbox.due("fake.me", NOW, 1)
    await outbox.mark_sending(delivery, NOW, repeatable=repeatable, spends="")
    return delivery


async def test_5001_deliveries_of_one_call_are_stored_in_one_commit(
    outbox: Outbox, records: Records, ledger: Ledger
) -> None:
    before = ledger.commits

    seqs = await submit(outbox, submissions(5001), priority=BROADCAST)

    assert 1 == ledger.commits - before
    found = await records.receipts(seqs, limit=6000)
    assert [f"fake.me/user/u{number}" for number in range(5001)] == [receipt.target for receipt in found]
    assert {State.QUEUED: 5001} == await records.counts()


async def test_1200_deliveries_are_cancelled_by_one_call(outbox: Outbox, records: Records) -> None:
    seqs = await submit(outbox, submissions(1300), priority=BROADCAST)

    cancelled = await outbox.cancel(seqs[:1200])

    assert sorted(seqs[:1200]) == sorted(seq for seq, _ in cancelled)
    assert {State.CANCELLED: 1200, State.QUEUED: 100} == await records.counts()
    assert all(receipt.settled_at == NOW for receipt in await records.receipts(seqs[:1200], limit=2000))


async def test_due_deliveries_come_by_priority_and_then_in_the_order_of_their_numbers(outbox: Outbox) -> None:
    for number, priority in enumerate((BROADCAST, SINGLE, REPLY, BROADCAST, SINGLE)):
        await submit(outbox, submissions(1, number), priority=priority)

    due = await outbox.due("fake.me", NOW, 10)

    assert ["u2", "u1", "u4", "u0", "u3"] == [delivery.target.id for delivery in due]
    last = due[1]
    rest = await outbox.due("fake.me", NOW, 10, after=(last.priority, last.seq))
    assert ["u4", "u0", "u3"] == [delivery.target.id for delivery in rest]
    urgent = await outbox.due("fake.me", NOW, 10, below=BROADCAST)
    assert ["u2", "u1", "u4"] == [delivery.target.id for delivery in urgent]


async def test_a_delivery_in_doubt_neither_expires_nor_is_cancelled(
    outbox: Outbox, records: Records, clock: Clock
) -> None:
    delivery = await sending(outbox, expires_at=NOW + 10)
    assert (1, 0) == await outbox.recover()
    clock.time += 100

    assert [] == await outbox.release_due("fake.me", clock.now())
    assert [] == await outbox.cancel([delivery.seq])
    assert {State.QUEUED: 1} == await records.counts()


async def test_the_time_since_which_a_delivery_is_in_doubt_stays_over_several_crashes(
    outbox: Outbox, clock: Clock
) -> None:
    delivery = await sending(outbox)
    for _ in range(3):
        await outbox.recover()
        clock.time += 50
        await outbox.mark_sending(delivery, clock.now(), repeatable=True, spends="", resend=True)
    await outbox.recover()

    (again,) = await outbox.due("fake.me", clock.now(), 1)

    assert (True, NOW, NOW + 150) == (
        again.progress.in_doubt,
        again.progress.in_doubt_since,
        again.progress.sending_at,
    )


async def test_a_part_that_arrives_ends_the_doubt_about_it(outbox: Outbox) -> None:
    delivery = await sending(outbox)
    await outbox.recover()
    await outbox.record_part(delivery, Progress(ids=(PlatformId("x"),), attempts=2))

    (again,) = await outbox.due("fake.me", NOW, 1)

    assert (False, 0, 1, 2) == (
        again.progress.in_doubt,
        again.progress.part_attempts,
        again.progress.parts_done,
        again.progress.attempts,
    )


async def test_an_unknown_delivery_that_is_sent_again_has_neither_an_end_nor_an_expiry(
    outbox: Outbox, records: Records, clock: Clock
) -> None:
    delivery = await sending(outbox, repeatable=False, expires_at=NOW + 10)
    assert (0, 1) == await outbox.recover()
    (unknown,) = await records.receipts([delivery.seq])
    assert (State.UNKNOWN, NOW) == (unknown.state, unknown.settled_at)
    clock.time += 100

    assert await outbox.settle_unknown(delivery.seq, State.QUEUED, "Send it again.")

    assert [] == await outbox.release_due("fake.me", clock.now())
    (again,) = await outbox.due("fake.me", clock.now(), 1)
    assert (None, 0.0, False) == (again.expires_at, again.progress.settled_at, again.progress.in_doubt)
    assert not await outbox.settle_unknown(delivery.seq, State.SENT, "It is not unknown any more.")


async def test_a_cancelled_delivery_cannot_be_marked_as_leaving(outbox: Outbox) -> None:
    await submit(outbox, submissions(1))
    (delivery,) = await outbox.due("fake.me", NOW, 1)
    await outbox.cancel([delivery.seq])

    with pytest.raises(RowChanged):
        await outbox.mark_sending(delivery, NOW, repeatable=True, spends="")


async def test_a_damaged_delivery_does_not_stop_the_others_of_its_account(
    outbox: Outbox, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    damage = Statement("damage", sqlite="UPDATE deliveries SET ids = '[{' WHERE target = 'u1'")
    await submit(outbox, submissions(3))
    await ledger.write(lambda connection: connection.execute(damage))

    for _ in range(2):
        assert ["u0", "u2"] == [delivery.target.id for delivery in await outbox.due("fake.me", NOW, 10)]

    assert 1 == caplog.text.count("delivery d2 cannot be read")


def statements(*modules: ModuleType) -> list[Statement]:
    return [value for module in modules for value in vars(module).values() if isinstance(value, Statement)]


@pytest.mark.parametrize("statement", statements(claim, operator, record, receipts), ids=lambda one: one.name)
async def test_no_statement_reads_every_delivery_that_ever_was(
    statement: Statement, ledger: Ledger, tmp_path: Path
) -> None:
    text = statement.text("sqlite")
    values = dict.fromkeys(re.findall(r":(\w+)", text), 1)
    connection = sqlite3.connect(tmp_path / "a.db")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    connection.close()

    assert "SCAN deliveries" not in plan
