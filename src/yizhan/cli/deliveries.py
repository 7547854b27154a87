"""`yizhan deliveries`: list, show, settle, retry and cancel deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yizhan.cli.account import unknown_account
from yizhan.cli.exits import SENT, USAGE, code_of
from yizhan.cli.ids import Ids, OptionalIds, ids_of, wait_for
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, moment, why
from yizhan.cli.running import opened, run
from yizhan.cli.times import time_before
from yizhan.errors import Refused, did_you_mean

if TYPE_CHECKING:
    from yizhan.sending.outbox.listing import ListedDelivery

app = typer.Typer(help="List deliveries; show, settle or cancel some.", invoke_without_command=True)


class Retried(StrEnum):
    """States that `retry --state` takes."""

    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


STATES = ("queued", "sending", "held", "sent", "failed", "unknown", "expired", "cancelled", "recalled")


Account = Annotated[str | None, typer.Option("--account", help="Of one account.")]
ToTarget = Annotated[str | None, typer.Option("--target", help="To one target, or to an @alias.")]
States = Annotated[
    list[str] | None, typer.Option("--state", help=f"In a state ({', '.join(STATES)}); may be repeated.")
]
WithKey = Annotated[str | None, typer.Option("--key", help="Stored under that key.")]
OfBroadcast = Annotated[str | None, typer.Option("--broadcast", metavar="ID", help="Of a broadcast, such as b7.")]
WithError = Annotated[
    str | None, typer.Option("--error", help="With that error: its class, such as Throttled, or the platform's code.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Stored since then: 09:00, 2026-12-01T18:00, or 2h ago.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Stored before then.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")]
After = Annotated[
    str | None,
    typer.Option("--after", metavar="ID", help="Only those submitted after this one, beginning with the oldest."),
]


@app.callback()
def deliveries(
    context: typer.Context,
    account: Account = None,
    target: ToTarget = None,
    state: States = None,
    key: WithKey = None,
    broadcast: OfBroadcast = None,
    error: WithError = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    after: After = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List deliveries, oldest first; `list` does the same."""
    if context.invoked_subcommand is not None:
        return SENT
    return list_deliveries(
        account, target, state, key, broadcast, error, since, until, limit, after, store, as_json, quiet
    )


