"""`yizhan send`: one message to one target or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yizhan.cli.content import Content, body, message_from, preview_of, split_words, targets_of, text_is_piped
from yizhan.cli.exits import SENT, UNFINISHED, code_of, explain, explain_failures, explained_when_stopped
from yizhan.cli.ids import wait_for
from yizhan.cli.options import DEFAULT_STORE, Allow, Json, Quiet, Store
from yizhan.cli.output import Output, many, moment, size
from yizhan.cli.progress import Bars
from yizhan.cli.running import opened, run
from yizhan.cli.times import seconds_in, time_at
from yizhan.errors import DeliveryFailed, LoginNeeded, Refused, UnknownTarget

if TYPE_CHECKING:
    from yizhan.engine import Engine
    from yizhan.model import Message, Receipt, State
    from yizhan.sending.plan import Plan

SHOWN = 20
"""Receipts of a broadcast that people are shown; programs get all of them."""
PATIENCE = 60.0
"""Seconds that a send to one target waits when nothing else is said."""

MAX_PIPED_MESSAGES = 10
"""Messages to one target that a piped text may become, unless --max-messages allows more."""

_FILES, _HOW, _LINKS = "Files", "How", "Links"


def send(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET... [TEXT]",
            show_envvar=False,
            help="platform.account/kind/id, @alias, #tag, "
            "file:people.csv; then the text, or - to read it from standard input.",
        ),
    ] = None,
    to: Annotated[
        list[str] | None, typer.Option("--to", "-t", metavar="TARGET", help="A target; may be repeated.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", "-m", help="The text, when it looks like a target.")] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach",
            "-a",
            metavar="PATH",
            rich_help_panel=_FILES,
            help="A file, sent as what its content is; - for standard input.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", metavar="PATH", rich_help_panel=_FILES, help="A picture.")
    ] = None,
    video: Annotated[
        list[str] | None, typer.Option("--video", metavar="PATH", rich_help_panel=_FILES, help="A video.")
    ] = None,
    voice: Annotated[
        list[str] | None, typer.Option("--voice", metavar="PATH", rich_help_panel=_FILES, help="A voice message.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="PATH", rich_help_panel=_FILES, help="Anything, sent as a file."),
    ] = None,
    sticker: Annotated[
        list[str] | None,
        typer.Option(
            "--sticker",
            metavar="PATH",
            rich_help_panel=_FILES,
            help="An animated picture, or md5:HEX of one that the platform knows.",
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", rich_help_panel=_FILES, help="The name that people see for the one file.")
    ] = "",
    link: Annotated[
        str, typer.Option("--link", metavar="URL", rich_help_panel=_LINKS, help="A link, shown as a card.")
    ] = "",
    title: Annotated[str, typer.Option("--title", rich_help_panel=_LINKS, help="The title of the link.")] = "",
    description: Annotated[
        str, typer.Option("--description", rich_help_panel=_LINKS, help="What stands below the title.")
    ] = "",
    reply: Annotated[
        str,
        typer.Option(
            "--reply", metavar="ID", rich_help_panel=_HOW, help="The platform's id of the message that this answers."
        ),
    ] = "",
    key: Annotated[
        str | None,
        typer.Option("--key", rich_help_panel=_HOW, help="The same call with the same key sends nothing twice."),
    ] = None,
    expires_in: Annotated[
        float | None,
        typer.Option(
            "--expires-in", metavar="SECONDS", min=0, rich_help_panel=_HOW, help="Do not send after that time."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            rich_help_panel=_HOW,
            help="Send at that time: 09:00, or 2026-12-01T09:00+08:00. Some process must run on the store then.",
        ),
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--in", metavar="SPAN", rich_help_panel=_HOW, help="Send in 90s, 30m, 2h or 1d.")
    ] = None,
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            rich_help_panel=_HOW,
            help="Store it and end (exit code 4); it is sent by `yizhan wait` or another process.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0,
            show_default="60 for one target, none for many",
            rich_help_panel=_HOW,
            help="How long to wait for the end.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "-n", rich_help_panel=_HOW, help="Say what would be sent, uploaded and held; send nothing."
        ),
    ] = False,
    max_messages: Annotated[
        int | None,
        typer.Option(
            "--max-messages",
            metavar="N",
            min=1,
            show_default="10 for text from a pipe, none otherwise",
            rich_help_panel=_HOW,
            help="Refuse a message that becomes more than N messages to one target.",
        ),
    ] = None,
    allow: Allow = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send text and files to one target or many. Every file is uploaded once, however many it goes to.

    Examples:

      yizhan send qqbot.main/group/GROUP_OPENID "good morning" --image a.png

      df -h | yizhan send @ops -

      yizhan send -t '#staff' --file report.pdf --name 报告.pdf --dry-run
    """
    named, last = split_words(words or [], to or [])
    if not named:
        raise UnknownTarget(
            "There is no target. Name one first: yizhan send qqbot.main/user/OPENID TEXT, or -t TARGET."
        )
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
    if max_messages is None and text_is_piped(last, text, only_text=content.only_text):
        max_messages = MAX_PIPED_MESSAGES
    content = replace(content, text=body(last, text, only_text=content.only_text))
    call = _Call(
        targets_of(named),
        content,
        key,
        expires_in,
        _moment(at, delay),
        timeout,
        allow,
        Output(as_json, quiet),
        max_messages,
    )
    if dry_run:
        return run(_plan(store, call))
    return run(_store(store, call) if no_wait else _send(store, call))


