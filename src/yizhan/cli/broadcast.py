"""`yizhan broadcast`: make, plan, try, start, pause, resume, cancel, recall, retry, report and export one."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.content import Content
from yizhan.cli.exits import SENT, code_of, explain_failures
from yizhan.cli.many import message_of_call, write_refused
from yizhan.cli.message_options import (
    Attached,
    Column,
    Description,
    FileName,
    Files,
    Images,
    Key,
    LinkAddress,
    MaxMessages,
    NameColumn,
    Named,
    RefusedFile,
    Stickers,
    TextOption,
    Title,
    To,
    Videos,
    Voices,
    Words,
    named,
)
from yizhan.cli.options import DEFAULT_STORE, Allow, Json, Quiet, Store
from yizhan.cli.output import Output, many, moment, size
from yizhan.cli.progress import Bars
from yizhan.cli.running import opened, run
from yizhan.cli.target_files import targets_of
from yizhan.cli.times import time_at
from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.broadcasts.broadcast import Broadcast
    from yizhan.broadcasts.options import BroadcastOptions, QuietHours
    from yizhan.broadcasts.plan import BroadcastPlan
    from yizhan.broadcasts.report import BroadcastReport
    from yizhan.broadcasts.rows import RecipientState

app = typer.Typer(
    help="Make a broadcast, plan it, try it, start it, pause, recall, retry and export it.", no_args_is_help=True
)

RUN = "How it runs"
_HOURS = re.compile(r"([0-2]?\d:[0-5]\d)\s*-\s*([0-2]?\d:[0-5]\d)(?:@(\S+))?")

Id = Annotated[str, typer.Argument(metavar="ID", show_envvar=False, help="The broadcast, such as b7.")]


class Format(StrEnum):
    """Formats of an export."""

    CSV = "csv"
    NDJSON = "ndjson"


class Ended(StrEnum):
    """States of recipients that a retry includes."""

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


@app.command("new")
def new(
    words: Words = None,
    to: To = None,
    column: Column = "",
    name_column: NameColumn = "",
    refused: RefusedFile = None,
    text: TextOption = None,
    attach: Attached = None,
    image: Images = None,
    video: Videos = None,
    voice: Voices = None,
    file: Files = None,
    sticker: Stickers = None,
    name: FileName = "",
    link: LinkAddress = "",
    title: Title = "",
    description: Description = "",
    key: Key = None,
    label: Annotated[
        str, typer.Option("--as", metavar="NAME", rich_help_panel=RUN, help="What you call the broadcast.")
    ] = "",
    per_minute: Annotated[
        int | None,
        typer.Option(
            "--per-minute",
            metavar="N",
            min=1,
            rich_help_panel=RUN,
            help="Messages a minute and account, below the platform's own limits.",
        ),
    ] = None,
    quiet_hours: Annotated[
        str,
        typer.Option(
            "--quiet-hours",
            metavar="FROM-TO",
            rich_help_panel=RUN,
            help="Nothing leaves then: 22:00-08:00, or 22:00-08:00@Asia/Shanghai.",
        ),
    ] = "",
    stop_at: Annotated[
        str | None,
        typer.Option("--stop-at", metavar="TIME", rich_help_panel=RUN, help="What has not begun by then expires."),
    ] = None,
    pause_at: Annotated[
        float | None,
        typer.Option(
            "--pause-at",
            metavar="PERCENT",
            min=0.01,
            max=100,
            rich_help_panel=RUN,
            help="Pause when so many of at least 50 failed, or 20 in a row.",
        ),
    ] = None,
    max_messages: MaxMessages = None,
    allow: Allow = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Store a broadcast as a draft, and show its plan. `{column}` in its text is filled in from the row of a file.

    Example:

      yizhan broadcast new -t file:people.csv --text "Dear {name}, we open at nine." --as opening
    """
    content = Content(
        images=image or (),
        videos=video or (),
        voices=voice or (),
        files=file or (),
        stickers=sticker or (),
        attached=attach or (),
        name=name,
        link=link,
        title=title,
        description=description,
    )
    what = named(
        words,
        to,
        text,
        content,
        column=column,
        name_column=name_column,
        refused_file=refused,
        max_messages=max_messages,
    )
    options = _options(per_minute, quiet_hours, stop_at, pause_at)
    return run(_new(store, what, label, key, options, allow, Output(as_json, quiet)))


