"""Migrations of a store: numbered SQL files, one folder per dialect.

`sqlite/0006_….sql` makes revision 6 of revision 5. All files that a store lacks run in one transaction, under the lock
that the database gives to a writer, so that processes that open the store at the same time wait and then find it done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from yizhan.errors import StorageError
from yizhan.storage.driver import Connection, Driver
from yizhan.storage.statement import Statement

_HAS_TABLE = Statement("has table", sqlite="SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
_REVISION = Statement("revision", sqlite="SELECT revision FROM schema_revision")
_MAKE_REVISION = Statement("make revision", sqlite="CREATE TABLE schema_revision (revision INTEGER NOT NULL)")
_FORGET_REVISION = Statement("forget revision", sqlite="DELETE FROM schema_revision")
_SET_REVISION = Statement("set revision", sqlite="INSERT INTO schema_revision (revision) VALUES (:revision)")
# Up to revision 5 Alembic kept the number. Its table stays, so that such programs refuse the store in words.
_ALEMBIC_REVISION = Statement("Alembic's revision", sqlite="SELECT version_num FROM alembic_version")
_SET_ALEMBIC_REVISION = Statement("set Alembic's revision", sqlite="UPDATE alembic_version SET version_num = :number")


def upgrade(driver: Driver) -> None:
    """Bring the store up to date; quick when it is.

    Raises:
        StorageError: the store is damaged, cannot be written, or was written by a newer version of this program.
    """
    try:
        connection = driver.connect()
        try:
            with connection.transaction():
                current = _checked(driver, revision(driver, connection))
            if current < newest():
                _run_missing(driver, connection)
        finally:
            connection.close()
    except driver.error as error:
        raise driver.storage_error("cannot be opened", error) from error


def newest() -> int:
    """Return the revision that this program works with."""
    return max(_files("sqlite"))


def revision(driver: Driver, connection: Connection) -> int:
    """Return the revision of the store, 0 for a new one.

    Raises:
        StorageError: the store holds none that can be read.
    """
    if connection.row(_HAS_TABLE, {"name": "schema_revision"}):
        found = connection.column(_REVISION)
    elif connection.row(_HAS_TABLE, {"name": "alembic_version"}):
        found = connection.column(_ALEMBIC_REVISION)
    else:
        return 0
    if len(found) == 1 and str(found[0]).isdigit():
        return int(found[0])
    raise driver.damaged(f"it should name one revision and names {found or 'none'}")


def _checked(driver: Driver, current: int) -> int:
    if current > newest():
        raise StorageError(
            f"the store {driver.place} has revision {current}, this program knows {newest()}. "
            "Use a newer yizhan, or another folder."
        )
    if current < newest() and driver.read_only:
        raise driver.read_only_error()
    return current


def _run_missing(driver: Driver, connection: Connection) -> None:
    with connection.transaction(write=True):
        # Another process may have been quicker.
        current = _checked(driver, revision(driver, connection))
        for number, file in sorted(_files("sqlite").items()):
            if number > current:
                for statement in _statements(file):
                    connection.execute(statement)
        _set_revision(connection, newest())


def _set_revision(connection: Connection, number: int) -> None:
    if connection.row(_HAS_TABLE, {"name": "schema_revision"}):
        connection.execute(_FORGET_REVISION)
    else:
        connection.execute(_MAKE_REVISION)
    connection.execute(_SET_REVISION, {"revision": number})
    if connection.row(_HAS_TABLE, {"name": "alembic_version"}):
        connection.execute(_SET_ALEMBIC_REVISION, {"number": f"{number:04}"})


@cache
def _files(dialect: str) -> dict[int, Path]:
    """Return the files of a dialect by the revision that each makes."""
    folder = Path(__file__).parent / dialect
    return {int(file.name.partition("_")[0]): file for file in folder.glob("[0-9]*.sql")}


def _statements(file: Path) -> Iterator[Statement]:
    """Yield the statements of a file one by one: the driver would commit before a whole script."""
    text = ""
    for line in file.read_text().splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield Statement(file.name, sqlite=text)
            text = ""