def _moment(at: str | None, delay: str | None) -> datetime | None:
    """When it is to be sent; None for now."""
    now = datetime.now().astimezone()
    if at is not None and delay is not None:
        raise Refused("--at and --in both say when. Give one of them.")
    if delay is not None:
        return now + timedelta(seconds=seconds_in(delay))
    return None if at is None else time_at(at, now)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the command."""

    targets: Sequence[str]
    content: Content
    key: str | None
    expires_in: float | None
    at: datetime | None
    timeout: float | None
    allow: Sequence[str] | None
    out: Output
    max_messages: int | None = None
    """Messages to one target that are allowed; None for any number."""

    @property
    def how(self) -> dict[str, Any]:
        """The keyword arguments of `submit` besides targets and message."""
        return {"key": self.key, "expires_in": self.expires_in, "at": self.at}


async def _store(store: Path, call: _Call) -> int:
    """Store the deliveries and leave the sending to others."""
    async with opened(store, allow=call.allow) as engine:
        with Bars(show=call.out.for_people) as bars:
            bars.watch(engine)
            message = await _message(engine, call, bars)
            receipts = await engine.submit(call.targets, message, **call.how)
    _show(call.out, receipts)
    call.out.line(f"{many(len(receipts), 'delivery', 'deliveries')} stored. To send and wait: {wait_for(receipts)}")
    return code_of(receipts) or SENT


async def _send(store: Path, call: _Call) -> int:
    async with opened(store, sending=True, allow=call.allow) as engine:
        with Bars(show=call.out.for_people) as bars:
            bars.watch(engine)
            message = await _message(engine, call, bars)
            targets = await engine.targets(call.targets)
            if len(targets) == 1:
                receipts, problem = await _one(engine, call, message)
            else:
                receipts, problem = await _many(engine, call, message, bars)
    _show(call.out, receipts)
    if problem is not None:
        return explain(problem, as_json=call.out.as_json)
    explain_failures(receipts, as_json=call.out.as_json)
    code = code_of(receipts)
    if code == UNFINISHED:
        call.out.line(f"Not finished; it goes on whenever yizhan runs on this store: {wait_for(receipts)}")
    return code


async def _message(engine: Engine, call: _Call, bars: Bars) -> Message:
    """Return the message to send.

    Raises:
        Refused: it becomes more messages to one target than allowed.
    """
    targets = await engine.targets(call.targets)
    if preview := await preview_of(call.content, engine):
        await engine.supervisor.acceptance.check(preview, targets)
    message = await message_from(call.content, engine, bars.bytes)
    if call.max_messages is None:
        return message
    # Targets of one kind on one account get the same parts.
    samples = {(target.account, target.kind): target for target in targets}
    plan = max(await engine.plan(list(samples.values()), message), key=lambda plan: len(plan.parts))
    if len(plan.parts) > call.max_messages:
        raise Refused(
            f"This becomes {len(plan.parts)} messages to {plan.target}, and at most {call.max_messages} are allowed. "
            "Send it as one file (--file PATH, or --file - from a pipe), or allow it: "
            f"--max-messages {len(plan.parts)}."
        )
    return message


async def _one(engine: Engine, call: _Call, message: Message) -> tuple[Sequence[Receipt], LoginNeeded | None]:
    receipts: Sequence[Receipt] = await engine.submit(call.targets, message, **call.how)
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
    broadcast = await engine.broadcast(call.targets, message, **call.how)
    show = bars.deliveries("sent", broadcast.total)
    settled: Counter[State] = Counter()

    def count(_target: object, state: State) -> None:
        settled[state] += 1
        show(sum(n for one, n in settled.items() if one.final))

    stop = engine.on_settled(count)
    with suppress(ValueError):
        async with explained_when_stopped(broadcast.receipts, as_json=call.out.as_json):
            await broadcast.wait(call.timeout)
    stop()
    reason = engine.paused()
    problem = LoginNeeded(f"{reason} The deliveries wait; log in and they go on.") if reason else None
    return await broadcast.receipts(), problem


def _show(out: Output, receipts: Sequence[Receipt]) -> None:
    """Show all receipts to programs; to people the first ones, what went wrong, and the counts.

    A single failure is not shown: all of it is said as an error.
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
            message = await message_from(call.content, engine, bars.bytes)
            plans = await engine.plan(call.targets, message)
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
    """Return what all of it comes to; equal uploads are made once."""
    parts = [part for plan in plans for part in plan.parts]
    uploads = {key for part in parts for key in part.upload_keys}
    sizes = {part.upload_keys: part.upload_bytes for part in parts}
    accounts = ", ".join(sorted({plan.target.account for plan in plans}))
    waits = sum(1 for plan in plans if plan.budget)
    words = [
        f"{many(len(plans), 'target')} on {accounts}",
        many(len(parts), "part"),
        f"{many(len(uploads), 'upload')} ({size(sum(sizes.values()))})" if uploads else "nothing to upload",
    ]
    return ", ".join([*words, f"{waits:,} would wait"] if waits else words) + ". Nothing was sent."
