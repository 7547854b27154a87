"""One writer thread per process: it takes whatever is waiting, runs it in one transaction, commits once, answers all.

Group commit is what makes durable also fast: the more is going on, the more rows share one flush to disk.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from yizhan.errors import StorageError

T = TypeVar("T")
Work = Callable[[Connection], Any]
Row = Mapping[str, Any]

BATCH = 512
"""Most operations that share one commit."""
OLDEST_SQLITE = (3, 35, 0)
"""The first with UPDATE … RETURNING."""
WRITES = {"writes": True}
"""Marks a connection that is there to write."""


class RowChanged(Exception):
    """An update found no row to change: somebody else had changed it first."""


@dataclass(slots=True)
class _Put:
    statement: Any
    row: Row
    done: asyncio.Future[Any]
    urgent: bool


@dataclass(slots=True)
class _Run:
    work: Work
    done: asyncio.Future[Any]
    urgent: bool


_Job = _Put | _Run
_Result = tuple[asyncio.Future[Any], Any, BaseException | None]


class Ledger:
    """The store's one writer, and its readers. Open with `await Ledger.open(url)`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commits = 0
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._gathered: list[_Job] = []
        self._gathering_in: asyncio.AbstractEventLoop | None = None
        self._prepared: dict[int, Prepared] = {}
        self._closed = False
        self._ending = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._write_forever, name="yizhan-ledger", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, url: str) -> Ledger:
        """Open the store at an SQLAlchemy `url`, bring its tables up to date and start the writer.

        Raises:
            StorageError: it cannot be opened, or is of a newer version than this program knows.
        """
        return cls(await asyncio.to_thread(_open_engine, url))

    @classmethod
    async def open_file(cls, file: Path) -> Ledger:
        return await cls.open(f"sqlite:///{file}")

    def put(self, statement: Any, row: Row, *, urgent: bool = False) -> asyncio.Future[Any]:
        """Have `statement` run with `row`; await the result to know that it is on disk.

        Rows of the same statement that wait together are written together. `urgent`: before whatever else waits, in a
        commit with its like.

        Raises:
            RowChanged: it is an update, and no row was as it says; nothing was changed.
            StorageError: the store could not be written.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._hand_over(_Put(statement, row, done, urgent))
        return done

    async def write(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Run `work` in the writer's transaction and return its result once that is on disk.

        An error inside undoes this work alone, not that of the others in the same commit. `urgent` as in `put`.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_over(_Run(work, done, urgent))
        return await done

    def _hand_over(self, job: _Job) -> None:
        """Give `job` to the writer together with whatever else this turn of the event loop brings."""
        if self._closed:
            job.done.set_exception(StorageError("the store is closed"))
            return
        loop = job.done.get_loop()
        if self._gathering_in is None:
            self._gathering_in = loop
            loop.call_soon(self._flush)
        elif self._gathering_in is not loop:
            self._jobs.put([job])
            return
        self._gathered.append(job)

    def _flush(self) -> None:
        jobs, self._gathered, self._gathering_in = self._gathered, [], None
        self._jobs.put(jobs)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reader's connection, in a thread; it sees what was committed before."""
        return await asyncio.to_thread(self._read, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self.engine.connect() as connection:
                return work(connection)
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(f"the store could not be read: {_in_words(error)}") from error

    async def close(self) -> None:
        """Write what is waiting, then end."""
        self._closed = True
        self._flush()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self.engine.dispose()

    # --- the writer thread ---

    def _write_forever(self) -> None:
        waiting: list[_Job] = []
        turn_of_all = False
        while self._take_up(waiting):
            # What is urgent goes first, and then all have their turn, so that nothing waits for ever.
            urgent = [] if turn_of_all else [job for job in waiting if job.urgent]
            turn_of_all = bool(urgent)
            jobs = (urgent or waiting)[:BATCH]
            waiting = [job for job in waiting if not job.urgent] if urgent else waiting[BATCH:]
            waiting[:0] = urgent[BATCH:]
            self._commit(jobs)
        if self._connection is not None:
            self._connection.close()

    def _take_up(self, waiting: list[_Job]) -> bool:
        """Add what was handed over to `waiting`, pausing when there is nothing; False at the end."""
        while not self._ending:
            try:
                some = self._jobs.get(block=not waiting)
            except queue.Empty:
                break
            if some is None:
                self._ending = True
            else:
                waiting.extend(some)
        return bool(waiting)

    def _commit(self, jobs: list[_Job]) -> None:
        """Run `jobs` in one transaction. If one fails, run them again, each fenced off from the others."""
        try:
            results = self._together(jobs, fenced=False)
        except Exception:
            try:
                results = self._together(jobs, fenced=True)
            except Exception as error:
                failure = StorageError(f"the store could not be written: {_in_words(error)}")
                failure.__cause__ = error
                results = [(job.done, None, failure) for job in jobs]
        _answer(results)

    def _together(self, jobs: list[_Job], *, fenced: bool) -> list[_Result]:
        results: list[_Result] = []
        with self._connected().begin():
            for group in _grouped(jobs):
                results.extend(self._fenced(group) if fenced else self._plain(group))
        self.commits += 1
        return results

    def _connected(self) -> Connection:
        """The writer's own connection; made anew when it broke."""
        if self._connection is None or self._connection.closed or self._connection.invalidated:
            self._connection = self.engine.connect().execution_options(**WRITES)
        return self._connection

    def _plain(self, group: list[_Job]) -> list[_Result]:
        first = group[0]
        if isinstance(first, _Run):
            return [(first.done, first.work(self._connected()), None)]
        self._execute(first.statement, [job.row for job in group if isinstance(job, _Put)])
        return [(job.done, None, None) for job in group]

    def _fenced(self, group: list[_Job]) -> list[_Result]:
        """An error undoes this group alone; in a group of several, the one row that is to blame."""
        try:
            with self._connected().begin_nested():
                return self._plain(group)
        except Exception as error:
            if not getattr(self._connected().connection.dbapi_connection, "in_transaction", True):
                # On a full disk SQLite may undo everything by itself, what went before included.
                raise
            if len(group) > 1:
                return [result for job in group for result in self._fenced([job])]
            ours = _storage_error(error) if isinstance(error, sa.exc.SQLAlchemyError) else error
            return [(group[0].done, None, ours)]

    def _execute(self, statement: Any, rows: list[Row]) -> None:
        connection = self._connected()
        prepared = self._prepared.get(id(statement))
        if prepared is None:
            prepared = self._prepared[id(statement)] = Prepared(statement, rows[0])
        if prepared.run(connection, rows).rowcount < len(rows) and prepared.is_update:
            raise RowChanged


class Prepared:
    """An insert or update, compiled once, that is then run without the library's work for every row.

    `columns`: the names that every row has; what else a table wants is its default.
    """

    def __init__(self, statement: Any, columns: Iterable[str]) -> None:
        self.is_update = bool(getattr(statement, "is_update", False))
        self._statement = statement
        self._columns = list(columns)
        self._dialect = ""

    def run(self, connection: Connection, rows: Sequence[Row]) -> sa.CursorResult[Any]:
        """Carry it out for every row."""
        if self._dialect != connection.dialect.name:
            self._compile(connection)
        values = [self._values(row) for row in rows]
        if len(values) == 1:
            return connection.exec_driver_sql(self._text, values[0])
        if not self._joins:
            return connection.exec_driver_sql(self._text, values)
        count = 1 << (len(values) - 1).bit_length()
        flat = [value for row in values for value in row]
        flat += [None] * (count * len(values[0]) - len(flat))
        return connection.exec_driver_sql(self._joined(count), tuple(flat))

    def _compile(self, connection: Connection) -> None:
        more = {} if self.is_update else {"column_keys": self._columns}
        compiled = self._statement.compile(dialect=connection.dialect, **more)
        self._dialect = connection.dialect.name
        self._text = str(compiled)
        self._fixed = {name: self._default(name, value) for name, value in compiled.params.items()}
        self._order = compiled.positiontup
        self._joins = self.is_update and self._dialect == "sqlite"
        self._joined_texts: dict[int, str] = {}

    def _default(self, name: str, value: Any) -> Any:
        column = None if self.is_update else self._statement.table.columns.get(name)
        default = getattr(column, "default", None)
        return default.arg if value is None and default is not None and default.is_scalar else value

    def _values(self, row: Row) -> Any:
        if self._order is None:
            return {**self._fixed, **row}
        fixed = self._fixed
        return tuple([row[name] if name in row else fixed[name] for name in self._order])

    def _joined(self, rows: int) -> str:
        """The same for `rows` rows in one step.

        Step by step the driver gives up the interpreter's lock and has to get it back from a busy event loop every
        time, which takes longer than the work itself. Sizes are powers of two, filled up with rows that fit nothing.
        """
        if rows not in self._joined_texts:
            pieces = self._text.split("?")
            text = pieces[0] + "".join(f"v.column{number}{piece}" for number, piece in enumerate(pieces[1:], 1))
            sets, _, where = text.partition(" WHERE ")
            row = f"({', '.join('?' * (len(pieces) - 1))})"
            self._joined_texts[rows] = f"{sets} FROM (VALUES {', '.join([row] * rows)}) AS v WHERE {where}"
        return self._joined_texts[rows]


def _grouped(jobs: list[_Job]) -> list[list[_Job]]:
    """Rows of one statement together; work of other kinds keeps its place between them."""
    groups: list[list[_Job]] = []
    open_groups: dict[int, list[_Job]] = {}
    for job in jobs:
        if isinstance(job, _Run):
            groups.append([job])
            open_groups.clear()
            continue
        group = open_groups.get(id(job.statement))
        if group is None:
            group = open_groups[id(job.statement)] = []
            groups.append(group)
        group.append(job)
    return groups


def _storage_error(error: Exception) -> StorageError:
    failure = StorageError(f"the store refused a write: {_in_words(error)}")
    failure.__cause__ = error
    return failure


_REMEDIES = (
    ("readonly", "Make the folder writable for this user, or name another."),
    ("unable to open", "Give this user the right to its folder, or name another."),
    ("not a database", "It is damaged, or no store: bring back a copy of it, or name another folder."),
    ("malformed", "It is damaged: bring back a copy of it, or begin anew in another folder."),
    ("locked", "Another program keeps it locked: end that one, and try again."),
    ("full", "Make room on the disk."),
)


def _in_words(error: Exception) -> str:
    """Return the database's own words and what to do; without the statement, whose values are nobody's business."""
    words = " ".join(str(getattr(error, "orig", None) or error).split())
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in words.lower()), "")
    return f"{words}. {remedy}" if remedy else words


def _answer(results: list[_Result]) -> None:
    """Wake the waiting coroutines, one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Result]] = {}
    for result in results:
        by_loop.setdefault(result[0].get_loop(), []).append(result)
    for loop, some in by_loop.items():
        with suppress(RuntimeError):  # nobody waits any more: that loop is closed
            loop.call_soon_threadsafe(_settle, some)


def _settle(results: list[_Result]) -> None:
    for done, value, error in results:
        if done.done():
            continue
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)


# --- opening ----------------------------------------------------------------------------------------------------------


def _open_engine(url: str) -> Engine:
    from yizhan.storage.migrations import upgrade

    try:
        engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        upgrade(engine)
    except sa.exc.SQLAlchemyError as error:
        raise StorageError(f"the store at {url.rpartition('@')[2]} cannot be opened: {_in_words(error)}") from error
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StorageError(
            f"this Python was built with SQLite {sqlite3.sqlite_version}; the store needs {wanted} (2021) or newer. "
            "Use another Python, such as that of a newer system."
        )

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling is off; SAVEPOINT and BEGIN are ours.
        connection.isolation_level = None
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the write lock at once; readers begin plainly and never wait for it.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
