"""`yizhan broadcast`: list broadcasts; start, pause, resume, cancel, recall, retry and export one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, many, moment
from yizhan.cli.running import opened, run
from yizhan.cli.times import time_at
from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.broadcasts.broadcast import Broadcast
    from yizhan.broadcasts.report import BroadcastReport
    from yizhan.broadcasts.rows import RecipientState

app = typer.Typer(
    help="List broadcasts; start, pause, resume, cancel, recall, retry and export one.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", show_envvar=False, help="The broadcast, such as b7.")]


class Format(StrEnum):
    """Formats of an export."""

    CSV = "csv"
    NDJSON = "ndjson"


class Ended(StrEnum):
    """States of recipients that a retry takes."""

    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@app.command("list")
def list_broadcasts(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many, the newest.")] = 20,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List broadcasts, the newest first."""
    return run(_list(store, limit, Output(as_json, quiet)))


@app.command("report")
def report(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Show state, counts by state and account, and errors of a broadcast, also while it runs."""
    return run(_report(store, id, Output(as_json, quiet)))


@app.command("start")
def start(
    id: Id,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="09:00, or 2026-12-24T18:00; now if left out.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Start a draft now, or at a time."""
    when = None if at is None else time_at(at, datetime.now().astimezone()).timestamp()
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.start(when))


@app.command("pause")
def pause(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Let nothing more of it leave; half-sent messages are finished."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.pause())


@app.command("resume")
def resume(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Let a paused broadcast go on."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.resume())


@app.command("cancel")
def cancel(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Let nothing more of it leave, for good."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.cancel())


@app.command("recall")
def recall(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Cancel it and withdraw what was sent, while the platforms allow it; waits for the end of that."""
    return run(_recall(store, id, Output(as_json, quiet)))


@app.command("retry")
def retry(
    id: Id,
    state: Annotated[
        list[Ended] | None,
        typer.Option("--state", help="Recipients to retry: failed, expired, cancelled (the default), unknown."),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Start a new broadcast to recipients that ended without success, with the parts that are missing."""
    return run(_retry(store, id, [one.value for one in state or []], Output(as_json, quiet)))


@app.command("export")
def export(
    id: Id,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", show_envvar=False, help="Standard output if left out.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="csv, for spreadsheets, or ndjson, for programs.")
    ] = Format.CSV,
    store: Store = DEFAULT_STORE,
) -> int:
    """Write a row for every recipient, also while it runs."""
    return run(_export(store, id, file, form))


def _do(store: Path, id: str, out: Output, action: Callable[[Broadcast], Awaitable[object]]) -> int:
    async def carry_out() -> int:
        async with opened(store) as engine:
            broadcast = await engine.broadcasts.get(id)
            await action(broadcast)
            _show(await broadcast.report(), out)
        return SENT

    return run(carry_out())


async def _list(store: Path, limit: int, out: Output) -> int:
    async with opened(store) as engine:
        reports = [await broadcast.report() for broadcast in await engine.broadcasts.list(limit=limit)]
    for one in reports:
        out.value(one)
    out.table(
        ("id", "state", "name", "to", "counts"),
        [(one.id, one.state.value, one.name, f"{one.total:,}", _counts(one)) for one in reports],
    )
    if not reports:
        out.line("No broadcasts yet. `yizhan send` to several targets makes one.")
    return SENT


async def _report(store: Path, id: str, out: Output) -> int:
    async with opened(store) as engine:
        _show(await (await engine.broadcasts.get(id)).report(), out)
    return SENT


async def _recall(store: Path, id: str, out: Output) -> int:
    async with opened(store, sending=True) as engine:
        broadcast = await engine.broadcasts.get(id)
        await broadcast.recall()
        await broadcast.wait()
        _show(await broadcast.report(), out)
    return SENT


async def _retry(store: Path, id: str, states: Sequence[str], out: Output) -> int:
    from yizhan.model import State

    async with opened(store) as engine:
        broadcast = await engine.broadcasts.get(id)
        child = await (broadcast.retry([State(state) for state in states]) if states else broadcast.retry())
        _show(await child.report(), out)
    return SENT


async def _export(store: Path, id: str, file: Path | None, form: Format) -> int:
    from yizhan.broadcasts.report import csv_head, csv_line, ndjson_line

    def line(row: RecipientState) -> str:
        return csv_line(row) if form is Format.CSV else ndjson_line(row).decode()

    async with opened(store) as engine:
        broadcast = await engine.broadcasts.get(id)
        try:
            target = sys.stdout if file is None else file.open("x", encoding="utf-8", newline="")
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}. Name a file that is not there yet.") from error
        try:
            if form is Format.CSV:
                target.write(csv_head())
            async for row in broadcast.recipients():
                target.write(line(row))
        finally:
            if file is not None:
                target.close()
    return SENT


def _show(report: BroadcastReport, out: Output) -> None:
    out.value(report)
    why = f": {report.detail}" if report.detail else ""
    reason = f" ({report.reason.value}{why})" if report.reason else ""
    name = f" {report.name!r}" if report.name else ""
    out.line(f"{report.id}{name} is {report.state.value}{reason}, to {many(report.total, 'target')}")
    out.line(f"  {_counts(report)}")
    if report.started_at:
        ended = f", ended {moment(report.ended_at)}" if report.ended_at else ""
        out.line(f"  started {moment(report.started_at)}{ended}")
    for error in report.errors[:10]:
        out.line(f"  {error.count:,} {error.state} on {error.account}: {error.error} {error.code}".rstrip())
    for why_not, count in report.recall.items():
        out.line(f"  {count:,} not recalled: {why_not}")


def _counts(report: BroadcastReport) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in report.counts.items() if count) or "nobody"
