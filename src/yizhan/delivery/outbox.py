"""The outbox: every operation on stored deliveries, each a named statement."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.errors import Refused
from yizhan.model import Clock, Media, MediaSegment, Message, PlatformId, Receipt, State, Target, dump_message
from yizhan.storage.ledger import Ledger, Prepared
from yizhan.storage.tables import attempts, counters, deliveries, message_media, messages, replies

REPLY, SINGLE, BROADCAST = 0, 10, 50
"""Priorities: a person's reply overtakes a single send, which overtakes a broadcast."""
STIRS = "stirs"

AT_ONCE = 64
"""Deliveries of one call that are handed to the lanes directly; more are read from the store in portions."""

_ids = msgspec.json.Decoder(list[PlatformId])


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery as the lane hands it to the runner."""

    seq: int
    message: int
    target: Target
    priority: int
    expires_at: float | None = None
    first_number: int = 1
    parts_done: int = 0
    asked: bool = False
    attempts: int = 0
    ids: tuple[PlatformId, ...] = ()
    notes: str = ""
    tries: int = 0
    """Of the part that is next, as far as they count against the policy."""
    sending_at: float = 0.0
    """When the last try left, seconds since the epoch."""
    asked_since: float = 0.0
    """For one that is asked again: when the first of the tries in doubt left."""

    @property
    def begun(self) -> bool:
        """Whether something of it has left: then it is no longer cancelled, and does not expire in the queue."""
        return bool(self.parts_done) or self.asked


@dataclass(frozen=True, slots=True)
class Submission:
    """One target's share of a call to `submit`, already checked by compose."""

    target: Target
    parts: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a call to `submit` stored: its deliveries' numbers, in the order of the targets."""

    broadcast: int
    seqs: Sequence[int]
    repeated: bool = False
    """The same key had been submitted before; these are the deliveries of then."""
    jobs: Sequence[Job] = ()
    """What is new, ready for the lanes; empty when it is much and better read in portions."""


@dataclass(slots=True)
class Settlement:
    """How a delivery ends, or where it waits."""

    state: State
    due_at: float = 0.0
    detail: str = ""
    error: str = ""
    code: str = ""
    trace_id: str = ""
    ids: tuple[PlatformId, ...] = ()
    parts_done: int = 0
    notes: str = ""
    asked: bool = False
    asked_since: float = 0.0
    attempts: int = 0
    tries: int = 0
    settled_at: float = 0.0


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
_INSERT = Prepared(
    deliveries.insert(),
    (
        "seq",
        "message",
        "broadcast",
        "account",
        "kind",
        "target",
        "key",
        "priority",
        "state",
        "due_at",
        "expires_at",
        "first_number",
        "reply_id",
        "notes",
        "created_at",
    ),
)
_KEEP = Prepared(messages.insert(), ("id", "digest", "body", "created_at"))
_COUNT_ON = Prepared(
    counters.update()
    .where(counters.c.name == sa.bindparam("b_name"))
    .values(value=counters.c.value + sa.bindparam("b_count"))
    .returning(counters.c.value),
    ("b_name", "b_count"),
)
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
    deliveries.c.asked_since,
)
_WAITING = deliveries.c.state.in_((State.QUEUED.value, State.HELD.value))
_MAY_EXPIRE = (
    # What has begun is one unit with what is left of it, unless that would come at another time altogether.
    _WAITING & ~deliveries.c.asked & ((deliveries.c.parts_done == 0) | (deliveries.c.state == State.HELD.value))
)
_PLACE = (deliveries.c.seq, deliveries.c.account, deliveries.c.kind, deliveries.c.target)
_TIMED = sa.text("due_at > 0")
_ENDING = sa.text("expires_at IS NOT NULL AND settled_at = 0")
SOON = 60.0
"""Seconds that the rest of a half-sent message may take while other messages to the same target wait for it."""


