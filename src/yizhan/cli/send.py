"""`yizhan send`: one message to one target or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yizhan.cli.content import Content, message_from
from yizhan.cli.exits import SENT, UNFINISHED, code_of, explain, explain_failures, explained_when_stopped
from yizhan.cli.ids import wait_for
from yizhan.cli.many import message_of_call, watched, write_refused
from yizhan.cli.message_options import (
    HOW,
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
from yizhan.cli.times import seconds_in, time_at
from yizhan.errors import DeliveryFailed, LoginNeeded, Refused

if TYPE_CHECKING:
    from yizhan.broadcasts.broadcast import Broadcast
    from yizhan.engine import Engine
    from yizhan.model import Message, Receipt, Target
    from yizhan.sending.plan import Plan

SHOWN = 20
"""Receipts of a broadcast that people see; programs get all of them."""
PATIENCE = 60.0
"""Seconds that a send to one target waits without --timeout."""


def send(
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
    reply: Annotated[
        str,
        typer.Option(
            "--reply", metavar="ID", rich_help_panel=HOW, help="The platform's id of the message that this answers."
        ),
    ] = "",
    key: Key = None,
    expires_in: Annotated[
        float | None,
        typer.Option(
            "--expires-in", metavar="SECONDS", min=0, rich_help_panel=HOW, help="Do not send after that time."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            rich_help_panel=HOW,
            help="Send at that time: 09:00, or 2026-12-01T09:00+08:00. A process must run on the store then.",
        ),
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--in", metavar="SPAN", rich_help_panel=HOW, help="Send in 90s, 30m, 2h or 1d.")
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            rich_help_panel=HOW,
            help="Store it and end (exit code 4); `yizhan wait` or another process sends it.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0,
            show_default="60 for one target, none for many",
            rich_help_panel=HOW,
            help="Seconds to wait for the end.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", rich_help_panel=HOW, help="Show what would be sent, uploaded and held; send nothing."
        ),
    ] = False,
    max_messages: MaxMessages = None,
    allow: Allow = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send text and files to one target or many. Every file is uploaded once for all of them.

    Examples:

      yizhan send qqbot.main/group/GROUP_OPENID "good morning" --image a.png

      df -h | yizhan send @ops -

      yizhan send -t '#staff' --file report.pdf --name 报告.pdf --dry-run
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
        reply=reply,
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
    call = _Call(what, key, expires_in, _moment(at, delay), timeout, allow, Output(as_json, quiet))
    if dry_run:
        return run(_plan(store, call))
    return run(_store(store, call) if no_wait else _send(store, call))


def _moment(at: str | None, delay: str | None) -> datetime | None:
    """Return the time at which to send; None for now."""
    now = datetime.now().astimezone()
    if at is not None and delay is not None:
        raise Refused("--at and --in both set the time. Give one of them.")
    if delay is not None:
        return now + timedelta(seconds=seconds_in(delay))
    return None if at is None else time_at(at, now)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the command."""

    named: Named
    key: str | None
    expires_in: float | None
    at: datetime | None
    timeout: float | None
    allow: Sequence[str] | None
    out: Output

    @property
    def how(self) -> dict[str, Any]:
        """The further keyword arguments of `submit`."""
        return {"key": self.key, "expires_in": self.expires_in, "at": self.at}


async def _store(store: Path, call: _Call) -> int:
    """Store the deliveries; other processes send them."""
    async with opened(store, allow=call.allow) as engine:
        with Bars(show=call.out.for_people) as bars:
            bars.watch(engine)
            message, targets = await message_of_call(engine, call.named, bars)
            if _to_one(call, message, targets):
                receipts: Sequence[Receipt] = await engine.submit(targets, message, **call.how)
                go_on = wait_for(receipts)
            else:
                broadcast = await started(engine, call, message)
                receipts, go_on = await broadcast.receipts(), f"yizhan wait {broadcast.id}"
    _show(call.out, receipts)
    call.out.line(f"{many(len(receipts), 'delivery', 'deliveries')} stored. To send and wait: {go_on}")
    return code_of(receipts) or SENT


async def _send(store: Path, call: _Call) -> int:
    async with opened(store, sending=True, allow=call.allow) as engine:
        with Bars(show=call.out.for_people) as bars:
            bars.watch(engine)
            message, targets = await message_of_call(engine, call.named, bars)
            if _to_one(call, message, targets):
                receipts, problem = await _one(engine, call, message)
            else:
                receipts, problem = await _many(engine, call, message, bars)
    _show(call.out, receipts)
    if problem is not None:
        return explain(problem, as_json=call.out.as_json)
    explain_failures(receipts, as_json=call.out.as_json)
    code = code_of(receipts)
    if code == UNFINISHED:
        call.out.line(f"Not finished; it continues whenever yizhan runs on this store: {wait_for(receipts)}")
    return code


def _to_one(call: _Call, message: Message, targets: Sequence[Target]) -> bool:
    """Return whether the message goes to one target, with the same words for everybody and nobody to be left out."""
    audience = call.named.audience
    return len(targets) == 1 and not audience.personal(message) and call.named.refused_file is None


async def started(engine: Engine, call: _Call, message: Message) -> Broadcast:
    """Start the broadcast of a call; with `--refused`, write the rows that get nothing."""
    named = call.named
    recipients = await named.audience.recipients(engine, message)
    skip = named.refused_file is not None
    broadcast = await engine.broadcast(recipients, message, refused="skip" if skip else "fail", **call.how)
    await write_refused(broadcast, named, call.out)
    return broadcast


