"""The process that sends in the demo, and that is killed: `python -m yizhan.cli.demo.worker`.

The first line on standard input is the order (JSON). Each line on standard output is one report. When nothing is left
to send it says so and waits: another line asks it to go on, the end of the input ends it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from yizhan.engine import Broadcast, Engine
    from yizhan.model import State, Target
    from yizhan.platforms.base import MediaNeed

REPORT_SECONDS = 0.1
KEY = "demo"
"""The caller's own key: the same order after a restart finds the deliveries that are there."""


class Order(Struct):
    """What is to be sent, by whom, to whom."""

    store: str
    accounts: dict[str, dict[str, Any]]
    targets: list[str]
    picture: str
    book: str
    book_name: str


class Report(Struct, omit_defaults=True):
    """How far it is."""

    what: str
    """`begun`, `going`, `idle` (nothing left to send) or `error`."""
    done: dict[str, int] = {}
    """Deliveries that have ended, by account and kind of target; since the first start."""
    uploads: dict[str, tuple[int, int]] = {}
    """Bytes that have left and bytes in all, by account, scope and name; since this start."""
    busy: dict[str, tuple[int, float]] = {}
    """Deliveries that ended since this start, and seconds between the first and the last of them."""
    asked_again: int = 0
    """After a crash: repeats that the wire recognises."""
    unknown: int = 0
    """After a crash: what may have arrived, on wires that do not recognise a repeat."""
    logins: dict[str, str] = {}
    text: str = ""


class Watch:
    """Counts what the engine tells, and reports it."""

    def __init__(self) -> None:
        self._ended: set[Target] = set()
        self._uploads: dict[str, tuple[int, int]] = {}
        self._busy: dict[str, tuple[int, float, float]] = {}

    async def take_up(self, broadcast: Broadcast) -> None:
        """Take what had ended before this start into the count."""
        from yizhan.model import Target

        self._ended |= {Target.parse(r.target) for r in await broadcast.receipts() if r.state.final}

    def settled(self, target: Target, state: State) -> None:
        if not state.final:
            return
        self._ended.add(target)
        key, now = f"{target.account}/{target.kind}", time.monotonic()
        count, first, _ = self._busy.get(key, (0, now, now))
        self._busy[key] = count + 1, first, now

    def bytes(self, account: str, need: MediaNeed, count: int) -> None:
        key = f"{account} {need.scope} {need.media.name}"
        left, total = self._uploads.get(key, (0, need.media.size))
        self._uploads[key] = min(total, left + count), total

    def report(self, what: str, **more: Any) -> None:
        busy = {key: (count, last - first) for key, (count, first, last) in self._busy.items()}
        done = Counter(f"{target.account}/{target.kind}" for target in self._ended)
        say(Report(what, dict(done), dict(self._uploads), busy, **more))


def say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


async def work(order: Order) -> None:
    from yizhan.engine import Engine

    watch = Watch()
    async with await Engine.open(order.store) as engine:
        engine.on_settled(watch.settled)
        engine.shelf.on_bytes = watch.bytes
        again, unknown = engine.worker.recovered
        logins = await _log_in(engine, order)
        broadcast = await _submit(engine, order)
        await watch.take_up(broadcast)
        watch.report("begun", asked_again=again, unknown=unknown, logins=logins)
        reporting = asyncio.create_task(_report_forever(watch))
        while True:
            await broadcast.wait()
            watch.report("idle", text=engine.paused())
            if not await asyncio.to_thread(sys.stdin.buffer.readline):
                break
        reporting.cancel()


async def _log_in(engine: Engine, order: Order) -> dict[str, str]:
    known = await engine.accounts()
    logins = {}
    for name, settings in order.accounts.items():
        if name not in known:
            await engine.add_account(name, **settings)
            logins[name] = await engine.login(name, lambda step: None)
    return logins


async def _submit(engine: Engine, order: Order) -> Broadcast:
    from yizhan.model import File, Image

    return await engine.broadcast(
        [Image(order.picture), File(order.book, name=order.book_name)], order.targets, key=KEY
    )


async def _report_forever(watch: Watch) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        watch.report("going")


def main() -> None:
    from yizhan.errors import YizhanError
    from yizhan.net.loop import run

    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    try:
        run(work(order))
    except YizhanError as error:
        say(Report("error", text=f"{type(error).__name__}: {error}"))
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
