"""Stores of older revisions, stores that are opened twice at the same time, and stores that are broken."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE
from yizhan.errors import StorageError
from yizhan.storage import migrations
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

OLD_STORES = sorted((Path(__file__).parent / "old_stores").glob("*.sql"))
DELIVERY = """
    INSERT INTO deliveries (seq, message, broadcast, account, kind, target, "key", priority, state, due_at, expires_at,
        first_number, parts_done, repeatable, asked, spends, attempts, ids, notes, detail, error, code, trace_id,
        created_at, sending_at, settled_at)
    VALUES (7, 7, 7, 'fake.me', 'user', 'a', 'news', 10, 'queued', 0, NULL,
        1, 1, 1, 1, 'unasked', 2, '[{"id":"x"}]', 'note', 'detail', '', '', '', 1, 2, 0)
"""
STATE = "INSERT INTO keeps (account, name, value) VALUES ('fake.me', 'token', X'00')"
ACCOUNT = "INSERT INTO accounts (name, settings, paused, added_at) VALUES ('fake.me', X'01', '', 1)"
EVENT = "INSERT INTO events (account, event_id, kind, at, body) VALUES ('fake.me', 'e', 'message', 5, X'02')"
OPEN_AND_CLOSE = """
import asyncio, sys
from pathlib import Path
from yizhan.storage.ledger import Ledger
async def main():
    for name in sys.argv[1:]:
        await (await Ledger.open(Path(name))).close()
asyncio.run(main())
"""


def old_store(folder: Path, dump: Path) -> Path:
    file = folder / f"{dump.stem}.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(dump.read_text())
        for insert in (DELIVERY, STATE, ACCOUNT, EVENT):
            connection.execute(insert)
    connection.close()
    return file


def schema(file: Path) -> dict[str, Any]:
    """Return the columns of every table, and the indexes, of a store; Alembic's own table aside."""
    connection = sqlite3.connect(file)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'")
    found: dict[str, Any] = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in names}
    found = {name: sorted((column[1], column[3], column[5]) for column in columns) for name, columns in found.items()}
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name <> 'alembic_version' ORDER BY name"
    found["indexes"] = connection.execute(indexes).fetchall()
    connection.close()
    return found


async def opened(file: Path) -> None:
    await (await Ledger.open(file)).close()