async def _one(engine: Engine, call: _Call, message: Message) -> tuple[Sequence[Receipt], LoginNeeded | None]:
    receipts: Sequence[Receipt] = await engine.submit(call.named.audience.targets, message, **call.how)
    problem = None

    async def look() -> Sequence[Receipt]:
        return [await engine.receipt(receipts[0].delivery)]

    try:
        async with explained_when_stopped(look, as_json=call.out.as_json):
            receipts = await engine.wait(receipts, timeout=PATIENCE if call.timeout is None else call.timeout)
    except DeliveryFailed as error:
        receipts = error.receipts
    except LoginNeeded as error:
        receipts, problem = await look(), error
    return receipts, problem


async def _many(
    engine: Engine, call: _Call, message: Message, bars: Bars
) -> tuple[Sequence[Receipt], LoginNeeded | None]:
    broadcast = await started(engine, call, message)
    await watched(engine, broadcast, bars, call.timeout, as_json=call.out.as_json)
    reason = engine.paused()
    problem = LoginNeeded(f"{reason} The deliveries wait until the account is logged in.") if reason else None
    return await broadcast.receipts(), problem


def _show(out: Output, receipts: Sequence[Receipt]) -> None:
    """Print all receipts for programs; for people the first ones, the failures and the counts.

    A single failure is not printed here, since it is printed as an error.
    """
    if not out.as_json and len(receipts) == 1 and receipts[0].state.final and not receipts[0].ok:
        return
    if out.as_json or len(receipts) <= SHOWN:
        out.receipts(receipts)
        return
    out.receipts([receipt for receipt in receipts if not receipt.ok][:SHOWN])
    counts = Counter(receipt.state.value for receipt in receipts)
    out.line(", ".join(f"{n:,} {state}" for state, n in counts.most_common()) + f"   ({_span(receipts)})")


def _span(receipts: Sequence[Receipt]) -> str:
    return receipts[0].delivery if len(receipts) == 1 else f"{receipts[0].delivery} … {receipts[-1].delivery}"


# --- the plan ---------------------------------------------------------------------------------------------------------


async def _plan(store: Path, call: _Call) -> int:
    async with opened(store, allow=call.allow) as engine:
        with Bars(show=call.out.for_people) as bars:
            bars.watch(engine)
            message = await message_from(call.named.content, engine, bars.bytes)
            plans = await engine.plan(call.named.audience.targets, message, at=call.at)
    for plan in plans if call.out.as_json else ():
        call.out.value(_plan_object(plan))
    call.out.table(("target", "part", "media", "budget"), [row for plan in plans[:SHOWN] for row in _rows(plan)])
    if len(plans) > SHOWN:
        call.out.line(f"… and {len(plans) - SHOWN:,} more")
    call.out.line(_sum(plans))
    return SENT


def _plan_object(plan: Plan) -> dict[str, object]:
    parts = [
        {"summary": p.summary, "note": p.note, "uploads": p.uploads, "upload_bytes": p.upload_bytes, "ready": p.ready}
        for p in plan.parts
    ]
    return {
        "target": str(plan.target),
        "account": plan.target.account,
        "parts": parts,
        "budget": plan.budget,
        "opens_at": plan.opens_at,
        "notes": plan.notes,
    }


def _rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    budget = "may go now"
    if plan.budget:
        budget = f"waits: {plan.budget}" + (f", until {moment(plan.opens_at)}" if plan.opens_at else "")
    rows = []
    for number, part in enumerate(plan.parts):
        media = f"upload {', '.join(part.uploads)}" if part.uploads else "handle is there" if part.ready else ""
        summary = f"{part.summary} ({part.note})" if part.note else part.summary
        rows.append((str(plan.target) if not number else "", summary, media, budget if not number else ""))
    return [*rows, *(("", note, "", "") for note in plan.notes)]


def _sum(plans: Sequence[Plan]) -> str:
    """Return the totals, by account where there are several; equal uploads are made once."""
    accounts = sorted({plan.target.account for plan in plans})
    lines = [_sum_of(plans, ", ".join(accounts)) + ". Nothing was sent."]
    if len(accounts) > 1 and any(plan.budget for plan in plans):
        lines += ["  " + _sum_of([plan for plan in plans if plan.target.account == one], one) for one in accounts]
    return "\n".join(lines)


def _sum_of(plans: Sequence[Plan], accounts: str) -> str:
    parts = [part for plan in plans for part in plan.parts]
    uploads = {key for part in parts for key in part.upload_keys}
    sizes = {part.upload_keys: part.upload_bytes for part in parts}
    words = [
        f"{many(len(plans), 'target')} on {accounts}{_times(plans)}",
        many(len(parts), "part"),
        f"{many(len(uploads), 'upload')} ({size(sum(sizes.values()))})" if uploads else "nothing to upload",
    ]
    return ", ".join(words)


def _times(plans: Sequence[Plan]) -> str:
    """Return ` (30 now, the rest until 03:27:07)`, or nothing if all may go now."""
    timed = [plan.opens_at for plan in plans if plan.opens_at is not None]
    never = sum(1 for plan in plans if plan.budget and plan.opens_at is None)
    now = len(plans) - len(timed) - never
    if now == len(plans):
        return ""
    words = [f"{now:,} now"] if now else []
    if timed:
        who = "the rest" if now and not never else f"{len(timed):,}"
        words.append(f"{who} until {moment(max(timed))}")
    if never:
        words.append(f"{never:,} when the other side writes")
    return f" ({', '.join(words)})"
