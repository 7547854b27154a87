"""The outbox: every operation on stored deliveries, each a named statement.

One file although it is long: whoever changes what a state means must see every place that moves a delivery.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Clock, Message, PlatformId, State, Target
from yizhan.sending.delivery import BROADCAST, Job, Settlement, Submission, Submitted
from yizhan.sending.outbox.insert import New, store
from yizhan.storage.counters import count_on
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import attempts, counters, deliveries

STIRS = "stirs"
"""Counts what should make a process that sends look again."""

_ids = msgspec.json.Decoder(list[PlatformId])
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
        repeatable=sa.bindparam("b_repeatable"),
        spends=sa.bindparam("b_spends"),
    )
)
_MARK_ASKING = (
    # What it counted against stays.
    deliveries.update()
    .where(_MINE)
    .values(state=State.SENDING.value, sending_at=sa.bindparam("b_now"), repeatable=sa.bindparam("b_repeatable"))
)
_PART_DONE = (
    # Nothing is in doubt until the next part leaves, so after a crash that one is simply sent.
    deliveries.update()
    .where(_MINE)
    .values(
        state=State.QUEUED.value,
        parts_done=sa.bindparam("b_done"),
        ids=sa.bindparam("b_ids"),
        notes=sa.bindparam("b_notes"),
        attempts=sa.bindparam("b_attempts"),
        asked=False,
        tries=0,
    )
)
_SETTLE = (
    deliveries.update()
    .where(_MINE)
    .values(
        state=sa.bindparam("b_state"),
        due_at=sa.bindparam("b_due"),
        detail=sa.bindparam("b_detail"),
        error=sa.bindparam("b_error"),
        code=sa.bindparam("b_code"),
        trace_id=sa.bindparam("b_trace"),
        ids=sa.bindparam("b_ids"),
        parts_done=sa.bindparam("b_done"),
        notes=sa.bindparam("b_notes"),
        asked=sa.bindparam("b_asked"),
        asked_since=sa.bindparam("b_asked_since"),
        attempts=sa.bindparam("b_attempts"),
        tries=sa.bindparam("b_tries"),
        settled_at=sa.bindparam("b_settled"),
    )
)
_ATTEMPT = attempts.insert()
_JOB_COLUMNS = (
    deliveries.c.seq,
    deliveries.c.message,
    deliveries.c.kind,
    deliveries.c.target,
    deliveries.c.priority,
    deliveries.c.expires_at,
    deliveries.c.first_number,
    deliveries.c.parts_done,
    deliveries.c.asked,
    deliveries.c.attempts,
    deliveries.c.ids,
    deliveries.c.notes,
    deliveries.c.tries,
    deliveries.c.sending_at,
    deliveries.c.not_before,
    deliveries.c.asked_since,
)
_HELD = deliveries.c.state == State.HELD.value
_WAITING = deliveries.c.state.in_((State.QUEUED.value, State.HELD.value))
_MAY_EXPIRE = (
    # What has begun is one unit with what is left of it, unless that would come at another time altogether.
    _WAITING & ~deliveries.c.asked & ((deliveries.c.parts_done == 0) | _HELD)
)
_PLACE = (deliveries.c.seq, deliveries.c.account, deliveries.c.kind, deliveries.c.target)
_TIMED = sa.text("due_at > 0")
_ENDING = sa.text("expires_at IS NOT NULL AND settled_at = 0")
RELEASED_KEPT = 4096
SOON = 60.0
"""Seconds that the rest of a half-sent message may take while other messages to the same target wait for it."""


class Outbox:
    """Stored deliveries of all accounts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._released: OrderedDict[Target, int] = OrderedDict()
        """How often what is held for a target was let go; the recent ones of this process."""

    # --- taking in ---

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
        new = New(message, submissions, priority, key, expires_at, not_before, note, self._clock.now())
        return await self._ledger.write(lambda connection: store(connection, new), urgent=priority < BROADCAST)

    # --- going out ---

    async def due(
        self, account: str, now: float, limit: int, *, after: tuple[int, int] | None = None, below: int | None = None
    ) -> list[Job]:
        """Return queued deliveries of `account` that may go now, most urgent first, at most `limit`.

        `after`: only those behind this place, (priority, number). `below`: only what is more urgent than that priority.
        """
        query = (
            sa.select(*_JOB_COLUMNS)
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
        return await self._ledger.read(lambda connection: [_job(account, row) for row in connection.execute(query)])

    async def next_due(self, account: str, now: float) -> float | None:
        """Return when something of `account` must be looked at again, None if nothing waits for it.

        That is the next moment after `now` at which something is due, or the first at which something expires. What
        is held and was due before counts, too: it has yet to be let go.
        """
        mine = deliveries.c.account == account
        ahead = _HELD | (deliveries.c.due_at > now)
        due = sa.select(sa.func.min(deliveries.c.due_at)).where(mine, _WAITING, _TIMED, ahead)
        ends = sa.select(sa.func.min(deliveries.c.expires_at)).where(mine, _MAY_EXPIRE, _ENDING)

        def earliest(connection: Connection) -> float | None:
            times = [connection.execute(query).scalar() for query in (due, ends)]
            return min((at for at in times if at is not None), default=None)

        return await self._ledger.read(earliest)

    async def release(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Put held deliveries whose time has come back into the queue; end those that are past their end.

        Returns those that expired.
        """
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
            .returning(*_PLACE)
        )
        free = (
            deliveries.update()
            .where(mine, _HELD, _TIMED, deliveries.c.due_at <= now)
            .values(state=State.QUEUED.value, due_at=0.0)
        )

        def both(connection: Connection) -> list[tuple[int, Target]]:
            expired = _places(connection.execute(expire))
            connection.execute(free)
            return expired

        return await self._ledger.write(both)

    async def hasten(self, account: str) -> None:
        """Let everything of `account` that waits be tried, or weighed, now; but nothing before its time."""
        statement = (
            deliveries.update()
            .where(deliveries.c.account == account, _WAITING, _HELD | _TIMED, self._in_its_time())
            .values(state=State.QUEUED.value, due_at=0.0)
        )
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)

    async def begun(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Return the deliveries of `account` of which something has left, and whose rest follows soon."""
        soon = _HELD & _TIMED & (deliveries.c.due_at <= now + SOON)
        query = sa.select(*_PLACE).where(
            deliveries.c.account == account,
            (deliveries.c.state == State.QUEUED.value) | soon,
            (deliveries.c.parts_done > 0) | deliveries.c.asked,
        )
        return await self._ledger.read(lambda connection: _places(connection.execute(query.order_by(deliveries.c.seq))))

    def releasing(self, target: Target) -> Callable[[Connection], int]:
        """Return the work that puts everything held for `target` back into the queue, in front; it returns how many.

        What is held until its time stays. For a transaction that stores what the other side has written.
        """
        self._released[target] = self.released(target) + 1
        self._released.move_to_end(target)
        if len(self._released) > RELEASED_KEPT:
            self._released.popitem(last=False)
        statement = (
            deliveries.update()
            .where(
                deliveries.c.account == target.account,
                deliveries.c.kind == target.kind,
                deliveries.c.target == target.id,
                _HELD,
                self._in_its_time(),
            )
            .values(state=State.QUEUED.value, due_at=0.0, priority=0)
        )
        return lambda connection: connection.execute(statement).rowcount

    def _in_its_time(self) -> sa.ColumnElement[bool]:
        """Not held only because it is to be sent later."""
        return deliveries.c.not_before <= self._clock.now()

    def released(self, target: Target) -> int:
        """Return how often what is held for `target` was let go, as far as this process knows."""
        return self._released.get(target, 0)

    async def release_target(self, target: Target) -> int:
        """Put everything held for `target` back into the queue, in front: the other side has written."""
        return await self._ledger.write(self.releasing(target))

    async def let_first(self, job: Job) -> bool:
        """Release what is held for the target of `job`; return whether anything for it is to leave before `job`."""
        release = self.releasing(job.target)
        before = (
            sa.select(deliveries.c.seq)
            .where(
                deliveries.c.account == job.target.account,
                deliveries.c.kind == job.target.kind,
                deliveries.c.target == job.target.id,
                deliveries.c.state == State.QUEUED.value,
                deliveries.c.due_at <= self._clock.now(),
                sa.tuple_(deliveries.c.priority, deliveries.c.seq) < (job.priority, job.seq),
            )
            .limit(1)
        )

        def both(connection: Connection) -> bool:
            release(connection)
            return connection.execute(before).first() is not None

        return await self._ledger.write(both, urgent=job.urgent)

    async def mark_sending(self, job: Job, now: float, *, repeatable: bool, spends: str, asking: bool = False) -> None:
        """Record, on disk, that a part of `job` is about to leave. `asking`: once more, under the same key.

        Raises:
            RowChanged: it was cancelled, or its time ran out; it must not leave.
        """
        row = {"b_seq": job.seq, "b_now": now, "b_repeatable": repeatable}
        if asking:
            await self._ledger.put(_MARK_ASKING, row, urgent=job.urgent)
        else:
            await self._ledger.put(_MARK_SENDING, {**row, "b_spends": spends}, urgent=job.urgent)

    async def part_done(self, job: Job, so_far: Settlement) -> None:
        """Record that a part arrived and that more of them follow."""
        await self._ledger.put(
            _PART_DONE,
            {
                "b_seq": job.seq,
                "b_done": so_far.parts_done,
                "b_ids": msgspec.json.encode(so_far.ids).decode(),
                "b_notes": so_far.notes,
                "b_attempts": so_far.attempts,
            },
            urgent=job.urgent,
        )

    async def settle(self, job: Job, end: Settlement) -> None:
        """Record how the delivery ended or why it waits; returns once that is on disk.

        Raises:
            RowChanged: it has ended otherwise: it was cancelled, or its time ran out, before anything left.
        """
        end.settled_at = self._clock.now() if end.state.final else 0.0
        await self._ledger.put(
            _SETTLE,
            {
                "b_seq": job.seq,
                "b_state": end.state.value,
                "b_due": end.due_at,
                "b_detail": end.detail,
                "b_error": end.error,
                "b_code": end.code,
                "b_trace": end.trace_id,
                "b_ids": msgspec.json.encode(end.ids).decode(),
                "b_done": end.parts_done,
                "b_notes": end.notes,
                "b_asked": end.asked,
                "b_asked_since": end.asked_since,
                "b_attempts": end.attempts,
                "b_tries": end.tries,
                "b_settled": end.settled_at,
            },
            urgent=job.urgent,
        )

    async def attempt(self, seq: int, part: int, said: Settlement, decision: str) -> None:
        """Keep a try that did not succeed, with what was said; the one that did is the delivery itself."""
        await self._ledger.put(
            _ATTEMPT,
            {
                "delivery": seq,
                "part": part,
                "at": self._clock.now(),
                "error": said.error,
                "code": said.code,
                "trace_id": said.trace_id,
                "detail": said.detail[:2000],
                "decision": decision,
            },
        )

    async def recover(self, account: str | None = None, seq: int | None = None) -> tuple[int, int]:
        """After a crash: what was being sent is asked again where the wire recognises a repeat, else it is unknown.

        Of one account, or one delivery, alone where given. Returns how many are asked again, and how many are unknown.
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

    async def spent(self, account: str, since: float) -> list[tuple[str, str, str | None, str, float, int]]:
        """Return the sends of `account` after `since` that count against budgets, oldest first.

        What was refused counts nothing; what may have arrived counts.
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

    # --- looking ---

    async def latest(self) -> int:
        """Return the number of the newest delivery, 0 when there is none."""
        query = sa.select(sa.func.max(deliveries.c.seq))
        return int(await self._ledger.read(lambda connection: connection.execute(query).scalar()) or 0)

    async def stir(self) -> None:
        """Have the process that sends look again at what rests: somebody logged in, say."""
        await self._ledger.write(lambda connection: count_on(connection, STIRS, 1))

    async def stirs(self) -> int:
        """Return how often something that rested was stirred; a process that sends looks for changes.

        Submitting does not count: `latest` tells of that.
        """
        query = sa.select(counters.c.value).where(counters.c.name == STIRS)
        return int(await self._ledger.read(lambda connection: connection.execute(query).scalar()) or 0)

    async def accounts_after(self, seq: int) -> list[str]:
        """Return the accounts that have deliveries newer than `seq`."""
        query = sa.select(deliveries.c.account).where(deliveries.c.seq > seq).distinct()
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def accounts_with_work(self) -> list[str]:
        """Return the accounts that have something queued or held."""
        query = sa.select(deliveries.c.account).where(_WAITING).distinct()
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def cancel(self, seqs: Sequence[int]) -> list[tuple[int, Target]]:
        """Take deliveries of which nothing has left out of the queue; returns those that it found there.

        Others that are held may move up into their places.
        """
        now = self._clock.now()

        def settle(connection: Connection) -> list[tuple[int, Target]]:
            done: list[tuple[int, Target]] = []
            for start in range(0, len(seqs), 500):
                done += _places(
                    connection.execute(
                        deliveries.update()
                        .where(
                            deliveries.c.seq.in_(seqs[start : start + 500]),
                            _WAITING,
                            deliveries.c.parts_done == 0,
                            ~deliveries.c.asked,
                        )
                        .values(state=State.CANCELLED.value, settled_at=now)
                        .returning(*_PLACE)
                    )
                )
            accounts = {target.account for _, target in done}
            held = deliveries.c.account.in_(accounts) & _HELD & _TIMED & self._in_its_time()
            moved = deliveries.update().where(held).values(state=State.QUEUED.value, due_at=0.0)
            if accounts and connection.execute(moved).rowcount:
                count_on(connection, STIRS, 1)
            return done

        return await self._ledger.write(settle)

    async def resettle(self, seq: int, state: State, detail: str, ids: Sequence[PlatformId] | None = None) -> bool:
        """A person or a policy settles an `unknown` delivery; `queued` sends what is left of it.

        `ids`: of the parts that are known to have arrived now, if that changes. False if it was not unknown.
        """
        values: dict[str, Any] = {"state": state.value, "detail": detail, "due_at": 0.0, "asked": False}
        if state.final:
            values["settled_at"] = self._clock.now()
        else:
            # Somebody wants it now, whatever its time was.
            values |= {"settled_at": 0.0, "expires_at": None, "tries": 0}
        if ids is not None:
            values |= {"parts_done": len(ids), "ids": msgspec.json.encode(ids).decode()}
        elif not state.final:
            # Where the wire recognises a repeat, it tells whether the part had arrived after all.
            values |= {"asked": deliveries.c.repeatable, "asked_since": self._clock.now()}
        unknown = (deliveries.c.seq == seq) & (deliveries.c.state == State.UNKNOWN.value)
        statement = deliveries.update().where(unknown).values(values)

        def settle(connection: Connection) -> bool:
            if not connection.execute(statement).rowcount:
                return False
            if not state.final:
                count_on(connection, STIRS, 1)
            return True

        return await self._ledger.write(settle)

    async def recalled(self, seq: int) -> None:
        statement = deliveries.update().where(deliveries.c.seq == seq).values(state=State.RECALLED.value)
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)


def _job(account: str, row: Any) -> Job:
    seq, message, kind, target, priority, expires_at, first_number, parts_done, asked, attempted, ids, *rest = row
    done = tuple(_ids.decode(ids)) if ids != "[]" else ()
    where = Target(account, kind, target)
    return Job(seq, message, where, priority, expires_at, first_number, parts_done, asked, attempted, done, *rest)


def _places(rows: Iterable[Any]) -> list[tuple[int, Target]]:
    return [(seq, Target(account, kind, target)) for seq, account, kind, target in rows]