class Outbox:
    """Stored deliveries of all accounts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    # --- taking in ---

    async def submit(
        self,
        message: Message,
        submissions: Sequence[Submission],
        *,
        priority: int,
        key: str | None = None,
        expires_at: float | None = None,
        due_at: float = 0.0,
        note: str = "",
    ) -> Submitted:
        """Store one delivery per submission in one commit. (key, target) is unique: a repeat finds what is there.

        `note`: what every receipt says from the start.

        Raises:
            Refused: the key was used for another message.
        """
        body = dump_message(message)
        digest = hashlib.sha256(body).hexdigest()
        media = {
            segment.media.sha256
            for segment in message.segments
            if isinstance(segment, MediaSegment) and isinstance(segment.media, Media)
        }
        now = self._clock.now()

        def store(connection: Connection) -> Submitted:
            known = _known(connection, key, digest) if key is not None else {}
            missing = [s for s in submissions if s.target not in known]
            if not missing:
                seqs = [known[s.target][0] for s in submissions]
                return Submitted(known[submissions[0].target][1], seqs, repeated=True)
            first = _take(connection, "delivery", len(missing))
            # What is added under a key belongs to what was stored under it first.
            broadcast = next(iter(known.values()))[1] if known else first
            _keep_message(connection, first, digest, body, now, media)
            numbers = _numbers(connection, message, missing)
            row = {
                "message": first,
                "broadcast": broadcast,
                "key": key,
                "priority": priority,
                "state": State.QUEUED.value,
                "due_at": due_at,
                "expires_at": expires_at,
                "reply_id": message.reply.id if message.reply else None,
                "notes": note,
                "created_at": now,
            }
            for start in range(0, len(missing), 5000):
                rows = [
                    {
                        **row,
                        "seq": first + index,
                        "account": missing[index].target.account,
                        "kind": missing[index].target.kind,
                        "target": missing[index].target.id,
                        "first_number": numbers[index] if numbers else 1,
                    }
                    for index in range(start, min(start + 5000, len(missing)))
                ]
                _INSERT.run(connection, rows)
            jobs = [
                Job(
                    first + index,
                    first,
                    s.target,
                    priority,
                    expires_at,
                    numbers[index] if numbers else 1,
                    notes=note,
                )
                for index, s in enumerate(missing[: AT_ONCE + 1])
            ]
            jobs = jobs if len(jobs) <= AT_ONCE and not due_at else []
            if not known:
                return Submitted(first, range(first, first + len(missing)), jobs=jobs)
            new = {s.target: first + index for index, s in enumerate(missing)}
            seqs = [known[s.target][0] if s.target in known else new[s.target] for s in submissions]
            return Submitted(broadcast, seqs, jobs=jobs)

        return await self._ledger.write(store, urgent=priority < BROADCAST)

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

        That is the next moment after `now` at which something is due, or the first at which something expires.
        """
        mine = deliveries.c.account == account
        due = sa.select(sa.func.min(deliveries.c.due_at)).where(mine, _WAITING, _TIMED, deliveries.c.due_at > now)
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
            .where(mine, deliveries.c.state == State.HELD.value, _TIMED, deliveries.c.due_at <= now)
            .values(state=State.QUEUED.value, due_at=0.0)
        )

        def both(connection: Connection) -> list[tuple[int, Target]]:
            expired = _places(connection.execute(expire))
            connection.execute(free)
            return expired

        return await self._ledger.write(both)

    async def hasten(self, account: str) -> None:
        """Let everything of `account` that waits for a time be tried, or weighed, now."""
        statement = (
            deliveries.update()
            .where(deliveries.c.account == account, _WAITING, _TIMED)
            .values(state=State.QUEUED.value, due_at=0.0)
        )
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)

    async def begun(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Return the deliveries of `account` of which something has left, and whose rest follows soon."""
        soon = (deliveries.c.state == State.HELD.value) & _TIMED & (deliveries.c.due_at <= now + SOON)
        query = sa.select(*_PLACE).where(
            deliveries.c.account == account,
            (deliveries.c.state == State.QUEUED.value) | soon,
            (deliveries.c.parts_done > 0) | deliveries.c.asked,
        )
        return await self._ledger.read(lambda connection: _places(connection.execute(query.order_by(deliveries.c.seq))))

    def releasing(self, target: Target) -> Callable[[Connection], int]:
        """Return the work that puts everything held for `target` back into the queue, in front; it returns how many.

        For a transaction that stores what the other side has written.
        """
        statement = (
            deliveries.update()
            .where(
                deliveries.c.account == target.account,
                deliveries.c.kind == target.kind,
                deliveries.c.target == target.id,
                deliveries.c.state == State.HELD.value,
            )
            .values(state=State.QUEUED.value, due_at=0.0, priority=0)
        )
        return lambda connection: connection.execute(statement).rowcount

    async def release_target(self, target: Target) -> int:
        """Put everything held for `target` back into the queue, in front: the other side has written."""
        return await self._ledger.write(self.releasing(target))

    async def mark_sending(self, job: Job, now: float, *, repeatable: bool, spends: str, asking: bool = False) -> None:
        """Record, on disk, that a part of `job` is about to leave. `asking`: once more, under the same key.

        Raises:
            Missed: it was cancelled, or its time ran out; it must not leave.
        """
        if asking:
            await self._ledger.put(_MARK_ASKING, {"b_seq": job.seq, "b_now": now, "b_repeatable": repeatable})
            return
        await self._ledger.put(
            _MARK_SENDING,
            {"b_seq": job.seq, "b_now": now, "b_repeatable": repeatable, "b_spends": spends},
            urgent=job.priority < BROADCAST,
        )

    async def part_done(self, seq: int, so_far: Settlement) -> None:
        """Record that a part arrived and that more of them follow."""
        await self._ledger.put(
            _PART_DONE,
            {
                "b_seq": seq,
                "b_done": so_far.parts_done,
                "b_ids": msgspec.json.encode(so_far.ids).decode(),
                "b_notes": so_far.notes,
                "b_attempts": so_far.attempts,
            },
        )

    async def settle(self, job: Job, end: Settlement) -> None:
        """Record how the delivery ended or why it waits; returns once that is on disk.

        Raises:
            Missed: it has ended otherwise: it was cancelled, or its time ran out, before anything left.
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
            urgent=job.priority < BROADCAST,
        )

    async def attempt(self, seq: int, part: int, error: Exception, code: str, trace_id: str, decision: str) -> None:
        """Keep a try that did not succeed; the one that did is the delivery itself."""
        await self._ledger.put(
            _ATTEMPT,
            {
                "delivery": seq,
                "part": part,
                "at": self._clock.now(),
                "error": type(error).__name__,
                "code": code,
                "trace_id": trace_id,
                "detail": str(error)[:2000],
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
        await self._ledger.write(lambda connection: _take(connection, STIRS, 1))

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

    async def accounts_with_work(
        self, states: Iterable[State] = (State.QUEUED, State.HELD), broadcast: int | None = None
    ) -> list[str]:
        """Return the accounts that have something queued or held (or in other `states`), in one broadcast or at all."""
        query = (
            sa.select(deliveries.c.account).where(deliveries.c.state.in_([state.value for state in states])).distinct()
        )
        if broadcast is not None:
            query = query.where(deliveries.c.broadcast == broadcast)
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def message_of(self, seq: int) -> bytes:
        """Return the message of a delivery."""
        query = sa.select(messages.c.body).join(deliveries, deliveries.c.message == messages.c.id)
        query = query.where(deliveries.c.seq == seq)
        body: bytes = await self._ledger.read(lambda connection: connection.execute(query).scalar_one())
        return body

    async def message(self, message_id: int) -> bytes:
        """Return a message as it was stored."""
        query = sa.select(messages.c.body).where(messages.c.id == message_id)
        body: bytes = await self._ledger.read(lambda connection: connection.execute(query).scalar_one())
        return body

    async def receipts(
        self,
        seqs: Iterable[int] | None = None,
        *,
        broadcast: int | None = None,
        account: str | None = None,
        states: Sequence[State] = (),
        target: Target | None = None,
        limit: int = 1000,
        after: int = 0,
        newest: bool = False,
    ) -> list[Receipt]:
        """Return receipts, oldest first, of the deliveries that match everything given.

        At most `limit`: the first ones, or with `newest` the last ones.
        """
        order = deliveries.c.seq.desc() if newest else deliveries.c.seq
        query = sa.select(deliveries).where(deliveries.c.seq > after).order_by(order).limit(limit)
        if broadcast is not None:
            query = query.where(deliveries.c.broadcast == broadcast)
        if account is not None:
            query = query.where(deliveries.c.account == account)
        if states:
            query = query.where(deliveries.c.state.in_([state.value for state in states]))
        if target is not None:
            query = query.where(
                deliveries.c.account == target.account,
                deliveries.c.kind == target.kind,
                deliveries.c.target == target.id,
            )
        if seqs is None:
            found = await self._ledger.read(lambda connection: [_receipt(row) for row in connection.execute(query)])
            return found[::-1] if newest else found
        wanted = list(seqs)

        def in_slices(connection: Connection) -> list[Receipt]:
            found: list[Receipt] = []
            for start in range(0, len(wanted), 500):
                part = query.where(deliveries.c.seq.in_(wanted[start : start + 500]))
                found.extend(_receipt(row) for row in connection.execute(part))
            return found

        return await self._ledger.read(in_slices)

    async def counts(self, broadcast: int | None = None, account: str | None = None) -> dict[State, int]:
        """Return how many deliveries stand in each state."""
        query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        if broadcast is not None:
            query = query.where(deliveries.c.broadcast == broadcast)
        if account is not None:
            query = query.where(deliveries.c.account == account)
        rows = await self._ledger.read(lambda connection: connection.execute(query).all())
        return {State(state): count for state, count in rows}

    async def any_of(self, broadcast: int, states: Iterable[State]) -> bool:
        """Return whether anything of a broadcast stands in one of `states`; quick, however large it is."""
        some = (deliveries.c.broadcast == broadcast) & deliveries.c.state.in_([state.value for state in states])
        query = sa.select(deliveries.c.seq).where(some).limit(1)
        return await self._ledger.read(lambda connection: connection.execute(query).first() is not None)

    async def attempts_of(self, seq: int) -> list[dict[str, Any]]:
        query = sa.select(attempts).where(attempts.c.delivery == seq).order_by(attempts.c.id)
        return await self._ledger.read(lambda c: [dict(row._mapping) for row in c.execute(query)])

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
            held = deliveries.c.account.in_(accounts) & (deliveries.c.state == State.HELD.value) & _TIMED
            moved = deliveries.update().where(held).values(state=State.QUEUED.value, due_at=0.0)
            if accounts and connection.execute(moved).rowcount:
                _take(connection, STIRS, 1)
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
                _take(connection, STIRS, 1)
            return True

        return await self._ledger.write(settle)

    async def recalled(self, seq: int) -> None:
        statement = deliveries.update().where(deliveries.c.seq == seq).values(state=State.RECALLED.value)
        await self._ledger.write(lambda connection: connection.execute(statement).rowcount)


def delivery_id(seq: int) -> str:
    """The id that people see and paste: `d42`."""
    return f"d{seq}"


def delivery_seq(text: str) -> int:
    """Read a delivery's id.

    Raises:
        Refused: it is not one.
    """
    digits = text.strip().lower().removeprefix("d")
    if not digits.isdigit() or len(digits) > 18:
        raise Refused(f"'{text}' is not a delivery's id. Expected d followed by digits, as `send` printed it.")
    return int(digits)


def _take(connection: Connection, name: str, count: int) -> int:
    """Reserve `count` numbers and return the first."""
    updated = _COUNT_ON.run(connection, [{"b_name": name, "b_count": count}]).scalar()
    if updated is None:
        connection.execute(counters.insert().values(name=name, value=count))
        return 1
    return int(updated) - count + 1


def _keep_message(
    connection: Connection, message_id: int, digest: str, body: bytes, now: float, media: set[str]
) -> None:
    """Store a message. Its id is the number of its first delivery, which no message before it can have."""
    _KEEP.run(connection, [{"id": message_id, "digest": digest, "body": body, "created_at": now}])
    if media:
        connection.execute(message_media.insert(), [{"message": message_id, "sha256": one} for one in media])


def _numbers(connection: Connection, message: Message, submissions: Sequence[Submission]) -> list[int]:
    """Give every delivery its first number; empty when all begin at 1.

    Answers to one message count on from where the last answer stopped.
    """
    if message.reply is None:
        return []
    numbers = []
    for submission in submissions:
        where = (replies.c.account == submission.target.account) & (replies.c.reply_id == message.reply.id)
        parts = max(1, submission.parts)
        after = connection.execute(
            replies.update()
            .where(where)
            .values(next_number=replies.c.next_number + parts)
            .returning(replies.c.next_number)
        ).scalar()
        if after is None:
            after = 1 + parts
            connection.execute(
                replies.insert().values(account=submission.target.account, reply_id=message.reply.id, next_number=after)
            )
        numbers.append(int(after) - parts)
    return numbers


def _known(connection: Connection, key: str, digest: str) -> dict[Target, tuple[int, int]]:
    """Return number and broadcast of what was stored under `key` before, by target."""
    rows = connection.execute(
        sa.select(
            deliveries.c.seq,
            deliveries.c.broadcast,
            deliveries.c.account,
            deliveries.c.kind,
            deliveries.c.target,
            messages.c.digest,
        )
        .join(messages, messages.c.id == deliveries.c.message)
        .where(deliveries.c.key == key)
    ).all()
    if any(row.digest != digest for row in rows):
        raise Refused(f"The key '{key}' was used before for another message. Use a key per message, or leave it out.")
    return {Target(row.account, row.kind, row.target): (row.seq, row.broadcast) for row in rows}


def _job(account: str, row: Any) -> Job:
    seq, message, kind, target, priority, expires_at, first_number, parts_done, asked, attempted, ids, *rest = row
    done = tuple(_ids.decode(ids)) if ids != "[]" else ()
    where = Target(account, kind, target)
    return Job(seq, message, where, priority, expires_at, first_number, parts_done, asked, attempted, done, *rest)


def _places(rows: Iterable[Any]) -> list[tuple[int, Target]]:
    return [(seq, Target(account, kind, target)) for seq, account, kind, target in rows]


def receipt_of(job: Job, end: Settlement) -> Receipt:
    """The receipt that the store would give for `job` after `end`."""
    return Receipt(
        delivery_id(job.seq),
        str(job.target),
        end.state,
        end.ids,
        end.attempts,
        " ".join(filter(None, (end.detail, end.notes))),
        end.error,
        end.code,
        end.trace_id,
        end.settled_at,
        end.due_at,
    )


def _receipt(row: Any) -> Receipt:
    return Receipt(
        delivery_id(row.seq),
        str(Target(row.account, row.kind, row.target)),
        State(row.state),
        tuple(_ids.decode(row.ids)),
        row.attempts,
        " ".join(filter(None, (row.detail, row.notes))),
        row.error,
        row.code,
        row.trace_id,
        row.settled_at,
        row.due_at,
    )
