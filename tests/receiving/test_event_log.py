"""Stored events are pruned after a while, but never before every reader has read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from yizhan.model import Event, EventKind, Message, Target, Text
from yizhan.receiving.event_log import EventTable
from yizhan.storage.ledger import Ledger
from yizhan.storage.vault import Vault

DAY = 86400.0
START = 20_000 * DAY
ANN = Target("qqbot.main", "user", "ANN")


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[EventTable]:
    ledger = await Ledger.open(tmp_path / "yizhan.db")
    yield EventTable(ledger, Vault.open(tmp_path / "key"))
    await ledger.close()


def said(id: str, at: float = START) -> Event:
    message = Message((Text(id),))
    return Event(id, EventKind.MESSAGE, "qqbot.main", at, ANN, message=message, context={"token": f"for {id}"})


async def keep(table: EventTable, *ids: str, day: float = 0, at: float = START) -> None:
    # Concurrent events share a commit; they are stored in the order of the calls.
    await asyncio.gather(*(table.keep(said(id, at), START + day * DAY) for id in ids))


async def left(table: EventTable) -> list[str]:
    return [event.id for event in await table.recent()]


async def test_old_events_are_pruned_and_newer_ones_kept(table: EventTable) -> None:
    await keep(table, "old 1", "old 2")
    await keep(table, "young", "newest", day=1)

    early = await table.prune(START + 30 * DAY)
    late = await table.prune(START + 30.5 * DAY)

    assert (0, 2) == (early.removed, late.removed)
    assert ["young", "newest"] == await left(table)


async def test_the_age_of_an_event_counts_from_its_storing_not_from_the_time_of_the_platform(table: EventTable) -> None:
    await keep(table, "told late", "newest", day=1, at=START - 300 * DAY)

    assert 0 == (await table.prune(START + 31 * DAY)).removed
    assert 1 == (await table.prune(START + 32 * DAY)).removed


async def test_events_that_a_reader_has_not_read_are_kept(table: EventTable) -> None:
    await keep(table, "a", "b", "c", "d")
    await table.move("slow", 2)
    await table.move("quick", 4)

    pruned = await table.prune(START + 40 * DAY)

    assert (2, ("slow",)) == pruned
    assert ["c", "d"] == [event.id for _, event in await table.after(2)]


async def test_a_forgotten_reader_keeps_no_events(table: EventTable) -> None:
    await keep(table, "a", "b")
    await table.move("gone", 0)

    assert (0, ("gone",)) == await table.prune(START + 40 * DAY)
    assert [True, False] == [await table.forget("gone"), await table.forget("gone")]
    assert (1, ()) == await table.prune(START + 40 * DAY)


async def test_event_numbers_continue_after_all_events_are_old(table: EventTable) -> None:
    await keep(table, "a", "b", "c")
    await table.move("reader", await table.latest())
    await table.prune(START + 40 * DAY)

    await keep(table, "next")

    assert ["next"] == [event.id for _, event in await table.after(await table.place("reader") or 0)]


async def test_conversation_contexts_survive_pruning(table: EventTable) -> None:
    await keep(table, "a", "b")
    await table.keep(Event("c", EventKind.OTHER, "qqbot.main", START), START)
    await table.prune(START + 40 * DAY)

    assert ["c"] == await left(table)
    assert "for b" == (await table.contexts("qqbot.main"))[ANN]["token"]


async def test_many_events_are_pruned_in_several_transactions(table: EventTable) -> None:
    await keep(table, *(str(number) for number in range(1203)))

    assert 1202 == (await table.prune(START + 40 * DAY)).removed
