"""The writer: it answers after the commit, commits many writes at once, and keeps their errors apart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, until
from yizhan.errors import StorageError
from yizhan.storage import sqlite as sqlite_module
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import BATCH, Ledger, RowChanged
from yizhan.storage.statement import RowStatement, Statement


@pytest.fixture
async def ledger(tmp_path: Path) -> Any:
    ledger = await Ledger.open(tmp_path / "a.db")
    yield ledger
    await ledger.close()


INSERT = RowStatement(
    "insert",
    ("name", "value"),
    sqlite="INSERT INTO counters (name, value) SELECT v.name, v.value FROM {rows} WHERE v.name IS NOT NULL",
)
INSERT_ONE = Statement("insert one", sqlite="INSERT INTO counters (name, value) VALUES (:name, 1)")
COUNT = Statement("count", sqlite="SELECT count(*) FROM counters")
NAMES = Statement("names", sqlite="SELECT name FROM counters")
VALUES = Statement("values", sqlite="SELECT name, value FROM counters")


async def count(ledger: Ledger) -> int:
    return int(await ledger.read(lambda connection: connection.value(COUNT)))


async def names_in(ledger: Ledger) -> set[str]:
    return set(await ledger.read(lambda connection: connection.column(NAMES)))


async def values_in(ledger: Ledger) -> dict[str, int]:
    return dict(await ledger.read(lambda connection: connection.rows(VALUES)))


class Slow:
    """Work that blocks the writer until it is released."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, connection: Connection) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)


async def test_many_writes_share_few_commits(ledger: Ledger) -> None:
    before = ledger.commits

    await asyncio.gather(*(ledger.put(INSERT, {"name": f"n{i}", "value": i}) for i in range(2000)))

    assert 2000 == await count(ledger)
    assert ledger.commits - before < 100


async def test_an_awaited_write_is_on_disk(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.put(INSERT, {"name": "a", "value": 1})

    with sqlite3.connect(tmp_path / "a.db") as other:
        assert [("a", 1)] == other.execute("SELECT name, value FROM counters").fetchall()


async def test_a_bad_row_fails_alone(ledger: Ledger) -> None:
    rows = [{"name": name, "value": 1} for name in ("a", "b", "a", "c")]

    results = await asyncio.gather(*(ledger.put(INSERT, row) for row in rows), return_exceptions=True)

    assert [False, False, True, False] == [isinstance(result, StorageError) for result in results]
    names = await names_in(ledger)
    assert {"a", "b", "c"} == names


async def test_failing_work_is_undone_alone(ledger: Ledger) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(INSERT_ONE, {"name": "x"})
        raise KeyError("mine")

    results = await asyncio.gather(
        ledger.put(INSERT, {"name": "a", "value": 1}),
        ledger.write(fail),
        ledger.put(INSERT, {"name": "b", "value": 1}),
        return_exceptions=True,
    )

    assert isinstance(results[1], KeyError)
    names = await names_in(ledger)
    assert {"a", "b"} == names


async def test_rows_and_work_run_in_the_order_of_their_submission(ledger: Ledger) -> None:
    first = ledger.put(INSERT, {"name": "a", "value": 1})
    double = Statement("double", sqlite="UPDATE counters SET value = value * 2")
    doubled = asyncio.ensure_future(ledger.write(lambda connection: connection.execute(double)))
    await asyncio.sleep(0)
    second = ledger.put(INSERT, {"name": "b", "value": 1})
    await asyncio.gather(first, doubled, second)

    values = await values_in(ledger)
    assert {"a": 2, "b": 1} == values


async def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"this is not a database at all, only some words" * 20)

    with pytest.raises(StorageError, match=r"cannot be opened: file is not a database\. It is damaged") as said:
        await Ledger.open(tmp_path / "b.db")
    assert "sqlalche.me" not in str(said.value)


async def test_an_error_of_the_database_is_reported_without_the_values(ledger: Ledger) -> None:
    with pytest.raises(StorageError, match="no such table") as of_a_write:
        await ledger.put(
            RowStatement("nowhere", ("value",), sqlite="INSERT INTO nowhere SELECT v.value FROM {rows}"),
            {"value": "hush"},
        )
    select = Statement("nowhere", sqlite="SELECT * FROM nowhere WHERE a = :value")
    with pytest.raises(StorageError, match="no such table") as of_a_read:
        await ledger.read(lambda connection: connection.rows(select, {"value": "hush"}))

    for said in (of_a_write, of_a_read):
        assert "hush" not in str(said.value)


async def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    await (await Ledger.open(tmp_path / "c.db")).close()
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("UPDATE schema_revision SET revision = 9999")

    with pytest.raises(StorageError, match="newer yizhan"):
        await Ledger.open(tmp_path / "c.db")


async def test_an_update_that_matches_no_row_fails_alone(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.put(INSERT, {"name": name, "value": 1}) for name in ("a", "b")))
    update = RowStatement(
        "update",
        ("which",),
        sqlite="UPDATE counters SET value = 2 FROM {rows} WHERE counters.name = v.which AND counters.value = 1",
    )

    results = await asyncio.gather(
        *(ledger.put(update, {"which": name}) for name in ("a", "nobody", "b", "a")), return_exceptions=True
    )

    assert [type(None), RowChanged, type(None), RowChanged] == [type(result) for result in results]
    values = await values_in(ledger)
    assert {"a": 2, "b": 2} == values