@app.command("plan")
def plan(
    id: Id,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As if it started then; now if left out.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show what a start would do: parts, uploads, when it ends and what limits it."""
    when = None if at is None else time_at(at, datetime.now().astimezone()).timestamp()
    return run(_plan(store, id, when, Output(as_json, quiet)))


@app.command("test")
def try_it(
    id: Id,
    to: Annotated[
        list[str], typer.Argument(metavar="TARGET...", show_envvar=False, help="A few targets, your own, say.")
    ],
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send its message to a few targets, outside of its counts."""
    return run(_test(store, id, targets_of(to), Output(as_json, quiet)))


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
    """Stop sending a broadcast; half-sent messages are finished."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.pause())


@app.command("resume")
def resume(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Continue a paused broadcast."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.resume())


@app.command("cancel")
def cancel(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Cancel a broadcast: the rest of it is never sent."""
    return _do(store, id, Output(as_json, quiet), lambda broadcast: broadcast.cancel())


@app.command("recall")
def recall(id: Id, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Cancel a broadcast and withdraw its sent messages, where the platforms allow it; wait until that is done."""
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
    """Write a row for every recipient of a broadcast, also while it runs."""
    return run(_export(store, id, file, form))


def _do(store: Path, id: str, out: Output, action: Callable[[Broadcast], Awaitable[object]]) -> int:
    async def carry_out() -> int:
        async with opened(store) as engine:
            broadcast = await engine.broadcasts.get(id)
            await action(broadcast)
            show_report(await broadcast.report(), out)
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


async def _new(
    store: Path,
    what: Named,
    label: str,
    key: str | None,
    options: BroadcastOptions,
    allow: Sequence[str] | None,
    out: Output,
) -> int:
    async with opened(store, allow=allow) as engine:
        with Bars(show=out.for_people) as bars:
            bars.watch(engine)
            message, _ = await message_of_call(engine, what, bars)
        recipients = await what.audience.recipients(engine, message)
        skip = what.refused_file is not None
        draft = await engine.broadcasts.create(
            recipients, message, name=label, key=key, options=options, refused="skip" if skip else "fail"
        )
        await write_refused(draft, what, out)
        _show_plan(await draft.plan(), out)
        out.line(f"To try it: yizhan broadcast test {draft.id} TARGET. To send it: yizhan broadcast start {draft.id}")
    return SENT


async def _plan(store: Path, id: str, at: float | None, out: Output) -> int:
    async with opened(store) as engine:
        _show_plan(await (await engine.broadcasts.get(id)).plan(at), out)
    return SENT


async def _test(store: Path, id: str, to: Sequence[str], out: Output) -> int:
    async with opened(store, sending=True) as engine:
        receipts = await (await engine.broadcasts.get(id)).test(to)
    out.receipts(receipts)
    explain_failures(receipts, as_json=out.as_json)
    return code_of(receipts)


def _options(per_minute: int | None, quiet_hours: str, stop_at: str | None, pause_at: float | None) -> BroadcastOptions:
    from yizhan.broadcasts.options import BroadcastOptions, PauseAfter

    stop = None if stop_at is None else time_at(stop_at, datetime.now().astimezone()).timestamp()
    return BroadcastOptions(
        stop_at=stop,
        quiet=_hours(quiet_hours) if quiet_hours else None,
        per_minute=per_minute,
        pause_after=None if pause_at is None else PauseAfter(failed_percent=pause_at),
    )


def _hours(text: str) -> QuietHours:
    from yizhan.broadcasts.options import QuietHours, zone_named

    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise Refused(f"--quiet-hours: '{text}' is none. Write 22:00-08:00, or 22:00-08:00@Asia/Shanghai.")
    start, end, zone = match.groups()
    hours = QuietHours(start, end, zone) if zone else QuietHours(start, end)
    zone_named(hours.zone)
    return hours


def _show_plan(plan: BroadcastPlan, out: Output) -> None:
    out.value(plan)
    name = f" {plan.name!r}" if plan.name else ""
    refused = f", {plan.refused:,} of them refused" if plan.refused else ""
    out.line(f"{plan.id}{name} is {plan.state}, to {many(plan.total, 'target')}{refused}")
    for why, count in plan.refusals.items():
        out.line(f"  {count:,} refused: {why}")
    for one in plan.accounts:
        uploads = f"{many(one.uploads, 'upload')} ({size(one.upload_bytes)})" if one.uploads else "nothing to upload"
        out.line(f"  {one.account}: {many(one.recipients, 'target')}, {many(one.parts, 'part')}, {uploads}")
        if one.ends_about > plan.begins_at:
            out.line(f"    {one.at_once:,} at once, the last about {moment(one.ends_about)}: {one.limited_by}")
        if one.never:
            out.line(f"    {one.never:,} wait until the other side writes")
        if one.expire:
            out.line(f"    {one.expire:,} expire: their turn comes after the end that you set")
        if one.recallable is not None:
            out.line(f"    at most {one.recallable:,} can be recalled at any time")
        for note in one.notes:
            out.line(f"    {note}")


async def _report(store: Path, id: str, out: Output) -> int:
    async with opened(store) as engine:
        show_report(await (await engine.broadcasts.get(id)).report(), out)
    return SENT


async def _recall(store: Path, id: str, out: Output) -> int:
    async with opened(store, sending=True) as engine:
        broadcast = await engine.broadcasts.get(id)
        await broadcast.recall()
        await broadcast.wait()
        show_report(await broadcast.report(), out)
    return SENT


async def _retry(store: Path, id: str, states: Sequence[str], out: Output) -> int:
    from yizhan.model import State

    async with opened(store) as engine:
        broadcast = await engine.broadcasts.get(id)
        child = await (broadcast.retry([State(state) for state in states]) if states else broadcast.retry())
        show_report(await child.report(), out)
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


def show_report(report: BroadcastReport, out: Output) -> None:
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
    return ", ".join(f"{count:,} {state}" for state, count in report.counts.items() if count) or "no recipients"
