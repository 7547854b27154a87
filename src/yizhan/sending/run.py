"""One delivery from its first part not yet done to its end: place media, record `sending`, send, record the id.

One file although it is long: in which order things are recorded and done is all there is to it.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from msgspec.structs import replace

from yizhan.errors import (
    Duplicate,
    OutcomeUnknown,
    PlatformError,
    Refused,
    StorageError,
    Throttled,
    Unavailable,
    Unsupported,
    WireMismatch,
    YizhanError,
)
from yizhan.media.uploads import HandleCache
from yizhan.model import Clock, Handle, Message, PlatformId, SendKey, State, Target
from yizhan.platforms.adapter import Adapter, Limit, MediaNeed, Part, session_of
from yizhan.sending.decide import (
    Again,
    Arrived,
    Decision,
    GiveUp,
    Hold,
    Pause,
    Policy,
    Renew,
    ResendSameKey,
    Try,
    decide,
)
from yizhan.sending.delivery import Delivery, Progress
from yizhan.sending.fitting import MessageCache
from yizhan.sending.outbox.insert import NOT_YET
from yizhan.sending.outbox.outbox import SOON, Outbox
from yizhan.sending.quota import Budget, Closed
from yizhan.storage.ledger import RowChanged

T = TypeVar("T")

log = logging.getLogger(__name__)

STORE_PAUSE = 1.0
"""Seconds until a write is tried again that the store refused."""
REPEAT_SECONDS = 600.0
"""How long a wire is trusted to recognise a repeat when its rules do not say."""


@dataclass(frozen=True, slots=True)
class Later:
    """The delivery is back in the queue or held. `due_at`: when to look again, None when only an event helps."""

    due_at: float | None
    begun: bool = False
    """Some parts are sent, and the rest follows soon: nothing else may go to this target in between."""
    slow: float = 0.0
    """Seconds for which the whole account waits."""
    paused: str = ""
    """Why the account cannot send until somebody logs in."""


Settled = Callable[[Delivery, Progress], None]
Gone = Callable[[Delivery], None]


@dataclass(slots=True)
class _Run:
    """What the runner knows about the part it is at."""

    delivery: Delivery
    message: Message
    ids: list[PlatformId]
    notes: list[str]
    attempts: int
    """Of the whole delivery, for its receipt."""
    tries: int
    """Of this part, as far as they count against the policy."""
    in_doubt: bool
    in_doubt_since: float
    """When the first of the tries in doubt left."""
    marked_at: float = 0.0
    """When this try left."""
    sent_as: str = ""
    """The session under which the last try left; empty when not known."""
    released: int = 0
    """How often the other side had let go what is held for the target when this run began."""
    limits: Sequence[Limit] = ()
    """What the part that is next counts against."""
    renewed: bool = False
    left: bool = False
    """Whether bytes of this try may have left."""
    spent: tuple[Sequence[Limit], float] | None = None
    """What this try was counted against, and when."""


class Runner:
    """Carries out the deliveries of one account."""

    def __init__(
        self,
        adapter: Adapter,
        outbox: Outbox,
        shelf: HandleCache,
        budget: Budget,
        clock: Clock,
        *,
        messages: MessageCache,
        store_id: str,
        policy: Policy | None = None,
        settled: Settled | None = None,
        gone: Gone | None = None,
        repeat_seconds: float = REPEAT_SECONDS,
        identity: str = "",
        seed: int | None = None,
    ) -> None:
        self._adapter = adapter
        self._outbox = outbox
        self._shelf = shelf
        self._budget = budget
        self._clock = clock
        self._store_id = store_id
        self._policy = policy or Policy()
        self._settled = settled
        self._gone = gone
        self._repeat_seconds = repeat_seconds
        self._identity = identity
        self._chance = random.Random(seed)
        self._messages = messages
        self._throttled: dict[int, int] = {}
        self._held: dict[Target, int] = {}
        """By target, the first that is held until the other side writes."""

    async def deliver(self, job: Delivery) -> Later | None:
        """Take `job` as far as it goes; None when it ended, else when to come back."""
        try:
            return await self._deliver(job)
        except RowChanged:
            # It was cancelled, or its time ran out, before anything left.
            self._throttled.pop(job.seq, None)
            if self._gone is not None:
                self._gone(job)
            return None

    async def give_up(self, job: Delivery) -> None:
        """Something failed that should not: settle `job` as after a crash."""
        self._throttled.pop(job.seq, None)
        await self._stored(lambda: self._outbox.recover(seq=job.seq))
        if self._gone is not None:
            self._gone(job)

    async def _deliver(self, job: Delivery) -> Later | None:
        now = job.progress
        run = _Run(
            job,
            _NOTHING,
            list(now.ids),
            list(now.notes),
            now.attempts,
            now.part_attempts,
            now.in_doubt,
            now.in_doubt_since,
            sent_as=now.sent_as,
        )
        run.released = self._outbox.release_count(job.target)
        if job.not_before > self._clock.now() and not job.progress.begun:
            # The clock was set back after it had been let go.
            await self._settle(run, Progress(State.HELD, job.not_before, detail=NOT_YET))
            return Later(job.not_before)
        try:
            run.message = await self._messages.get(job.message)
            fitted, remarks = await self._messages.fitted(job.message, job.target, self._adapter)
            parts = self._adapter.compose(fitted, job.target)
            if not parts:
                raise Unsupported("Nothing of this message can be carried by the platform any more.")
        except Exception as error:
            run.tries += 1
            # There is no part to renew handles for, so this never says to go on.
            return cast(Later | None, await self._failed(run, Part("", None), len(run.ids), {}, error))
        run.notes += [note for note in remarks if note not in run.notes]
        while len(run.ids) < len(parts):
            index = len(run.ids)
            later_or_end = await self._part(run, parts[index], last=index == len(parts) - 1)
            if later_or_end is not _GO_ON:
                return later_or_end if isinstance(later_or_end, Later) else None
        await self._settle(run, Progress(State.SENT))
        return None

    async def _part(self, run: _Run, part: Part, *, last: bool) -> Later | object | None:
        """Send one part, renewing handles if need be. `_GO_ON` when it is done; None ended, Later waits."""
        job, index = run.delivery, len(run.ids)
        while True:
            if reason := self._no_resend(run):
                await self._end(run, GiveUp(State.UNKNOWN), reason)
                return None
            if closed := self._closed(run):
                if (result := await self._keep_closed(run, closed)) is _GO_ON:
                    continue
                return result
            if await self._is_behind(run):
                return Later(self._clock.now())
            handles: dict[MediaNeed, Handle] = {}
            run.left, run.spent = False, None
            run.tries += 1
            run.attempts += 1
            try:
                for need in part.needs:
                    handles[need] = await self._shelf.place(job.target.account, need, job.target, self._adapter)
                # Placing may take its time, and others send meanwhile: from here to `spend` nothing may wait.
                if part.needs and (closed := self._closed(run)):
                    run.tries -= 1
                    run.attempts -= 1
                    if (result := await self._keep_closed(run, closed)) is _GO_ON:
                        continue
                    return result
                await self._mark(run, part)
                run.left = True
                key = self._key(run, index)
                sent = await self._adapter.send(part, handles, job.target, key, run.message)
            except RowChanged:
                self._refund(run)
                raise
            except Exception as error:
                result = await self._failed(run, part, index, handles, error)
                if result is not _GO_ON or len(run.ids) > index:
                    return result
                continue
            await self._part_sent(run, part, sent, last=last)
            return _GO_ON

    async def _mark(self, run: _Run, part: Part) -> None:
        """Count the try and record it, before it leaves. To ask again under the same key is the same send, later."""
        now, spends = self._clock.now(), ""
        run.marked_at = now
        if run.in_doubt:
            self._budget.move(run.limits, run.delivery.target, run.message.reply, run.delivery.progress.sending_at, now)
        elif run.limits:
            spends = self._budget.spend(run.limits, run.delivery.target, run.message.reply, now)
            run.spent = run.limits, now
        mark, session = self._outbox.mark_sending, self._session()
        await self._stored(
            lambda: mark(
                run.delivery, now, repeatable=part.repeatable, spends=spends, sent_as=session, resend=run.in_doubt
            )
        )
        run.sent_as = session

    def _no_resend(self, run: _Run) -> OutcomeUnknown | None:
        """Return why a try in doubt must not be repeated; None if it may be, or none is in doubt."""
        if not run.in_doubt or not run.sent_as:
            # Without a session on record an operator has asked for this try.
            return None
        if self._clock.now() - run.in_doubt_since > self._repeat_seconds:
            return _FORGOTTEN
        return None if run.sent_as == self._session() else _SESSION_CHANGED

    def _session(self) -> str:
        """Return a digest of account, address and login: a key is recognized only within the same three."""
        text = f"{self._identity}\n{session_of(self._adapter)}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def _key(self, run: _Run, index: int) -> SendKey:
        """Return the key of the part that is next, the same at every try in doubt."""
        job = run.delivery
        at = run.in_doubt_since if run.in_doubt else run.marked_at
        serial = job.seq * MAX_PARTS_OF_KEY + index
        return SendKey(self._token(job.seq, index), job.first_number + index, at=at, serial=serial)

    def _refund(self, run: _Run) -> None:
        """Take the count of this try back: it did not reach anybody."""
        if run.spent is not None:
            limits, at = run.spent
            self._budget.refund(limits, run.delivery.target, run.message.reply, at)
            run.spent = None

    async def _part_sent(self, run: _Run, part: Part, sent: PlatformId, *, last: bool) -> None:
        run.ids.append(sent if sent.at else PlatformId(sent.id, self._clock.now(), sent.extra))
        run.in_doubt = run.renewed = False
        run.tries, run.in_doubt_since = 0, 0.0
        self._throttled.pop(run.delivery.seq, None)
        if part.note and part.note not in run.notes:
            run.notes.append(part.note)
        if not last:
            # The last part is recorded together with the end, in one write.
            so_far = self._filled(run, Progress(State.QUEUED))
            await self._stored(lambda: self._outbox.record_part(run.delivery, so_far))

    async def _failed(
        self, run: _Run, part: Part, index: int, handles: Mapping[MediaNeed, Handle], error: Exception
    ) -> Later | object:
        """Carry out what `decide` says. `_GO_ON` to try the part again at once (or it has arrived)."""
        error = self._understood(run, index, error)
        this = Try(
            max(1, run.tries),
            part.repeatable,
            run.in_doubt,
            run.renewed,
            run.message.reply is not None,
            self._clock.now(),
            self._throttled.get(run.delivery.seq, 0),
        )
        decision = decide(error, this, self._policy, self._chance)
        if not isinstance(error, (OutcomeUnknown, WireMismatch, Duplicate)):
            self._refund(run)
        await self._keep_attempt(run, index, error, decision)
        if isinstance(error, Throttled):
            self._throttled[run.delivery.seq] = this.throttled + 1
        else:
            self._throttled.pop(run.delivery.seq, None)
        if isinstance(decision, (Hold, Pause)) or (isinstance(decision, Again) and not decision.counts):
            # Waiting for a window, a login or a slower pace is no try.
            run.tries -= 1
            run.attempts = max(0, run.attempts - 1)
        match decision:
            case Renew():
                run.renewed = True
                for need, handle in handles.items():
                    await self._shelf.drop(run.delivery.target.account, need, handle)
                return _GO_ON
            case Arrived():
                run.notes.append("An earlier try had arrived: the platform refused a repeat under the same key.")
                await self._part_sent(run, part, PlatformId("", self._clock.now(), {"arrived": True}), last=False)
                return _GO_ON
            case ResendSameKey(delay):
                run.in_doubt, run.in_doubt_since = True, run.in_doubt_since or run.marked_at
                return await self._wait(run, error, delay)
            case Again(delay, slow):
                return await self._wait(run, error, delay, slow=delay if slow else 0.0)
            case Hold(until):
                return await self._hold(run, until, _because(Progress(State.HELD, until), error))
            case Pause():
                return await self._wait(run, error, 0.0, paused=str(error))
            case GiveUp():
                await self._end(run, decision, error)
                return None

    def _understood(self, run: _Run, index: int, error: Exception) -> Exception:
        """Return what `error` means for the message itself."""
        if not isinstance(error, YizhanError):
            log.error("adapter failed", extra={"delivery": run.delivery.seq, "part": index}, exc_info=error)
        if run.left:
            if isinstance(error, (PlatformError, Refused)):
                return error
            return OutcomeUnknown(f"an error inside yizhan while sending: {type(error).__name__}: {error}")
        if isinstance(error, (OutcomeUnknown, WireMismatch, Duplicate)):
            # What is not known is whether media were placed; of the message nothing has left.
            return Unavailable(f"{error} The message itself had not left.", fault=error.fault, account=error.account)
        return error

    async def _keep_attempt(self, run: _Run, index: int, error: Exception, decision: Decision) -> None:
        said = _because(Progress(State.QUEUED), error)
        try:
            await self._outbox.record_attempt(run.delivery.seq, index, said, _name(decision))
        except StorageError as failure:
            # It is there to be looked at; the state that follows is what matters.
            log.warning("attempt not kept", extra={"delivery": run.delivery.seq, "reason": str(failure)})

    # --- ways to stop ---

    async def _wait(self, run: _Run, error: Exception, delay: float, *, slow: float = 0.0, paused: str = "") -> Later:
        due_at = self._clock.now() + delay
        await self._settle(run, _because(Progress(State.QUEUED, due_at if delay else 0.0), error))
        return Later(due_at, begun=bool(run.ids) or run.in_doubt, slow=slow, paused=paused)

    async def _hold(self, run: _Run, until: float, end: Progress) -> Later:
        await self._settle(run, end)
        return Later(until, begun=bool(run.ids) and until - self._clock.now() <= SOON)

    async def _hold_until_written_to(self, run: _Run, end: Progress) -> Later | object:
        """Hold it; `_GO_ON` where the other side has written before this was on disk, and let go what is behind it."""
        end = await self._record(run, end)
        target = run.delivery.target
        if self._outbox.release_count(target) == run.released:
            self._held[target] = min(run.delivery.seq, self._held.get(target, run.delivery.seq))
            self._tell(run, end)
            return Later(None)
        await self._stored(lambda: self._outbox.release_target(target))
        run.released = self._outbox.release_count(target)
        return _GO_ON

    async def _is_behind(self, run: _Run) -> bool:
        """Whether others that were held for the same target go first, now that sending to it is allowed again.

        What has let them go may have done so before the lane knows; what it has in memory must not overtake them.
        """
        job = run.delivery
        first = self._held.get(job.target)
        if first is None or run.ids or run.in_doubt:
            return False
        if first < job.seq and await self._has_earlier(job):
            return True
        del self._held[job.target]
        return False

    async def _has_earlier(self, job: Delivery) -> bool:
        await self._stored(lambda: self._outbox.release_target(job.target, urgent=job.urgent))
        return await self._stored(lambda: self._outbox.has_earlier(job))

    def _closed(self, run: _Run) -> Closed | None:
        run.limits = self._adapter.limits(run.message, run.delivery.target)
        if run.in_doubt:
            return None
        in_line = not run.delivery.urgent
        return self._budget.check(
            run.limits, run.delivery.target, run.message.reply, self._clock.now(), in_line=in_line
        )

    async def _keep_closed(self, run: _Run, closed: Closed) -> Later | object | None:
        limit = closed.limit
        if limit.ends == "fail" and closed.opens_at is None:
            detail = f"Not sent: {limit.name} ({limit.count}) is used up or over, and does not open again."
            end = Progress(State.FAILED, error="WindowClosed", detail=detail)
            await self._settle(run, end)
            return None
        wait = "until the other side writes" if closed.opens_at is None else "until the window opens"
        detail = f"Held {wait}: {limit.name} allows {limit.count}."
        end = Progress(State.HELD, closed.opens_at or 0.0, error="WindowClosed", detail=detail)
        if closed.opens_at is None:
            return await self._hold_until_written_to(run, end)
        return await self._hold(run, closed.opens_at, end)

    async def _end(self, run: _Run, decision: GiveUp, error: Exception) -> None:
        end = _because(Progress(decision.state), error)
        if decision.why:
            end = replace(end, detail=f"{end.detail} ({decision.why})")
        await self._settle(run, end)

    async def _settle(self, run: _Run, end: Progress) -> None:
        self._tell(run, await self._record(run, end))

    async def _record(self, run: _Run, end: Progress) -> Progress:
        end = self._filled(run, end)
        if end.state.final:
            self._throttled.pop(run.delivery.seq, None)
        await self._stored(lambda: self._outbox.settle(run.delivery, end))
        return end

    def _tell(self, run: _Run, end: Progress) -> None:
        if self._settled is not None:
            self._settled(run.delivery, end)

    def _filled(self, run: _Run, end: Progress) -> Progress:
        return replace(
            end,
            ids=tuple(run.ids),
            notes=tuple(_storable(note) for note in run.notes),
            in_doubt=run.in_doubt,
            in_doubt_since=run.in_doubt_since,
            attempts=run.attempts,
            part_attempts=max(0, run.tries),
            settled_at=self._clock.now() if end.state.final else 0.0,
        )

    # --- small things ---

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, again and again while the store cannot: what happened at the platform must not be forgotten."""
        while True:
            try:
                return await write()
            except StorageError as error:
                log.warning("the store cannot be written; trying again", extra={"reason": str(error)})
                await self._clock.sleep(STORE_PAUSE)

    def _token(self, seq: int, index: int) -> int:
        """The same at every try, also after a restart; different in every store, so that two never share a key."""
        digest = hashlib.blake2b(f"{self._store_id}:{seq}:{index}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 11


_GO_ON = object()
_NOTHING = Message(())
MAX_PARTS_OF_KEY = 100
"""Serial numbers that each delivery has for its parts."""
_SESSION_CHANGED = OutcomeUnknown(
    "Whether it arrived is not known, and the account has logged in anew or moved since: "
    "a repeat would be a new message."
)
_FORGOTTEN = OutcomeUnknown("Whether it arrived is not known, and the platform no longer tells a repeat by its key.")


def _because(end: Progress, error: Exception) -> Progress:
    end = replace(end, detail=_storable(str(error)), error=type(error).__name__)
    if isinstance(error, PlatformError) and error.fault is not None:
        end = replace(end, code=str(error.fault.row.code), trace_id=_storable(error.fault.trace_id))
    return end


def _storable(words: str) -> str:
    """Return somebody's words without lone surrogates, which cannot be stored."""
    return words.encode("utf-8", "replace").decode()


def _name(decision: Decision) -> str:
    match decision:
        case Again(delay) | ResendSameKey(delay):
            return f"{type(decision).__name__.lower()} in {delay:.1f} s"
        case GiveUp(state):
            return f"give up: {state.value}"
    return type(decision).__name__.lower()