async def test_on_a_full_disk_exactly_the_acknowledged_writes_are_stored(ledger: Ledger) -> None:
    def pages(count: int) -> Any:
        limit = Statement("limit", sqlite=f"PRAGMA max_page_count = {count}")
        return lambda connection: connection.value(limit)

    used = await ledger.read(lambda connection: connection.value(Statement("pages", sqlite="PRAGMA page_count")))
    await ledger.write(pages(int(used or 0) + 30))
    names = [f"{number:05}" + "x" * (5 if number % 7 else 9000) for number in range(300)]

    def inserting(name: str) -> Any:
        return lambda connection: connection.execute(INSERT_ONE, {"name": name})

    results = await asyncio.gather(
        *(ledger.put(INSERT, {"name": name, "value": 1}) for name in names),
        *(ledger.write(inserting("w" + name)) for name in names),
        return_exceptions=True,
    )

    stored = await names_in(ledger)
    tried = [*names, *("w" + name for name in names)]
    told = {name for name, result in zip(tried, results, strict=True) if not isinstance(result, BaseException)}
    assert told == stored
    assert len(told) < len(tried)
    await ledger.write(pages(1_000_000))
    await ledger.put(INSERT, {"name": "room again", "value": 1})


async def test_a_closed_store_refuses_writes_at_once(tmp_path: Path) -> None:
    ledger = await Ledger.open(tmp_path / "d.db")
    written = asyncio.ensure_future(ledger.write(lambda c: c.execute(INSERT_ONE, {"name": "last"})))
    await asyncio.sleep(0)
    await ledger.close()

    assert 1 == await asyncio.wait_for(written, PATIENCE)
    with pytest.raises(StorageError, match="closed"):
        await asyncio.wait_for(ledger.write(lambda c: None), PATIENCE)
    with pytest.raises(StorageError, match="closed"):
        await asyncio.wait_for(ledger.put(INSERT, {"name": "a", "value": 1}), PATIENCE)
    await ledger.close()


async def test_the_writer_survives_an_event_loop_that_closed_while_waiting_for_it(ledger: Ledger) -> None:
    slow = Slow()

    def leave() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(started())
        loop.close()

    async def started() -> None:
        held = asyncio.ensure_future(ledger.write(slow))
        await until(slow.begun.is_set)
        held.cancel()

    await asyncio.to_thread(leave)
    slow.go_on.set()

    await asyncio.wait_for(ledger.put(INSERT, {"name": "after", "value": 1}), PATIENCE)


async def test_a_write_waits_for_another_process_that_holds_the_store(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, tries = ledger._together, []

    def noted(*args: Any, **kwargs: Any) -> Any:
        tries.append(args)
        return together(*args, **kwargs)

    monkeypatch.setattr(ledger, "_together", noted)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    writing = asyncio.ensure_future(ledger.put(INSERT, {"name": "a", "value": 1}))
    await until(lambda: tries)
    assert 0 == await count(ledger)
    assert not writing.done()
    other.execute("COMMIT")
    other.close()

    await asyncio.wait_for(writing, PATIENCE)


async def test_the_write_ahead_log_stays_small_under_constant_reading(ledger: Ledger, tmp_path: Path) -> None:
    async def read() -> None:
        for _ in range(60):
            await count(ledger)

    async def write(first: int) -> None:
        for start in range(first, first + 4000, 200):
            await asyncio.gather(
                *(ledger.put(INSERT, {"name": f"{start + i} " + "x" * 500, "value": 1}) for i in range(200))
            )

    await asyncio.gather(read(), write(0), write(100_000))

    assert (tmp_path / "a.db-wal").stat().st_size < 16 << 20


async def test_urgent_writes_overtake_writes_that_waited_longer(ledger: Ledger) -> None:
    order: list[str] = []

    def put(name: str, *, urgent: bool) -> asyncio.Future[None]:
        done = ledger.put(INSERT, {"name": name, "value": 1}, urgent=urgent)
        done.add_done_callback(lambda _: order.append(name))
        return done

    slow = Slow()
    busy = asyncio.ensure_future(ledger.write(slow))
    await until(slow.begun.is_set)
    waiting = [put(f"n{number}", urgent=False) for number in range(10)]
    await asyncio.sleep(0)
    waiting += [put(f"u{number}", urgent=True) for number in range(3)]
    await asyncio.sleep(0)
    slow.go_on.set()
    await asyncio.gather(busy, *waiting)

    assert ["u0", "u1", "u2", "n0"] == order[:4]


async def test_urgent_writes_do_not_starve_the_others(ledger: Ledger) -> None:
    ended = False

    async def urgent(name: str) -> None:
        number = 0
        while not ended:
            number += 1
            await ledger.put(INSERT, {"name": f"{name}{number}", "value": 1}, urgent=True)

    streams = [asyncio.create_task(urgent(f"u{number}-")) for number in range(50)]
    busy_since = ledger.commits
    await until(lambda: ledger.commits > busy_since + 3)

    await asyncio.wait_for(ledger.put(INSERT, {"name": "patient", "value": 1}), PATIENCE)

    ended = True
    await asyncio.gather(*streams)


async def test_an_outdated_sqlite_is_refused_with_both_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "OLDEST_SQLITE", (9, 0, 0))

    with pytest.raises(StorageError, match=r"SQLite [\d.]+; the store needs 9\.0\.0"):
        await Ledger.open(tmp_path / "a.db")


async def test_more_urgent_writes_than_one_commit_takes_are_all_written(ledger: Ledger) -> None:
    amount = BATCH + 88

    await asyncio.wait_for(
        asyncio.gather(*(ledger.put(INSERT, {"name": f"u{i}", "value": 1}, urgent=True) for i in range(amount))),
        PATIENCE,
    )

    assert amount == await count(ledger)


async def test_every_commit_of_the_writer_reaches_the_disk(ledger: Ledger) -> None:
    synchronous, journal = (Statement(name, sqlite=f"PRAGMA {name}") for name in ("synchronous", "journal_mode"))

    assert (2, "wal") == await ledger.write(lambda c: (c.value(synchronous), c.value(journal)))
