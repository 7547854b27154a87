"""The process that sends in the demo, and that is killed: `python -m yizhan.cli.demo.worker`.

The first line on standard input is the order (JSON). Each line on standard output is one report. Once it has reported
that it is logged in, the next line has the targets (JSON). When nothing is left to send it reports that and waits;
another line makes it continue. The end of the input ends it at any time, so that it does not outlive the demo.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from yizhan.broadcasts.broadcast import Broadcast
    from yizhan.engine import Engine
    from yizhan.model import State, Target
    from yizhan.platforms.adapter import MediaNeed

REPORT_SECONDS = 0.1
MAX_LINE = 1 << 28
"""Bytes of a line of the input: a hundred for each target."""
FIRST_MESSAGES_SECONDS = 30.0
"""Seconds within which the first messages of people must arrive."""
KEY = "demo"
"""The caller's own key: the same order after a restart finds the deliveries that are there."""


class Order(Struct):
    """An instruction to a sending process: the message, its targets and the accounts."""

    store: str
    temporary: str
    """Folder for temporary files."""
    accounts: dict[str, dict[str, Any]]
    listening: list[str]
    """Accounts whose people must write first."""
    picture: str
    book: str
    book_name: str


class Report(Struct, omit_defaults=True):
    """The progress of the sending process."""

    what: str
    """`ready` (logged in), `begun`, `going`, `idle` (nothing left to send) or `error`."""
    done: dict[str, int] = {}
    """Deliveries that have ended, by account and kind of target; since the first start."""
    uploads: dict[str, tuple[int, int]] = {}
    """Bytes that have left and bytes in all, by account, scope (or `each`) and name; since this start."""
    asked_again: int = 0
    """After a crash: deliveries that are repeated, since the wire recognizes a repeat."""
    unknown: int = 0
    """After a crash: deliveries that may have arrived, on wires that do not recognize a repeat."""
    text: str = ""


class Watch:
    """Counts the engine's deliveries and uploads, and reports them."""

    def __init__(self) -> None:
        self._ended: set[Target] = set()
        self._waiting: dict[str, set[Target]] = {}
        self._uploads: dict[tuple[str, str, str], tuple[int, int]] = {}

    async def count_earlier(self, broadcast: Broadcast) -> None:
        """Count the deliveries that had ended before this start."""
        from yizhan.model import Target

        for receipt in await broadcast.receipts():
            target = Target.parse(receipt.target)
            if receipt.state.final:
                self._ended.add(target)
            if target not in self._ended:
                self._waiting.setdefault(target.account, set()).add(target)

    def settled(self, target: Target, state: State) -> None:
        if state.final:
            self._ended.add(target)

    def bytes(self, account: str, need: MediaNeed, count: int) -> None:
        key = account, need.scope, need.media.name
        left, total = self._uploads.get(key, (0, need.media.size))
        self._uploads[key] = min(total, left + count), total

    def report(self, what: str, **more: Any) -> None:
        done = Counter(f"{target.account}/{target.kind}" for target in self._ended)
        say(Report(what, dict(done), self._summed(), **more))

    def _summed(self) -> dict[str, tuple[int, int]]:
        """Sum the uploads; those of one file to single people are one row, estimated for everyone who still waits."""
        rows: dict[str, tuple[int, int]] = {}
        for (account, scope, name), (left, total) in self._uploads.items():
            if "/" not in scope:
                rows[f"{account} {scope} {name}"] = left, total
                continue
            key = f"{account} each {name}"
            together = left + rows.get(key, (0, 0))[0]
            waiting = self._waiting.get(account, set())
            rows[key] = together, together if waiting <= self._ended else max(together, total * len(waiting))
        return rows


def say(report: Report) -> None:
    # Written without a buffer, so that nothing is left to write once the reader is gone.
    with suppress(BrokenPipeError):
        os.write(1, msgspec.json.encode(report) + b"\n")


async def work() -> None:
    """Carry out the order until it is done, or until the input ends."""
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    sending = asyncio.create_task(_send(lines))
    reading = asyncio.create_task(_read(reader, lines))
    await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, reading):
        task.cancel()
    (failed, _) = await asyncio.gather(sending, reading, return_exceptions=True)
    if isinstance(failed, Exception):
        raise failed


async def _read(reader: asyncio.StreamReader, lines: asyncio.Queue[bytes]) -> None:
    while line := await reader.readline():
        lines.put_nowait(line)


async def _send(lines: asyncio.Queue[bytes]) -> None:
    from yizhan.engine import Engine

    order = msgspec.json.decode(await lines.get(), type=Order)
    watch = Watch()
    async with await Engine.open(order.store) as engine:
        engine.on_settled(watch.settled)
        engine.handles.on_bytes = watch.bytes
        again, unknown = engine.recovered
        await _log_in(engine, order)
        await engine.listen(order.listening)
        say(Report("ready"))
        targets = msgspec.json.decode(await lines.get(), type=list[str])
        await _await_first_messages(engine, order.listening, targets)
        broadcast = await _submit(engine, order, targets)
        await watch.count_earlier(broadcast)
        watch.report("begun", asked_again=again, unknown=unknown)
        async with _reporting(watch):
            while True:
                await broadcast.wait()
                watch.report("idle", text=engine.paused())
                await lines.get()


@asynccontextmanager
async def _reporting(watch: Watch) -> AsyncIterator[None]:
    task = asyncio.create_task(_report_forever(watch))
    try:
        yield
    finally:
        task.cancel()


async def _log_in(engine: Engine, order: Order) -> None:
    known = await engine.accounts()
    for name, settings in order.accounts.items():
        if name not in known:
            await engine.add_account(name, **settings)
            await engine.login(name, lambda step: None)


async def _await_first_messages(engine: Engine, accounts: list[str], targets: list[str]) -> None:
    """Wait until everyone who has to write first has written; after a restart they have.

    Raises:
        YizhanError: it takes too long.
    """
    from yizhan.errors import YizhanError
    from yizhan.model import Target

    silent = {target for target in map(Target.parse, targets) if target.account in accounts}
    try:
        async with asyncio.timeout(FIRST_MESSAGES_SECONDS):
            while True:
                for account in accounts:
                    silent -= (await engine.supervisor.event_table.contexts(account)).keys()
                if not silent:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise YizhanError(
            f"The first messages of {len(silent)} people did not arrive, such as {min(map(str, silent))}."
        ) from None


async def _submit(engine: Engine, order: Order, targets: list[str]) -> Broadcast:
    from yizhan.model import File, Image

    return await engine.broadcast(targets, Image(order.picture), File(order.book, name=order.book_name), key=KEY)


async def _report_forever(watch: Watch) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        watch.report("going")


def main() -> None:
    from yizhan.errors import YizhanError
    from yizhan.runtime.event_loop import run

    try:
        run(work())
    except YizhanError as error:
        say(Report("error", text=f"{type(error).__name__}: {error}"))
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
