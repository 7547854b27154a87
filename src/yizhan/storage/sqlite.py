"""SQLite: how a store's file is opened, and how statements run over the driver of the standard library."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from yizhan.errors import StorageError
from yizhan.storage.driver import NO_VALUES, Connection, Driver, Row, Values
from yizhan.storage.statement import RowStatement, Statement

OLDEST_SQLITE = (3, 35, 0)
"""The first version with UPDATE … RETURNING."""
BUSY_SECONDS = 30.0
"""Seconds to wait for another process that writes."""
CACHED_STATEMENTS = 256
DIALECT = "sqlite"


class SqliteDriver(Driver):
    """A store in one SQLite file."""

    error = sqlite3.Error

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def open(cls, file: Path) -> SqliteDriver:
        """Make the file if need be, and prepare it for writing beside readers.

        A store that this user or this file system only lets be read is opened for reading.

        Raises:
            StorageError: the file cannot be opened, or is no store.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            wanted = ".".join(map(str, OLDEST_SQLITE))
            raise StorageError(
                f"this Python was built with SQLite {sqlite3.sqlite_version}; the store needs {wanted} (2021) or "
                "newer. Use another Python, such as that of a newer system."
            )
        driver = cls(file)
        try:
            driver.read_only = file.exists() and not _writable(file)
            if not driver.read_only:
                _make_private(file)
                driver._use_write_ahead_log()
        except (OSError, sqlite3.Error) as error:
            raise driver.storage_error("cannot be opened", error) from error
        return driver

    def connect(self) -> SqliteConnection:
        raw = sqlite3.connect(
            f"{self.file.absolute().as_uri()}?{self._mode()}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # BEGIN, SAVEPOINT and COMMIT are ours
            check_same_thread=False,  # a connection wanders between threads, one at a time
            cached_statements=CACHED_STATEMENTS,
        )
        try:
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            raw.close()
            raise
        return SqliteConnection(raw)

    def storage_error(self, what: str, error: Exception) -> StorageError:
        words = " ".join(str(error).split())
        return StorageError(f"the store {self.file} {what}: {words}. {self._remedy(words.lower())}".rstrip())

    def read_only_error(self) -> StorageError:
        return StorageError(f"the store {self.file} can only be read. {_NO_RIGHT}")

    def damaged(self, what: str) -> StorageError:
        return StorageError(f"the store {self.file} is damaged: {what}. {_RESTORE}")

    @property
    def place(self) -> str:
        return str(self.file)

    def _remedy(self, words: str) -> str:
        if _is_full(self.file.parent):
            return "The disk is full: make room on it, and try again."
        return next((remedy for sign, remedy in _REMEDIES.items() if sign in words), "")

    def _use_write_ahead_log(self) -> None:
        """Switch the file to write-ahead logging, which it then keeps."""
        raw = self.connect()._raw
        ends = time.monotonic() + BUSY_SECONDS
        try:
            while raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                # SQLite does not wait for others here, even with a timeout.
                try:
                    raw.execute("PRAGMA journal_mode = WAL")
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or time.monotonic() > ends:
                        raise
                    time.sleep(0.005)
        finally:
            raw.close()

    def _mode(self) -> str:
        if not self.read_only:
            return "mode=rw"
        # SQLite refuses to read where it can neither find nor make the log's files, unless told that nobody writes.
        log = self.file.with_name(self.file.name + "-wal")
        return "mode=ro" if log.exists() else "immutable=1"


class SqliteConnection(Connection):
    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._texts: dict[tuple[RowStatement, int], str] = {}

    def execute(self, statement: Statement, values: Values = NO_VALUES) -> int:
        return self._raw.execute(statement.text(DIALECT), values).rowcount

    def rows(self, statement: Statement, values: Values = NO_VALUES) -> list[Row]:
        return self._raw.execute(statement.text(DIALECT), values).fetchall()

    def put(self, statement: RowStatement, rows: Sequence[Values]) -> int:
        # One step for all: step by step the driver gives up the interpreter's lock and has to get it back from a busy
        # event loop every time, which takes longer than the work itself. Sizes are powers of two, so that a few texts
        # serve; the rest is NULL.
        size = 1 << (len(rows) - 1).bit_length()
        columns = statement.columns
        flat = [row[column] for row in rows for column in columns]
        flat += [None] * (size * len(columns) - len(flat))
        return self._raw.execute(self._text(statement, size), flat).rowcount

    def _text(self, statement: RowStatement, size: int) -> str:
        text = self._texts.get((statement, size))
        if text is None:
            names = ", ".join(f"column{number} AS {name}" for number, name in enumerate(statement.columns, 1))
            row = f"({', '.join('?' * len(statement.columns))})"
            table = f"(SELECT {names} FROM (VALUES {', '.join([row] * size)})) AS v"
            text = self._texts[statement, size] = statement.text(DIALECT).replace("{rows}", table)
        return text

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[None]:
        # A writer takes the write lock at once; readers begin plainly and never wait for it.
        self._raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            self._raw.execute("COMMIT")
        except BaseException:
            # On a full disk SQLite may have undone everything by itself.
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
            raise

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._raw.execute("SAVEPOINT fence")
        try:
            yield
        except BaseException:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK TO fence")
                self._raw.execute("RELEASE fence")
            raise
        self._raw.execute("RELEASE fence")

    def close(self) -> None:
        self._raw.close()


_RESTORE = "Restore a copy of it, or start with a new store in another folder."
_DAMAGED = f"It is damaged, or no store. {_RESTORE}"
_NO_RIGHT = "Give this user the right to write to its folder and files, or name another folder."
_REMEDIES = {
    "readonly": _NO_RIGHT,
    "permission denied": _NO_RIGHT,
    "unable to open": _NO_RIGHT,
    "not a database": _DAMAGED,
    "malformed": _DAMAGED,
    "no such": _DAMAGED,
    "is a directory": "Name another folder.",
    "locked": "Another program keeps it locked: end that program, and try again.",
    "full": "Make room on its disk, and try again.",
    "disk i/o error": "Look for a full or failing disk, then try again.",
}
"""The remedy, by a part of the database's message."""
FULL_BYTES = 64 << 10
"""With fewer bytes than this a disk counts as full: SQLite's files beside the store take as much to begin with."""


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _writable(file: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return all(os.access(path, os.W_OK, effective_ids=effective) for path in (file, file.parent))


def _make_private(file: Path) -> None:
    """Create `file` for this user alone, whatever the umask; SQLite gives the log's files the same mode.

    A folder that holds nothing else becomes this user's alone, too.
    """
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    if [file.name] == os.listdir(file.parent):
        with suppress(PermissionError):  # a mount of another user: its owner decides
            file.parent.chmod(0o700)
