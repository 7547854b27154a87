"""`yizhan wait`: send due deliveries, and wait until some have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli.broadcast import show_report
from yizhan.cli.exits import SENT, UNFINISHED, code_of, explain, explain_failures, explained_when_stopped
from yizhan.cli.ids import IdsOrBroadcasts, ids_of
from yizhan.cli.many import watched
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output
from yizhan.cli.progress import Bars
from yizhan.cli.running import opened, run
from yizhan.errors import DeliveryFailed, LoginNeeded, Refused
from yizhan.runtime.deadline import Deadline

if TYPE_CHECKING:
    from yizhan.model import Receipt, State


def wait(
    ids: IdsOrBroadcasts,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="Give up waiting.")
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Also wait for deliveries that are held longer than a minute.")
    ] = False,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Wait until deliveries or broadcasts have ended; what is due on this store is sent meanwhile."""
    broadcasts = [word for word in ids if word[:1] in "bB"]
    deliveries = ids_of(word for word in ids if word not in broadcasts)
    if broadcasts and deliveries:
        raise Refused("Name deliveries or broadcasts, not both at once.")
    out = Output(as_json, quiet)
    if broadcasts:
        return run(_wait_for_broadcasts(store, broadcasts, timeout, held, out))
    return run(_wait(store, deliveries, timeout, held, out))


async def _wait_for_broadcasts(store: Path, ids: Sequence[str], timeout: float | None, held: bool, out: Output) -> int:
    receipts: list[Receipt] = []
    left, deadline = False, Deadline(timeout)
    async with opened(store, sending=True) as engine:
        for broadcast in [await engine.broadcasts.get(one) for one in ids]:
            with Bars(show=out.for_people) as bars:
                await watched(engine, broadcast, bars, deadline.left(), until_held=not held, as_json=out.as_json)
            report = await broadcast.report()
            show_report(report, out)
            receipts += await broadcast.receipts()
            left = left or report.counts["waiting"] > 0
    explain_failures(receipts, as_json=out.as_json)
    return code_of(receipts) or (UNFINISHED if left else SENT)


async def _wait(store: Path, ids: Sequence[str], timeout: float | None, held: bool, out: Output) -> int:
    problem = None
    async with opened(store, sending=True) as engine:
        with Bars(show=out.for_people) as bars:
            bars.watch(engine)
            receipts: Sequence[Receipt] = [await engine.receipt(one) for one in ids[:1]]
            done = 0
            show = bars.deliveries("sent", len(ids))

            def count(_target: object, state: State) -> None:
                nonlocal done
                done += state.final
                show(done)

            async def look() -> Sequence[Receipt]:
                return [await engine.receipt(one) for one in ids]

            engine.on_settled(count)
            try:
                async with explained_when_stopped(look, as_json=out.as_json):
                    receipts = await engine.wait(ids, timeout=timeout, until_held=not held)
            except DeliveryFailed as error:
                receipts = error.receipts
            except LoginNeeded as error:
                receipts, problem = await look(), error
    out.receipts(receipts)
    if problem is not None:
        return explain(problem, as_json=out.as_json)
    explain_failures(receipts, as_json=out.as_json)
    return code_of(receipts)