@app.command("list")
def list_deliveries(
    account: Account = None,
    target: ToTarget = None,
    state: States = None,
    key: WithKey = None,
    broadcast: OfBroadcast = None,
    error: WithError = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    after: After = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List deliveries, oldest first: when they were stored, to whom, what, and how they stand."""
    for one in state or ():
        if one not in STATES:
            raise Refused(f"There is no state '{one}'.{did_you_mean(one, STATES)} Known: {', '.join(STATES)}.")
    now = datetime.now().astimezone()
    wanted: dict[str, Any] = {
        "account": account,
        "key": key,
        "error": error,
        "since": None if since is None else time_before(since, now, "--since").timestamp(),
        "until": None if until is None else time_before(until, now, "--until").timestamp(),
        "limit": limit,
        "newest": after is None,
    }
    return run(_list(store, target, state or (), broadcast, after, wanted, Output(as_json, quiet)))


@app.command("show")
def show(ids: Ids, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Show deliveries in full: the platform's ids and words, and every failed attempt."""
    return run(_show(store, ids_of(ids), Output(as_json, quiet)))


@app.command("settle")
def settle(
    ids: Ids,
    outcome: Annotated[
        Literal["arrived", "lost", "again"],
        typer.Option("--as", help="It arrived (its missing parts follow), it was lost, or send it again."),
    ],
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Settle `unknown` deliveries, once you have found out whether they arrived."""
    return run(_settle(store, ids_of(ids), outcome, Output(as_json, quiet)))


@app.command("retry")
def retry(
    ids: OptionalIds = None,
    state: Annotated[
        list[Retried] | None,
        typer.Option("--state", help="All that are failed, expired or cancelled; may be repeated."),
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send the missing parts of deliveries that ended without success. Unknown ones must be named."""
    if not ids and not state:
        raise Refused("Name deliveries, such as d42 or d42-d90, or a state: --state failed.")
    return run(_retry(store, ids_of(ids or []), [one.value for one in state or []], Output(as_json, quiet)))


@app.command("cancel")
def cancel(ids: Ids, store: Store = DEFAULT_STORE, as_json: Json = False, quiet: Quiet = False) -> int:
    """Remove deliveries that have not begun from the queue."""
    return run(_cancel(store, ids_of(ids), Output(as_json, quiet)))


async def _list(
    store: Path,
    target: str | None,
    states: Sequence[str],
    broadcast: str | None,
    after: str | None,
    wanted: dict[str, Any],
    out: Output,
) -> int:
    from yizhan.broadcasts.rows import broadcast_id
    from yizhan.model import State
    from yizhan.sending.delivery import delivery_seq
    from yizhan.sending.outbox.listing import DeliveryFilter

    async with opened(store) as engine:
        if wanted["account"] is not None and wanted["account"] not in (known := await engine.accounts()):
            raise unknown_account(wanted["account"], list(known))
        found = await engine.deliveries_with_messages(
            DeliveryFilter(
                target=(await engine.targets(target))[0] if target else None,
                states=[State(one) for one in states],
                broadcast=None if broadcast is None else broadcast_id(broadcast),
                after=0 if after is None else delivery_seq(after),
                **wanted,
            )
        )
    for one in found if out.as_json else ():
        out.value(one.to_dict())
    out.table(
        ("id", "stored", "state", "target", "message", "why"),
        [
            (
                one.receipt.delivery,
                moment(one.created_at),
                one.receipt.state.value,
                one.receipt.target,
                message_of(one),
                why(one.receipt),
            )
            for one in found
        ],
    )
    if not found:
        out.line("No deliveries.")
    return SENT


def message_of(one: ListedDelivery) -> str:
    """Return the message in short: its text, then the names of its files."""
    return " ".join(filter(None, [one.excerpt, *(f"[{name}]" for name in one.files)]))


async def _show(store: Path, ids: Sequence[str], out: Output) -> int:
    from yizhan.sending.delivery import delivery_seq
    from yizhan.sending.outbox.listing import DeliveryFilter

    async with opened(store) as engine:
        for one in ids:
            receipt = await engine.receipt(one)
            (listed,) = await engine.deliveries_with_messages(DeliveryFilter(seqs=[delivery_seq(one)]))
            tries = await engine.records.attempts_of(delivery_seq(one))
            out.value({**listed.to_dict(), "tries": tries})
            for line in _in_full(receipt.to_dict(), listed, tries):
                out.line(line)
    return SENT


def _in_full(receipt: dict[str, Any], listed: ListedDelivery, tries: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{receipt.pop('delivery')}  {receipt['state']}  {receipt['target']}"]
    lines += [f"  {'message':<10} {message_of(listed)}", f"  {'stored':<10} {moment(listed.created_at)}"]
    lines += [f"  {name:<10} {value}" for name in ("key", "broadcast") if (value := getattr(listed, name))]
    if receipt["parts"] > 1:
        lines.append(f"  {'parts':<10} {receipt['parts_done']} of {receipt['parts']}")
    for name in ("detail", "error", "code", "trace_id", "attempts"):
        if receipt[name]:
            lines.append(f"  {name:<10} {receipt[name]}")
    for name in ("settled_at", "due_at"):
        if receipt[name]:
            lines.append(f"  {name:<10} {moment(receipt[name])}")
    for number, part in enumerate(receipt["platform_ids"], 1):
        lines.append(
            f"  {f'part {number}':<10} {part['id'] or '(id not known)'}  {moment(part.get('at', 0.0))}".rstrip()
        )
    for one in tries:
        code = f" {one['code']}" if one["code"] else ""
        lines.append(f"  {moment(one['at'])}  part {one['part'] + 1}: {one['error']}{code}: {one['detail']}")
        lines.append(f"  {'':19}  → {one['decision']}")
    return lines


async def _settle(store: Path, ids: Sequence[str], outcome: Literal["arrived", "lost", "again"], out: Output) -> int:
    async with opened(store) as engine:
        receipts = [await engine.settle(one, as_=outcome) for one in ids]
    out.receipts(receipts)
    waiting = [receipt.delivery for receipt in receipts if not receipt.state.final]
    if waiting:
        out.line(f"To send now and wait: yizhan wait {' '.join(waiting)}")
        return code_of(receipts)
    return SENT


async def _retry(store: Path, ids: Sequence[str], states: Sequence[str], out: Output) -> int:
    async with opened(store) as engine:
        receipts = await engine.retry(*ids, states=states)
    out.receipts(receipts)
    if not receipts:
        out.line("There is nothing to retry.")
    elif any(not receipt.state.final for receipt in receipts):
        out.line(f"To send now and wait: {wait_for(receipts)}")
    return code_of(receipts) if receipts else SENT


async def _cancel(store: Path, ids: Sequence[str], out: Output) -> int:
    async with opened(store) as engine:
        count = await engine.cancel(ids)
        receipts = [await engine.receipt(one) for one in ids]
    out.receipts(receipts)
    out.line(f"{count} of {len(ids)} cancelled." + (" The others had begun or ended." if count < len(ids) else ""))
    return SENT if count == len(ids) else USAGE
