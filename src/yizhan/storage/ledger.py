"""The store's one writer thread: it takes all work that waits, runs it in one transaction, commits once, answers all.

Group commit makes durable writes fast: the more is going on, the more rows share one flush to disk.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from yizhan.errors import StorageError
from yizhan.storage.driver import Connection, Driver, Values
from yizhan.storage.migrations import upgrade
from yizhan.storage.sqlite import SqliteDriver
from yizhan.storage.statement import RowStatement

T = TypeVar("T")
Work = Callable[[Connection], Any]

BATCH = 512
"""Most operations that share one commit."""


class RowChanged(Exception):
    """An update found no row to change: the row had been changed before."""


@dataclass(slots=True)
class _Put:
    statement: RowStatement
    row: Values
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
    """The store's one writer, and its readers. Made by `await Ledger.open(file)`, ended by `close`."""

    def __init__(self, driver: Driver) -> None:
        self.commits = 0
        self._driver = driver
        self._readers = _Readers(driver)
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._gathered: list[_Job] = []
        self._gathering_in: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._ending = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._write_forever, name="yizhan-ledger", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, file: Path) -> Ledger:
        """Open the store in `file`, making it if need be; bring its tables up to date and start the writer.

        Raises:
            StorageError: it cannot be opened, or was written by a newer version of this program.
        """
        return cls(await asyncio.to_thread(_open_driver, file))

    @property
    def read_only(self) -> bool:
        """Whether the store can be read and not written, by this user or on this file system."""
        return self._driver.read_only

    def damaged(self, what: str) -> StorageError:
        """Return the error for a row that makes no sense, with the place of the store and the remedy."""
        return self._driver.damaged(what)

    def put(self, statement: RowStatement, row: Values, *, urgent: bool = False) -> asyncio.Future[Any]:
        """Have `statement` run with `row`; await the result to know that it is on disk.

        Rows of the same statement that wait together are written together. `urgent`: ahead of everything that is not,
        in a commit with other urgent work.

        Raises:
            RowChanged: it is an update, and no row matched; nothing was changed.
            StorageError: the store could not be written.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._hand_over(_Put(statement, row, done, urgent))
        return done

    async def write(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Run `work` in the writer's transaction and return its result once that is on disk.

        An error in `work` undoes this work alone, not that of the others in the same commit. `urgent` as in `put`. On a
        store that can only be read, work that turns out to write nothing succeeds.
        """
        if self.read_only:
            return await self.read(work)
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_over(_Run(work, done, urgent))
        return await done

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a reader's connection, in a thread; it sees everything that was committed before."""
        return await asyncio.to_thread(self._read, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._readers.connection() as connection:
                return work(connection)
        except self._driver.error as error:
            raise self._driver.storage_error("could not be read", error) from error

    def _hand_over(self, job: _Job) -> None:
        """Give `job` to the writer together with everything else that this turn of the event loop brings."""
        refusal = self._refusal()
        if refusal is not None:
            job.done.set_exception(refusal)
            return
        loop = job.done.get_loop()
        if self._gathering_in is None:
            self._gathering_in = loop
            loop.call_soon(self._flush)
        elif self._gathering_in is not loop:
            self._jobs.put([job])
            return
        self._gathered.append(job)

    def _refusal(self) -> StorageError | None:
        if self._closed:
            return StorageError("the store is closed")
        return self._driver.read_only_error() if self.read_only else None

    def _flush(self) -> None:
        jobs, self._gathered, self._gathering_in = self._gathered, [], None
        self._jobs.put(jobs)

    async def close(self) -> None:
        """Write everything that waits, then end."""
        self._closed = True
        self._flush()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.close()

    # --- the writer thread ---

    def _write_forever(self) -> None:
        waiting: list[_Job] = []
        turn_of_all = False
        while self._take_up(waiting):
            # Urgent work goes first, and then all have their turn, so that nothing waits for ever.
            urgent = [] if turn_of_all else [job for job in waiting if job.urgent]
            turn_of_all = bool(urgent)
            jobs = (urgent or waiting)[:BATCH]
            waiting = [job for job in waiting if not job.urgent] if urgent else waiting[BATCH:]
            waiting[:0] = urgent[BATCH:]
            self._commit(jobs)
        if self._connection is not None:
            self._connection.close()

    def _take_up(self, waiting: list[_Job]) -> bool:
        """Add the work that was handed over to `waiting`, pausing when there is none; False at the end."""
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
                failure = self._driver.storage_error("could not be written", error)
                failure.__cause__ = error
                results = [(job.done, None, failure) for job in jobs]
        _answer(results)

    def _together(self, jobs: list[_Job], *, fenced: bool) -> list[_Result]:
        results: list[_Result] = []
        connection = self._connected()
        with connection.transaction(write=True):
            for group in _grouped(jobs):
                results.extend(self._fenced(connection, group) if fenced else _plain(connection, group))
        self.commits += 1
        return results

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._driver.connect()
        return self._connection

    def _fenced(self, connection: Connection, group: list[_Job]) -> list[_Result]:
        """Run `group` so that an error undoes it alone; in a group of several, only the row that is to blame."""
        try:
            with connection.savepoint():
                return _plain(connection, group)
        except Exception as error:
            if not connection.in_transaction:
                # On a full disk SQLite may undo everything by itself, the work before this included.
                raise
            if len(group) > 1:
                return [result for job in group for result in self._fenced(connection, [job])]
            return [(group[0].done, None, self._as_told(error))]

    def _as_told(self, error: Exception) -> Exception:
        if not isinstance(error, self._driver.error):
            return error
        failure = self._driver.storage_error("refused a write", error)
        failure.__cause__ = error
        return failure


class _Readers:
    """Connections for reading, each used by one thread at a time and kept for the next."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._driver.connect()
        try:
            with connection.transaction():
                yield connection
        except BaseException:
            # It may be broken; a new one costs little.
            connection.close()
            raise
        self._idle.put(connection)

    def close(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


def _open_driver(file: Path) -> Driver:
    driver = SqliteDriver.open(file)
    upgrade(driver)
    return driver


def _plain(connection: Connection, group: list[_Job]) -> list[_Result]:
    first = group[0]
    if isinstance(first, _Run):
        return [(first.done, first.work(connection), None)]
    rows = [job.row for job in group if isinstance(job, _Put)]
    if connection.put(first.statement, rows) < len(rows):
        raise RowChanged
    return [(job.done, None, None) for job in group]


def _grouped(jobs: list[_Job]) -> list[list[_Job]]:
    """Bring rows of one statement together; work of other kinds keeps its place between them."""
    groups: list[list[_Job]] = []
    open_groups: dict[RowStatement, list[_Job]] = {}
    for job in jobs:
        if isinstance(job, _Run):
            groups.append([job])
            open_groups.clear()
            continue
        group = open_groups.get(job.statement)
        if group is None:
            group = open_groups[job.statement] = []
            groups.append(group)
        group.append(job)
    return groups


def _answer(results: list[_Result]) -> None:
    """Wake the waiting coroutines, one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Result]] = {}
    for result in results:
        by_loop.setdefault(result[0].get_loop(), []).append(result)
    for loop, some in by_loop.items():
        with suppress(RuntimeError):  # that loop is closed: nothing waits on it any more
            loop.call_soon_threadsafe(_settle, some)


def _settle(results: list[_Result]) -> None:
    for done, value, error in results:
        if done.done():
            continue
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)
