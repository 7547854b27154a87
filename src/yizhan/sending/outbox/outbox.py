"""The outbox: every operation on stored deliveries, each a named statement.

One file although it is long: a change to the meaning of a state must look at every statement that moves a delivery.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Clock, Message, PlatformId, State, Target
from yizhan.sending.delivery import BROADCAST, DELIVERY_COLUMNS, Delivery, Progress, Submission, Submitted
from yizhan.sending.outbox.insert import NewDeliveries, store
from yizhan.storage.counters import count_on
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import attempts, counters, deliveries

REVISION = "stirs"
"""The counter that a sending process watches for changes other than new deliveries; named as in the stores of 0.1."""

_MINE = (deliveries.c.seq == sa.bindparam("b_seq")) & deliveries.c.state.in_(
    (sa.literal_column(f"'{State.QUEUED.value}'"), sa.literal_column(f"'{State.SENDING.value}'"))
)
"""A delivery that the lane has in hand, unless it was cancelled, or its time ran out, before anything left."""
_MARK_SENDING = (
    deliveries.update()
    .where(_MINE)
    .values(
        state=State.SENDING.value,
        sending_at=sa.bindparam("b_now"),
        sent_as=sa.bindparam("b_sent_as"),
        repeatable=sa.bindparam("b_repeatable"),
        spends=sa.bindparam("b_spends"),
    )
)
_MARK_RESENDING = (
    # `spends` stays: a resend counts against nothing new.
    deliveries.update()
    .where(_MINE)
    .values(
        state=State.SENDING.value,
        sending_at=sa.bindparam("b_now"),
        sent_as=sa.bindparam("b_sent_as"),
        repeatable=sa.bindparam("b_repeatable"),
    )
)
_PART_DONE = (
    # Nothing is in doubt until the next part leaves; after a crash that one is simply sent.
    deliveries.update()
    .where(_MINE)
    .values(
        state=State.QUEUED.value,
        parts_done=sa.bindparam("b_parts_done"),
        ids=sa.bindparam("b_ids"),
        notes=sa.bindparam("b_notes"),
        attempts=sa.bindparam("b_attempts"),
        asked=False,
        tries=0,
    )
)
_PART_DONE_VALUES = ("parts_done", "ids", "notes", "attempts")
_SETTLE_VALUES = (
    "state",
    "due_at",
    "detail",
    "error",
    "code",
    "trace_id",
    "ids",
    "parts_done",
    "notes",
    "asked",
    "asked_since",
    "attempts",
    "tries",
    "settled_at",
)
_SETTLE = deliveries.update().where(_MINE).values({name: sa.bindparam(f"b_{name}") for name in _SETTLE_VALUES})
_ATTEMPT = attempts.insert()
_COLUMNS = tuple(deliveries.c[name] for name in DELIVERY_COLUMNS)
_HELD = deliveries.c.state == State.HELD.value
_WAITING = deliveries.c.state.in_((State.QUEUED.value, State.HELD.value))
_MAY_EXPIRE = (
    # A half-sent message does not expire, unless its rest is held.
    _WAITING & ~deliveries.c.asked & ((deliveries.c.parts_done == 0) | _HELD)
)
_SEQ_AND_TARGET = (deliveries.c.seq, deliveries.c.account, deliveries.c.kind, deliveries.c.target)
_TIMED = sa.text("due_at > 0")
_ENDING = sa.text("expires_at IS NOT NULL AND settled_at = 0")
MAX_RELEASE_COUNTS = 4096
SOON = 60.0
"""Seconds that the rest of a half-sent message may take while other messages to the same target wait for it."""


class Outbox:
    """Stored deliveries of all accounts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._releases: OrderedDict[Target, int] = OrderedDict()
        """How often this process released the deliveries held for a target; the most recent targets."""

    # --- accepting ---

    async def submit(
        self,
        message: Message,
        submissions: Sequence[Submission],
        *,
        priority: int,
        key: str | None = None,
        expires_at: float | None = None,
        not_before: float = 0.0,
        note: str = "",
    ) -> Submitted:
        """Store one delivery per submission in one commit. (key, target) is unique: a repeat finds what is there.

        `not_before`: seconds since the epoch until which it is held. `note`: what every receipt says from the start.

        Raises:
            Refused: the key was used for another message.
        """
        new = NewDeliveries(message, submissions, priority, key, expires_at, not_before, note, self._clock.now())
        return await self._ledger.write(lambda connection: store(connection, new), urgent=priority < BROADCAST)

    # --- sending ---

    async def due(
        self, account: str, now: float, limit: int, *, after: tuple[int, int] | None = None, below: int | None = None
    ) -> list[Delivery]:
        """Return queued deliveries of `account` that may go now, most urgent first, at most `limit`.

        `after`: only those behind this (priority, number). `below`: only those more urgent than that priority.
        """
        query = (
            sa.select(*_COLUMNS)
            .where(
                deliveries.c.account == account,
                deliveries.c.state == State.QUEUED.value,
                deliveries.c.due_at <= now,
            )
            .order_by(deliveries.c.priority, deliveries.c.seq)
            .limit(limit)
        )
        if after is not None:
            query = query.where(sa.tuple_(deliveries.c.priority, deliveries.c.seq) > after)
        if below is not None:
            query = query.where(deliveries.c.priority < below)
        return await self._ledger.read(
            lambda connection: [Delivery.from_row(tuple(row)) for row in connection.execute(query)]
        )

    async def next_due(self, account: str, now: float) -> float | None:
        """Return when `account` next has a delivery to release, try or expire; None if no delivery waits for a time.

        A held delivery that was due before `now` counts: it has yet to be released.
        """
        mine = deliveries.c.account == account
        ahead = _HELD | (deliveries.c.due_at > now)
        due = sa.select(sa.func.min(deliveries.c.due_at)).where(mine, _WAITING, _TIMED, ahead)
        ends = sa.select(sa.func.min(deliveries.c.expires_at)).where(mine, _MAY_EXPIRE, _ENDING)

        def earliest(connection: Connection) -> float | None:
            times = [connection.execute(query).scalar() for query in (due, ends)]
            return min((at for at in times if at is not None), default=None)

        return await self._ledger.read(earliest)

    async def release_due(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Requeue held deliveries whose time has come and expire those past their end; returns the expired ones."""
        mine = deliveries.c.account == account
        words = "Its time ran out before it could be sent."
        rest = "Its time ran out before the rest of it could be sent."
        expire = (
            deliveries.update()
            .where(mine, _MAY_EXPIRE, _ENDING, deliveries.c.expires_at <= now)
            .values(
                state=State.EXPIRED.value,
                settled_at=now,
                detail=sa.case((deliveries.c.parts_done == 0, words), else_=rest),
            )
            .returning(*_SEQ_AND_TARGET)
        )
        free = (
            deliveries.update()
            .where(mine, _HELD, _TIMED, deliveries.c.due_at <= now)
            .values(state=State.QUEUED.value, due_at=0.0)
        )

        def both(connection: Connection) -> list[tuple[int, Target]]:
            expired = _seqs_and_targets(connection.execute(expire))
            connection.execute(free)
            return expired

        return await self._ledger.write(both)

    async def requeue_waiting(self, account: str) -> None:
        """Requeue everything of `account` that is waiting, except messages scheduled for later."""
        statement = (
            deliveries.update()
            .where(deliveries.c.account == account, _WAITING, _HELD | _TIMED, self._not_scheduled())
            .values(state=State.QUEUED.value, due_at=0.0)
        )
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)

    async def half_sent(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Return the deliveries of `account` that have sent a part and send the rest soon."""
        soon = _HELD & _TIMED & (deliveries.c.due_at <= now + SOON)
        query = sa.select(*_SEQ_AND_TARGET).where(
            deliveries.c.account == account,
            (deliveries.c.state == State.QUEUED.value) | soon,
            (deliveries.c.parts_done > 0) | deliveries.c.asked,
        )
        return await self._ledger.read(
            lambda connection: _seqs_and_targets(connection.execute(query.order_by(deliveries.c.seq)))
        )

    def target_release(self, target: Target) -> Callable[[Connection], int]:
        """Return the statement of `release_target`, for the transaction that stores the event of the other side."""
        self._releases[target] = self.release_count(target) + 1
        self._releases.move_to_end(target)
        if len(self._releases) > MAX_RELEASE_COUNTS:
            self._releases.popitem(last=False)
        statement = (
            deliveries.update()
            .where(
                deliveries.c.account == target.account,
                deliveries.c.kind == target.kind,
                deliveries.c.target == target.id,
                _HELD,
                self._not_scheduled(),
            )
            .values(state=State.QUEUED.value, due_at=0.0, priority=0)
        )
        return lambda connection: connection.execute(statement).rowcount

    def _not_scheduled(self) -> sa.ColumnElement[bool]:
        """Not scheduled for later."""
        return deliveries.c.not_before <= self._clock.now()

    def release_count(self, target: Target) -> int:
        """Return how often the deliveries held for `target` were released, as far as this process knows."""
        return self._releases.get(target, 0)

    async def release_target(self, target: Target, *, urgent: bool = False) -> int:
        """Requeue, in front, everything held for `target`, except messages scheduled for later; returns how many."""
        return await self._ledger.write(self.target_release(target), urgent=urgent)

    async def has_earlier(self, delivery: Delivery) -> bool:
        """Return whether another delivery to the same target is due and goes before `delivery`."""
        earlier = (
            sa.select(deliveries.c.seq)
            .where(
                deliveries.c.account == delivery.target.account,
                deliveries.c.kind == delivery.target.kind,
                deliveries.c.target == delivery.target.id,
                deliveries.c.state == State.QUEUED.value,
                deliveries.c.due_at <= self._clock.now(),
                sa.tuple_(deliveries.c.priority, deliveries.c.seq) < (delivery.priority, delivery.seq),
            )
            .limit(1)
        )
        return await self._ledger.read(lambda connection: connection.execute(earlier).first() is not None)

    async def mark_sending(
        self,
        delivery: Delivery,
        now: float,
        *,
        repeatable: bool,
        spends: str,
        sent_as: str = "",
        resend: bool = False,
    ) -> None:
        """Record, on disk, that a part of `delivery` is about to leave.

        `spends`: the budgets it counts against. `sent_as`: the session under which it leaves. `resend`: once more under
        the same key, which counts against no budget again.

        Raises:
            RowChanged: it was cancelled or expired; it must not leave.
        """
        row = {"b_seq": delivery.seq, "b_now": now, "b_repeatable": repeatable, "b_sent_as": sent_as}
        if resend:
            await self._ledger.put(_MARK_RESENDING, row, urgent=delivery.urgent)
        else:
            await self._ledger.put(_MARK_SENDING, {**row, "b_spends": spends}, urgent=delivery.urgent)

    async def record_part(self, delivery: Delivery, progress: Progress) -> None:
        """Record that a part arrived and that more of them follow."""
        await self._ledger.put(_PART_DONE, _bound(delivery.seq, progress, _PART_DONE_VALUES), urgent=delivery.urgent)

    async def settle(self, delivery: Delivery, progress: Progress) -> None:
        """Record how the delivery ended or why it waits; returns once that is on disk.

        Raises:
            RowChanged: it was cancelled or expired before anything left.
        """
        await self._ledger.put(_SETTLE, _bound(delivery.seq, progress, _SETTLE_VALUES), urgent=delivery.urgent)

    async def record_attempt(self, seq: int, part: int, failure: Progress, decision: str) -> None:
        """Record an attempt that failed, with the error's words; the one that succeeds is the delivery itself."""
        await self._ledger.put(
            _ATTEMPT,
            {
                "delivery": seq,
                "part": part,
                "at": self._clock.now(),
                "error": failure.error,
                "code": failure.code,
                "trace_id": failure.trace_id,
                "detail": failure.detail[:2000],
                "decision": decision,
            },
        )

    async def recover(self, account: str | None = None, seq: int | None = None) -> tuple[int, int]:
        """Settle deliveries that a crash left `sending`: queued where the wire recognizes a repeat, else unknown.

        Of one account, or one delivery, alone where given. Returns how many are resent, and how many are unknown.
        """
        now = self._clock.now()
        sending = deliveries.c.state == State.SENDING.value
        if account is not None:
            sending &= deliveries.c.account == account
        if seq is not None:
            sending &= deliveries.c.seq == seq

        def settle(connection: Connection) -> tuple[int, int]:
            again = connection.execute(
                deliveries.update()
                .where(sending, deliveries.c.repeatable)
                .values(
                    state=State.QUEUED.value,
                    due_at=0.0,
                    asked=True,
                    asked_since=sa.case((deliveries.c.asked, deliveries.c.asked_since), else_=deliveries.c.sending_at),
                )
            ).rowcount
            unknown = connection.execute(
                deliveries.update()
                .where(sending, ~deliveries.c.repeatable)
                .values(
                    state=State.UNKNOWN.value,
                    error="OutcomeUnknown",
                    detail="The program ended between sending and the answer; it may have arrived. "
                    "It is not sent again by itself.",
                    settled_at=now,
                )
            ).rowcount
            return again, unknown

        return await self._ledger.write(settle)

    async def sends_since(self, account: str, since: float) -> list[tuple[str, str, str | None, str, float, int]]:
        """Return the sends of `account` after `since` that count against budgets, oldest first.

        A refused send does not count; one that may have arrived does.
        """
        in_doubt = deliveries.c.state.in_((State.SENDING.value, State.UNKNOWN.value)) | deliveries.c.asked
        parts = deliveries.c.parts_done + sa.case((in_doubt, 1), else_=0)
        query = (
            sa.select(
                deliveries.c.kind,
                deliveries.c.target,
                deliveries.c.reply_id,
                deliveries.c.spends,
                deliveries.c.sending_at,
                parts,
            )
            .where(
                deliveries.c.account == account,
                deliveries.c.sending_at > since,
                deliveries.c.spends != "",
                parts > 0,
            )
            .order_by(deliveries.c.sending_at)
        )
        return await self._ledger.read(lambda connection: [tuple(row) for row in connection.execute(query)])

    # --- changes by other processes and by operators ---

    async def newest(self) -> int:
        """Return the number of the newest delivery, 0 when there is none."""
        query = sa.select(sa.func.max(deliveries.c.seq))
        return int(await self._ledger.read(lambda connection: connection.execute(query).scalar()) or 0)

    async def bump_revision(self) -> None:
        """Tell the sending process that waiting deliveries may go on, after a login, say."""
        await self._ledger.write(lambda connection: count_on(connection, REVISION, 1))

    async def revision(self) -> int:
        """Return a number that grows with every change that may let waiting deliveries go on.

        New deliveries do not count; see `newest`.
        """
        query = sa.select(counters.c.value).where(counters.c.name == REVISION)
        return int(await self._ledger.read(lambda connection: connection.execute(query).scalar()) or 0)

    async def accounts_after(self, seq: int) -> list[str]:
        """Return the accounts that have deliveries newer than `seq`."""
        query = sa.select(deliveries.c.account).where(deliveries.c.seq > seq).distinct()
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def accounts_with_work(self) -> list[str]:
        """Return the accounts that have queued or held deliveries."""
        query = sa.select(deliveries.c.account).where(_WAITING).distinct()
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def cancel(self, seqs: Sequence[int]) -> list[tuple[int, Target]]:
        """Cancel those of the deliveries that wait and have sent no part; returns them.

        Held deliveries of the same accounts are requeued: they may move up.
        """
        now = self._clock.now()

        def settle(connection: Connection) -> list[tuple[int, Target]]:
            done: list[tuple[int, Target]] = []
            for start in range(0, len(seqs), 500):
                done += _seqs_and_targets(
                    connection.execute(
                        deliveries.update()
                        .where(
                            deliveries.c.seq.in_(seqs[start : start + 500]),
                            _WAITING,
                            deliveries.c.parts_done == 0,
                            ~deliveries.c.asked,
                        )
                        .values(state=State.CANCELLED.value, settled_at=now)
                        .returning(*_SEQ_AND_TARGET)
                    )
                )
            accounts = {target.account for _, target in done}
            held = deliveries.c.account.in_(accounts) & _HELD & _TIMED & self._not_scheduled()
            moved = deliveries.update().where(held).values(state=State.QUEUED.value, due_at=0.0)
            if accounts and connection.execute(moved).rowcount:
                count_on(connection, REVISION, 1)
            return done

        return await self._ledger.write(settle)

    async def settle_unknown(
        self, seq: int, state: State, detail: str, ids: Sequence[PlatformId] | None = None
    ) -> bool:
        """Settle an `unknown` delivery by an operator's word; `queued` sends the rest of it.

        `ids`: the ids of all parts that have arrived, where that changes. False if it was not unknown.
        """
        values: dict[str, Any] = {"state": state.value, "detail": detail, "due_at": 0.0, "asked": False}
        if state.final:
            values["settled_at"] = self._clock.now()
        else:
            # An operator wants it now, whatever its time was.
            values |= {"settled_at": 0.0, "expires_at": None, "tries": 0}
        if ids is not None:
            values |= {"parts_done": len(ids), "ids": msgspec.json.encode(ids).decode()}
        elif not state.final:
            # Where the wire recognizes a repeat, it tells whether the part had arrived after all.
            values |= {"asked": deliveries.c.repeatable, "asked_since": self._clock.now()}
        unknown = (deliveries.c.seq == seq) & (deliveries.c.state == State.UNKNOWN.value)
        statement = deliveries.update().where(unknown).values(values)

        def settle(connection: Connection) -> bool:
            if not connection.execute(statement).rowcount:
                return False
            if not state.final:
                count_on(connection, REVISION, 1)
            return True

        return await self._ledger.write(settle)

    async def record_recall(self, seq: int) -> None:
        """Record that every part of a delivery was withdrawn."""
        statement = deliveries.update().where(deliveries.c.seq == seq).values(state=State.RECALLED.value)
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)


def _bound(seq: int, progress: Progress, names: Iterable[str]) -> dict[str, Any]:
    row = progress.to_row()
    return {"b_seq": seq, **{f"b_{name}": row[name] for name in names}}


def _seqs_and_targets(rows: Iterable[Any]) -> list[tuple[int, Target]]:
    return [(seq, Target(account, kind, target)) for seq, account, kind, target in rows]
