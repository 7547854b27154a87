"""`yizhan tail`: received events, as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from yizhan.cli.account import unknown_account
from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, moment, reader_is_gone, write
from yizhan.cli.running import opened, run

if TYPE_CHECKING:
    from yizhan.engine import Engine
    from yizhan.model import Event, Message, State, Target


def tail(
    account: Annotated[
        list[str] | None, typer.Option("--account", help="Of this account; may be repeated. All if none is given.")
    ] = None,
    past: Annotated[int, typer.Option("--past", "-n", min=0, help="Begin with so many earlier events.")] = 10,
    count: Annotated[int, typer.Option("--count", min=0, help="End after so many new ones; 0 never ends.")] = 0,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for new ones.")] = True,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show messages and other events as they arrive.

    Meanwhile due deliveries of this store are sent, and shown when they end.
    """
    return run(_tail(store, account or [], past, count if follow else None, Output(as_json, quiet)))


async def _tail(store: Path, accounts: Sequence[str], past: int, count: int | None, out: Output) -> int:
    async with opened(store, sending=count is not None) as engine:
        known = list(await engine.accounts()) if accounts else []
        for name in accounts:
            if name not in known:
                raise unknown_account(name, known)
        for event in await _before(engine, accounts, past) if past else ():
            _show(event, out)
        if count is None:
            return SENT
        engine.on_settled(lambda target, state: _show_settled(target, state, out))
        shown = 0
        async for event in engine.events(accounts or None):
            _show(event, out)
            shown += 1
            if shown == count or reader_is_gone():
                break
    return SENT


async def _before(engine: Engine, accounts: Sequence[str], count: int) -> list[Event]:
    """Return the last `count` events, oldest first."""
    found: list[Event] = []
    for account in accounts or (None,):
        found += await engine.recent_events(account, limit=count)
    return sorted(found, key=lambda event: event.at)[-count:] if len(accounts) > 1 else found


def _show(event: Event, out: Output) -> None:
    out.value(_object(event))
    where = str(event.target or event.account)
    who = event.sender_name or event.sender
    out.line("  ".join(filter(None, (moment(event.at), event.kind.value, where, who, _in_words(event.message)))))
    # The reader of a pipe needs it now, not when the buffer is full.
    write(flush=True)


def _show_settled(target: Target, state: State, out: Output) -> None:
    out.value({"kind": "receipt", "target": str(target), "state": state.value})
    out.line(f"→ {state.value}  {target}")
    write(flush=True)


def _object(event: Event) -> dict[str, Any]:
    """Return an event without its context, which is secret, and without the platform's own payload."""
    shown: dict[str, Any] = msgspec.to_builtins(event)
    shown.pop("context", None)
    shown.pop("raw", None)
    if event.target is not None:
        shown["target"] = str(event.target)
    return shown


def _in_words(message: Message | None) -> str:
    if message is None:
        return ""
    words = []
    for segment in message.segments:
        tag = segment.__struct_config__.tag
        text = (
            getattr(segment, "text", "")
            if tag == "text"
            else getattr(segment, "name", "") or getattr(segment, "title", "")
        )
        kind = getattr(segment, "kind", tag)
        words.append(text if tag == "text" else f"[{kind} {text}]".replace(" ]", "]"))
    return " ".join(words).replace("\n", "⏎")
