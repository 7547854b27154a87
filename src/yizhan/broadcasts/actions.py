"""Actions on stored broadcasts: create, start, pause, resume, cancel, recall, retry, wait, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from yizhan.broadcasts.create import Audience, Created, Creator, WhenRefused
from yizhan.broadcasts.feeder import Feeder
from yizhan.broadcasts.figures import BroadcastFigures
from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.placeholders import filled
from yizhan.broadcasts.plan import BroadcastPlan, BroadcastPlanner
from yizhan.broadcasts.recall import Recaller
from yizhan.broadcasts.report import BroadcastReport, ErrorCount
from yizhan.broadcasts.rows import (
    REFUSED,
    WAITING,
    BroadcastRow,
    Recipient,
    broadcast_name,
)
from yizhan.broadcasts.states import BroadcastState, PauseReason
from yizhan.broadcasts.table import BroadcastTable, NewBroadcast
from yizhan.errors import Refused
from yizhan.model import Clock, Forward, Message, Receipt, State, Target, load_message
from yizhan.runtime.notifier import Notifier
from yizhan.sending.accept import Acceptance
from yizhan.sending.delivery import SINGLE, Submitted
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.waiting import PACE, Waiting
from yizhan.sending.worker import Worker
from yizhan.storage.driver import Connection

_UNFED = {
    BroadcastState.DRAFT: State.HELD,
    BroadcastState.SCHEDULED: State.HELD,
    BroadcastState.PAUSED: State.HELD,
    BroadcastState.RUNNING: State.QUEUED,
}
"""As what recipients without a delivery count; `cancelled` in every other state."""
PAGE = 5000
RETRIED = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED, State.UNKNOWN})


class BroadcastActions:
    def __init__(
        self,
        table: BroadcastTable,
        figures: BroadcastFigures,
        acceptance: Acceptance,
        outbox: Outbox,
        records: Records,
        worker: Worker,
        feeder: Feeder,
        recaller: Recaller,
        planner: BroadcastPlanner,
        waiting: Waiting,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self.table, self.figures = table, figures
        self._acceptance = acceptance
        self._outbox = outbox
        self._records = records
        self._worker = worker
        self._feeder = feeder
        self._recaller = recaller
        self._planner = planner
        self._waiting = waiting
        self._notifier = notifier
        self._clock = clock
        self._creator = Creator(table, acceptance, feeder)

    # --- making ---

    async def create(
        self,
        message: Message,
        to: Audience,
        *,
        name: str = "",
        key: str | None = None,
        options: BroadcastOptions | None = None,
        start: bool = False,
        start_at: float = 0.0,
        refused: WhenRefused = "fail",
        parent: int | None = None,
    ) -> Created:
        """Store a draft, or with `start` a broadcast that starts now or at `start_at` (seconds since the epoch).

        `refused`: "skip" leaves out targets that it cannot be sent to, with the reason in the report.

        Raises:
            Refused: it cannot be sent to one of them as it stands; nothing is stored.
        """
        targets: Sequence[Target] = ()
        if _has_reference(message):
            given = [to] if isinstance(to, (str, Target)) else [*to]
            targets = await self._acceptance.targets(
                [one.target if isinstance(one, Recipient) else one for one in given]
            )
            to = given
        async with self._acceptance.taking_in(message, targets) as (ready, note):
            new = NewBroadcast(ready, name, options or BroadcastOptions(), key, note, parent, start_at)
            created = await self._creator.create(new, to, when_refused=refused, start=start)
        await self._send(created.fed)
        await self._announce(created.row.id)
        return created

    # --- states ---

    async def act(self, id: int, action: str, **how: object) -> BroadcastRow:
        """Carry an action of the table of states out, and tell the process that sends."""

        def change(connection: Connection) -> BroadcastRow:
            return self.table.change_on(connection, id, action, **how)  # type: ignore[arg-type]

        row = await self.table.ledger.write(change, urgent=True)
        await self._announce(id)
        return row

    async def start(self, id: int, at: float | None = None) -> None:
        """Start a broadcast, or schedule it for `at`, seconds since the epoch.

        The first recipients of every account are in the outbox when this returns.
        """
        if at is not None and at > self._clock.now():
            await self.act(id, "schedule", start_at=at)
            return

        def start(connection: Connection) -> Mapping[str, Submitted]:
            row = self.table.change_on(connection, id, "start")
            return self._feeder.feed_first_on(connection, row)

        await self._send(await self.table.ledger.write(start))
        await self._announce(id)

    async def _send(self, fed: Mapping[str, Submitted]) -> None:
        """Hand deliveries that were just stored to the lanes."""
        for account, submitted in fed.items():
            if submitted.deliveries:
                await self._worker.offer(account, submitted.deliveries)
            else:
                await self._worker.wake(account)

    async def pause(self, id: int) -> None:
        await self.act(id, "pause", reason=PauseReason.PERSON)
        self._worker.drop_broadcast(id)

    async def resume(self, id: int) -> None:
        await self.act(id, "resume")
        for account in await self.table.tallies(await self.table.get(id)):
            await self._worker.wake(account)

    async def cancel(self, id: int) -> int:
        """Cancel a broadcast; returns how many recipients get nothing."""
        before = (await self.table.tally(id))[1]
        await self.act(id, "cancel")
        await self._recaller.cancel_open(id)
        after = (await self.table.tally(id))[1]
        return after.waiting + after.states.get(State.CANCELLED, 0) - before.states.get(State.CANCELLED, 0)

    async def recall(self, id: int) -> None:
        await self.act(id, "recall")
        await self._recaller.cancel_open(id)

    async def retry(self, id: int, states: Sequence[State]) -> Created:
        """Start a child that carries the missing parts to the recipients that ended in `states`.

        Raises:
            Refused: a state is not one of an end without success, or no recipient is in one.
        """
        if wrong := [state for state in states if state not in RETRIED]:
            raise Refused(f"A recipient that is {wrong[0]} is not retried. Name some of: {', '.join(sorted(RETRIED))}.")
        parent = await self.table.get(id)
        to: list[Recipient] = []
        while some := await self.table.to_retry(id, states, to[-1].ord if to else 0, PAGE):
            to += some
        if not to:
            ended = " or ".join(states)
            raise Refused(f"No recipient of {broadcast_name(id)} is {ended}, or all were retried already.")
        message = load_message(await self._records.message(parent.message))
        options = replace(parent.options, stop_at=None)
        return await self.create(message, to, name=parent.name, options=options, start=True, refused="skip", parent=id)

    async def configure(self, id: int, name: str | None, options: BroadcastOptions | None) -> None:
        """Give a broadcast that has not ended another name or other options."""

        def change(connection: Connection) -> None:
            row = self.table.get_on(connection, id)
            if row.state.final or row.state is BroadcastState.RECALLING:
                raise Refused(f"Broadcast {broadcast_name(id)} is {row.state}; its options matter no more.")
            new_name, new_options = row.name if name is None else name, options or row.options
            self.table.configure_on(connection, row, new_name, new_options)

        await self.table.ledger.write(change)
        await self._announce(id)

    async def test(self, id: int, to: Sequence[Target | str | Recipient]) -> list[Receipt]:
        """Send the message of a broadcast to a few targets, outside of its counts."""
        row = await self.table.get(id)
        message = await self.table.message(row.message)
        values = await self.figures.first_values(id)
        seqs: list[int] = []
        for one in to:
            given = one.values if isinstance(one, Recipient) and one.values else values
            targets = await self._acceptance.targets([one.target if isinstance(one, Recipient) else one])
            submitted = await self._acceptance.accept(targets, filled(message, given), priority=SINGLE)
            await self._worker.start(submitted, targets)
            seqs += submitted.seqs
        return await self._waiting.for_all(seqs, None)

    async def plan(self, id: int, at: float | None) -> BroadcastPlan:
        return await self._planner.plan(id, at)

    # --- reading ---

    async def counts(self, id: int) -> dict[State, int]:
        row, tally = await self.table.tally(id)
        counts = dict(tally.states)
        if tally.waiting:
            unfed = _UNFED.get(row.state, State.CANCELLED)
            counts[unfed] = counts.get(unfed, 0) + tally.waiting
        return counts

    async def receipts(self, id: int, states: Sequence[State], limit: int) -> list[Receipt]:
        return await self._records.receipts(broadcast=id, states=states, limit=limit)

    async def report(self, id: int) -> BroadcastReport:
        row, tally = await self.table.tally(id)
        counts = {state.value: n for state, n in tally.states.items()}
        return BroadcastReport(
            broadcast_name(id),
            row.name,
            row.state,
            row.reason,
            row.detail,
            row.total,
            row.refused,
            {WAITING: tally.waiting, REFUSED: tally.refused, **counts},
            await self.table.tallies(row),
            [ErrorCount(*one) for one in await self.figures.by_error(id) if one[2] or one[3]],
            await self.figures.by_minute(id),
            await self.figures.recall_reasons(id),
            row.created_at,
            row.started_at,
            row.ended_at,
        )

    async def wait(self, id: int, timeout: float | None, *, until_held: bool) -> None:
        going = {State.QUEUED, State.SENDING} | (set() if until_held else {State.HELD})

        async def finished() -> bool:
            row, tally = await self.table.tally(id)
            on_the_wire = bool(tally.states.get(State.SENDING)) or await self.table.has_begun(id)
            if not self._may_leave(row, on_the_wire, until_held):
                return True
            if row.state is BroadcastState.RECALLING:
                return False
            if row.state is BroadcastState.RUNNING and not tally.waiting and not tally.open and self._worker.leading:
                # It is about to be done.
                return False
            # Also of one that is done: an operator may send an unknown delivery again.
            accounts = await self.table.going(id, going, self._clock.now() + PACE, unfed=not row.state.final)
            return not accounts or self._worker.stopped() >= accounts

        await self._waiting.until(finished, timeout)

    def _may_leave(self, row: BroadcastRow, on_the_wire: bool, until_held: bool) -> bool:
        """Return whether something of it may leave without a person, and not only after a long time."""
        match row.state:
            case BroadcastState.DRAFT:
                return False
            case BroadcastState.SCHEDULED:
                return not until_held or row.start_at <= self._clock.now() + PACE
            case BroadcastState.PAUSED if row.reason is not None and row.reason.resumes:
                return not until_held or on_the_wire
            case BroadcastState.PAUSED:
                return on_the_wire
        return True

    async def _announce(self, id: int) -> None:
        self._notifier.broadcast_changed.send(id)
        self._notifier.wake_all()
        if not self._worker.leading:
            await self._outbox.bump_revision()


def _has_reference(message: Message) -> bool:
    """Return whether the message has media by reference, which may not reach every target."""
    return any(isinstance(segment, Forward) for segment in message.segments)
