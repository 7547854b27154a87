"""The steps that commands for many targets share: the message of a call, its refused rows, and watching a broadcast."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from yizhan.cli.content import message_from, preview_of
from yizhan.cli.exits import explained_when_stopped
from yizhan.cli.message_options import Named
from yizhan.cli.output import Output, many
from yizhan.cli.progress import Bars
from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.broadcasts.broadcast import Broadcast
    from yizhan.engine import Engine
    from yizhan.model import Message, State, Target


async def message_of_call(engine: Engine, named: Named, bars: Bars) -> tuple[Message, list[Target]]:
    """Return the message to send, and its targets.

    Raises:
        Refused: it becomes more messages to one target than allowed.
    """
    targets = await engine.targets(named.audience.targets)
    if (preview := await preview_of(named.content, engine)) and named.refused_file is None:
        await engine.supervisor.acceptance.check(preview, targets)
    message = await message_from(named.content, engine, bars.bytes)
    if named.max_messages is None:
        return message, targets
    # Targets of one kind on one account get the same parts.
    samples = {(target.account, target.kind): target for target in targets}
    plan = max(await engine.plan(list(samples.values()), message), key=lambda plan: len(plan.parts))
    if len(plan.parts) > named.max_messages:
        raise Refused(
            f"This becomes {len(plan.parts)} messages to {plan.target}, and at most {named.max_messages} are allowed. "
            "Send it as one file (--file PATH, or --file - from a pipe), or allow it: "
            f"--max-messages {len(plan.parts)}."
        )
    return message, targets


async def write_refused(broadcast: Broadcast, named: Named, out: Output) -> None:
    """Write the rows that get nothing to the file that `--refused` names."""
    if named.refused_file is None:
        return
    refused = {row.target: row.detail async for row in broadcast.recipients(["refused"])}
    if not refused and not named.audience.bad:
        return
    text = named.audience.refused_rows(refused)
    try:
        with named.refused_file.open("x", encoding="utf-8-sig", newline="") as file:
            file.write(text)
    except OSError as error:
        raise Refused(
            f"{named.refused_file} cannot be written: {error.strerror}. {broadcast.id} goes on; its refused "
            f"recipients: yizhan broadcast export {broadcast.id}."
        ) from error
    out.line(f"{many(len(refused) + len(named.audience.bad), 'row')} refused, written to {named.refused_file}.")


async def watched(
    engine: Engine,
    broadcast: Broadcast,
    bars: Bars,
    timeout: float | None,
    *,
    until_held: bool = True,
    as_json: bool = False,
) -> None:
    """Wait for a broadcast, with a bar; when a signal ends that, say how far it is and how the rest goes on."""
    show = bars.deliveries("sent", broadcast.total)
    settled: Counter[State] = Counter()

    def count(_target: object, state: State) -> None:
        settled[state] += 1
        show(sum(n for one, n in settled.items() if one.final))

    stop = engine.on_settled(count)
    try:
        async with explained_when_stopped(broadcast.receipts, as_json=as_json):
            await broadcast.wait(timeout, until_held=until_held)
    finally:
        stop()