@pytest.mark.parametrize("dump", OLD_STORES, ids=lambda dump: dump.stem)
async def test_a_store_of_an_older_revision_is_taken_over_with_everything_in_it(tmp_path: Path, dump: Path) -> None:
    await opened(tmp_path / "new.db")
    file = old_store(tmp_path, dump)

    await opened(file)

    assert schema(tmp_path / "new.db") == schema(file)
    connection = sqlite3.connect(file)
    columns = "seq, target, key, in_doubt, in_doubt_since, part_attempts, attempts, ids, notes, not_before, parts"
    assert [(7, "a", "news", 1, 0, 0, 2, '[{"id":"x"}]', "note", 0, 0)] == connection.execute(
        f"SELECT {columns} FROM deliveries"
    ).fetchall()
    assert [("fake.me", "token", b"\x00")] == connection.execute("SELECT * FROM account_state").fetchall()
    assert [("fake.me", b"\x01", 1)] == connection.execute("SELECT name, settings, added_at FROM accounts").fetchall()
    assert [(5 if dump.stem < "0003" else 0,)] == connection.execute("SELECT stored_at FROM events").fetchall()
    # A program of that time finds a number that it does not know, and leaves the store alone.
    assert [(f"{migrations.newest():04}",)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()
    connection.close()


async def test_calls_with_several_targets_become_broadcasts(tmp_path: Path) -> None:
    file = old_store(tmp_path, OLD_STORES[-1])
    columns = "seq message broadcast account kind target key state settled_at created_at"
    connection = sqlite3.connect(file)
    with connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(deliveries)")]
        same = ", ".join(name for name in names if name not in columns.split())
        for values in [
            (11, 1, 11, "fake.me", "user", "a", "k", "sent", 5, 1),
            (12, 1, 11, "fake.you", "user", "b", "k", "failed", 9, 1),
            (13, 1, 13, "fake.me", "user", "a", None, "sent", 5, 2),
            (14, 1, 14, "fake.me", "user", "c", "k", "queued", 0, 3),
            (15, 1, 14, "fake.me", "user", "d", "k", "sent", 4, 3),
            (16, 1, 16, "fake.me", "user", "e", None, "held", 0, 4),
            (17, 1, 16, "fake.me", "user", "e", None, "sent", 7, 4),
        ]:
            connection.execute(
                f"INSERT INTO deliveries ({', '.join(columns.split())}, {same}) "
                f"SELECT {', '.join('?' * len(values))}, {same} FROM deliveries WHERE seq = 7",
                values,
            )

    await opened(file)

    def rows(query: str) -> list[tuple[object, ...]]:
        return connection.execute(query).fetchall()

    assert [
        (11, "done", "k", 1, 2, 9.0),
        (14, "running", None, 1, 2, 0.0),
        (16, "running", None, 1, 2, 0.0),
    ] == rows("SELECT id, state, key, complete, total, ended_at FROM broadcasts ORDER BY id")
    assert [
        (7, 0, 0),
        (11, 11, 1),
        (12, 11, 2),
        (13, 0, 0),
        (14, 14, 1),
        (15, 14, 2),
        (16, 16, 1),
        (17, 16, 2),
    ] == rows("SELECT seq, broadcast, ord FROM deliveries ORDER BY seq")
    assert [("fake.me", "sent", 1), ("fake.you", "failed", 1)] == rows(
        "SELECT account, state, n FROM broadcast_counts WHERE broadcast = 11 ORDER BY account"
    )
    assert [("fake.me", 1, 1), ("fake.you", 2, 2)] == rows(
        "SELECT account, fed_to, last FROM feeds WHERE broadcast = 11 ORDER BY account"
    )
    # One target twice in a call is one recipient and two deliveries, as it was sent.
    assert [("e", 1)] == rows("SELECT target, ord FROM recipients WHERE broadcast = 16")
    # The next numbers continue behind these.
    assert [(16,)] == rows("SELECT value FROM counters WHERE name = 'broadcast'")
    connection.close()


def test_every_older_revision_has_a_store_to_be_taken_over() -> None:
    assert ["0001", "0002", "0003", "0004", "0005"] == [dump.stem for dump in OLD_STORES]


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
async def test_stores_that_are_opened_at_the_same_time_in_one_process_all_open(tmp_path: Path, old: bool) -> None:
    files = [tmp_path / str(number) / "a.db" for number in range(6)]
    for number, file in enumerate(files):
        file.parent.mkdir()
        if old:
            old_store(file.parent, OLD_STORES[number % len(OLD_STORES)]).rename(file)

    await asyncio.gather(*(opened(file) for file in files for _ in range(3)))

    assert 1 == len({str(schema(file)) for file in files})


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_a_store_that_two_threads_open_at_the_same_time_opens_in_both(tmp_path: Path, old: bool) -> None:
    file = old_store(tmp_path, OLD_STORES[0]) if old else tmp_path / "a.db"
    start = threading.Barrier(4)
    problems: list[BaseException] = []

    def work() -> None:
        start.wait(PATIENCE)
        try:
            asyncio.run(opened(file))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert [] == problems


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
async def test_a_store_that_two_processes_open_at_the_same_time_opens_in_both(tmp_path: Path, old: bool) -> None:
    files = [tmp_path / str(number) / "a.db" for number in range(8)]
    for file in files:
        file.parent.mkdir()
        if old:
            old_store(file.parent, OLD_STORES[0]).rename(file)
    words = ["-c", OPEN_AND_CLOSE, *map(str, files)]
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, *words, stderr=asyncio.subprocess.PIPE) for _ in range(2)
    ]

    said = await asyncio.gather(*(process.communicate() for process in processes))

    assert [0, 0] == [process.returncode for process in processes], said
    assert 1 == len({str(schema(file)) for file in files})


async def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = old_store(tmp_path, OLD_STORES[1])
    before = schema(file)
    bad = tmp_path / "9999_bad.sql"
    bad.write_text("DROP TABLE media;\nALTER TABLE nowhere RENAME TO somewhere;\n")
    good = migrations._files("sqlite")
    monkeypatch.setattr(migrations, "_files", lambda dialect: {**good, 9999: bad})

    with pytest.raises(StorageError, match="no such table"):
        await Ledger.open(file)

    assert before == schema(file)


@pytest.mark.parametrize(
    "break_it",
    [
        "DELETE FROM schema_revision",
        "INSERT INTO schema_revision VALUES (6)",
        "UPDATE schema_revision SET revision = 'soon'",
    ],
)
async def test_a_store_with_a_senseless_revision_is_reported_as_damaged(tmp_path: Path, break_it: str) -> None:
    file = tmp_path / "a.db"
    await opened(file)
    with sqlite3.connect(file) as connection:
        connection.execute(break_it)
    connection.close()

    with pytest.raises(StorageError, match=r"a\.db is damaged: .*Restore a copy"):
        await Ledger.open(file)


async def test_an_old_store_without_a_revision_is_reported_as_damaged(tmp_path: Path) -> None:
    file = old_store(tmp_path, OLD_STORES[0])
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM alembic_version")
    connection.close()

    with pytest.raises(StorageError, match=r"is damaged: it should name one revision and names none"):
        await Ledger.open(file)


async def test_the_files_of_a_store_are_for_its_owner_alone_with_any_umask(tmp_path: Path) -> None:
    import os

    before = os.umask(0)
    try:
        ledger = await Ledger.open(tmp_path / "a.db")
        touched = Statement("touch", sqlite="INSERT INTO counters (name, value) VALUES ('a', 1)")
        await ledger.write(lambda connection: connection.execute(touched))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        await ledger.close()
    finally:
        os.umask(before)

    assert {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600} == modes
