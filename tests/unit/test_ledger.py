"""The one writer: everything on disk before it is answered, many in one commit, an error its own alone."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from yizhan.errors import StorageError
from yizhan.storage import migrations
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import counters, metadata


@pytest.fixture
async def ledger(tmp_path: Path) -> Any:
    ledger = await Ledger.open_file(tmp_path / "a.db")
    yield ledger
    await ledger.close()


INSERT = counters.insert()


async def test_many_writes_share_few_commits(ledger: Ledger) -> None:
    before = ledger.commits

    await asyncio.gather(*(ledger.put(INSERT, {"name": f"n{i}", "value": i}) for i in range(2000)))

    assert 2000 == await ledger.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(counters)).scalar())
    assert ledger.commits - before < 100


async def test_what_is_answered_is_on_disk(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.put(INSERT, {"name": "a", "value": 1})

    with sqlite3.connect(tmp_path / "a.db") as other:
        assert [("a", 1)] == other.execute("SELECT name, value FROM counters").fetchall()


async def test_a_bad_row_fails_alone(ledger: Ledger) -> None:
    rows = [{"name": name, "value": 1} for name in ("a", "b", "a", "c")]

    results = await asyncio.gather(*(ledger.put(INSERT, row) for row in rows), return_exceptions=True)

    assert [False, False, True, False] == [isinstance(result, StorageError) for result in results]
    names = await ledger.read(lambda c: set(c.execute(sa.select(counters.c.name)).scalars()))
    assert {"a", "b", "c"} == names


async def test_work_that_fails_is_undone_alone(ledger: Ledger) -> None:
    def fail(connection: sa.engine.Connection) -> None:
        connection.execute(INSERT.values(name="x", value=1))
        raise KeyError("mine")

    results = await asyncio.gather(
        ledger.put(INSERT, {"name": "a", "value": 1}),
        ledger.write(fail),
        ledger.put(INSERT, {"name": "b", "value": 1}),
        return_exceptions=True,
    )

    assert isinstance(results[1], KeyError)
    names = await ledger.read(lambda c: set(c.execute(sa.select(counters.c.name)).scalars()))
    assert {"a", "b"} == names


async def test_order_is_kept_around_work_of_other_kinds(ledger: Ledger) -> None:
    first = ledger.put(INSERT, {"name": "a", "value": 1})
    double = counters.update().values(value=counters.c.value * 2)
    doubled = asyncio.ensure_future(ledger.write(lambda c: c.execute(double).rowcount))
    await asyncio.sleep(0)
    second = ledger.put(INSERT, {"name": "b", "value": 1})
    await asyncio.gather(first, doubled, second)

    values = await ledger.read(lambda c: dict(c.execute(sa.select(counters.c.name, counters.c.value)).all()))
    assert {"a": 2, "b": 1} == values


async def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"this is not a database at all, only some words" * 20)

    with pytest.raises(StorageError, match="cannot be opened"):
        await Ledger.open_file(tmp_path / "b.db")


async def test_a_store_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    await (await Ledger.open_file(tmp_path / "c.db")).close()
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StorageError, match="newer yizhan"):
        await Ledger.open_file(tmp_path / "c.db")


def test_the_revisions_make_the_tables_that_the_code_declares() -> None:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    migrations.upgrade(engine)

    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), metadata)
    newest = max(file.stem[:4] for file in (Path(migrations.__file__).parent / "versions").glob("[0-9]*.py"))
    assert newest == migrations.HEAD == migrations.current_revision(engine)
