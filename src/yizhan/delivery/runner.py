"""One delivery from its first part not yet done to its end: place media, record `sending`, send, record the id."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yizhan.delivery.budget import Budget, Closed
from yizhan.delivery.messages import Messages
from yizhan.delivery.outbox import Job, Outbox, Settlement
from yizhan.delivery.retry import Again, Arrived, Ask, Decision, GiveUp, Hold, Pause, Policy, Renew, Try, decide
from yizhan.errors import OutcomeUnknown, PlatformError, Unavailable, YizhanError
from yizhan.media.handles import HandleShelf
from yizhan.model import Clock, Handle, Message, PlatformId, SendKey, State
from yizhan.platforms.base import Adapter, MediaNeed, Part

log = logging.getLogger(__name__)


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


Settled = Callable[[Job, Settlement], None]


@dataclass(slots=True)
class _Run:
    """What the runner knows about the part it is at."""

    job: Job
    message: Message
    ids: list[PlatformId]
    notes: list[str]
    tries: int
    asked: bool
    renewed: bool = False
    spends: str = ""
    left: bool = False
    """The request of the current try has been handed to the adapter."""


class Runner:
    """Carries out the deliveries of one account."""

    def __init__(
        self,
        adapter: Adapter,
        outbox: Outbox,
        shelf: HandleShelf,
        budget: Budget,
        clock: Clock,
        *,
        messages: Messages,
        store_id: str,
        policy: Policy | None = None,
        settled: Settled | None = None,
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
        self._chance = random.Random(seed)
        self._messages = messages

    async def deliver(self, job: Job) -> Later | None:
        """Take `job` as far as it goes; None when it ended, else when to come back."""
        message = await self._messages.get(job.message)
        run = _Run(job, message, list(job.ids), [n for n in job.notes.split("\n") if n], job.attempts, job.asked)
        try:
            fitted, notes = await self._messages.fitted(job.message, job.target, self._adapter)
            parts = self._adapter.compose(fitted, job.target)
        except YizhanError as error:
            await self._end(run, GiveUp(State.FAILED), error)
            return None
        run.notes += [note for note in notes if note not in run.notes]
        while len(run.ids) < len(parts):
            index = len(run.ids)
            later_or_end = await self._part(run, parts[index], index, last=index == len(parts) - 1)
            if later_or_end is not _GO_ON:
                return later_or_end if isinstance(later_or_end, Later) else None
        await self._settle(run, Settlement(State.SENT))
        return None

    async def _part(self, run: _Run, part: Part, index: int, *, last: bool) -> Later | object:
        """Send one part, renewing handles if need be. `_GO_ON` when it is done; None ended, Later waits."""
        job = run.job
        limits = self._adapter.limits(run.message, job.target)
        key = SendKey(self._token(job.seq, index), job.first_number + index)
        while True:
            now = self._clock.now()
            if not run.asked and (closed := self._budget.check(limits, job.target, run.message.reply, now)):
                return await self._closed(run, closed)
            handles: dict[MediaNeed, Handle] = {}
            run.left = False
            try:
                for need in part.needs:
                    handles[need] = await self._shelf.place(job.target.account, need, job.target, self._adapter)
                if not run.asked:
                    # Asking again under the same key is the same send, and counts once.
                    run.spends = self._budget.spend(limits, job.target, run.message.reply, now) if limits else ""
                await self._outbox.mark_sending(job, now, repeatable=part.repeatable, spends=run.spends)
                run.left = True
                run.tries += 1
                sent = await self._adapter.send(part, handles, job.target, key, run.message)
            except Exception as error:
                result = await self._failed(run, part, index, handles, error)
                if result is not _GO_ON:
                    return result
                if len(run.ids) > index:
                    return _GO_ON
                continue
            await self._part_sent(run, part, sent, last=last)
            return _GO_ON

    async def _part_sent(self, run: _Run, part: Part, sent: PlatformId, *, last: bool) -> None:
        run.ids.append(sent if sent.at else PlatformId(sent.id, self._clock.now(), sent.extra))
        run.asked = run.renewed = False
        if part.note and part.note not in run.notes:
            run.notes.append(part.note)
        if not last:
            # The last part is recorded together with the end, in one write.
            await self._outbox.part_done(run.job, run.ids)

    async def _failed(
        self, run: _Run, part: Part, index: int, handles: Mapping[MediaNeed, Handle], error: Exception
    ) -> Later | object:
        """Carry out what `decide` says. `_GO_ON` to try the part again at once (or it has arrived)."""
        if not isinstance(error, YizhanError):
            log.exception("adapter failed", extra={"delivery": run.job.seq, "part": index})
            if run.left:
                error = OutcomeUnknown(f"an error inside yizhan while sending: {type(error).__name__}: {error}")
        this = Try(
            max(1, run.tries),
            part.repeatable,
            run.asked,
            run.renewed,
            run.message.reply is not None,
            self._clock.now(),
        )
        decision = decide(error, this, self._policy, self._chance)
        if run.left and isinstance(error, Unavailable):
            limits = self._adapter.limits(run.message, run.job.target)
            self._budget.refund(limits, run.job.target, run.message.reply)
        code, trace_id = _words(error)
        await self._outbox.attempt(run.job.seq, index, error, code, trace_id, _name(decision))
        match decision:
            case Renew():
                run.renewed = True
                for need, handle in handles.items():
                    await self._shelf.drop(run.job.target.account, need, handle)
                return _GO_ON
            case Arrived():
                run.notes.append("An earlier try had arrived: the platform refused a repeat under the same key.")
                await self._part_sent(run, part, PlatformId("", self._clock.now(), {"arrived": True}), last=False)
                return _GO_ON
            case Ask(delay):
                run.asked = True
                return await self._wait(run, error, delay)
            case Again(delay, slow, counts):
                if not counts:
                    run.tries -= 1
                return await self._wait(run, error, delay, slow=delay if slow else 0.0)
            case Hold(until):
                return await self._hold(run, until, error)
            case Pause():
                run.tries -= 1 if run.left else 0
                return await self._wait(run, error, 0.0, paused=str(error))
            case GiveUp():
                await self._end(run, decision, error)
                return None

    # --- ways to stop ---

    async def _wait(self, run: _Run, error: Exception, delay: float, *, slow: float = 0.0, paused: str = "") -> Later:
        due_at = self._clock.now() + delay
        await self._settle(run, _because(Settlement(State.QUEUED, due_at if delay else 0.0), error))
        return Later(due_at, begun=bool(run.ids) or run.asked, slow=slow, paused=paused)

    async def _hold(self, run: _Run, until: float | None, error: Exception) -> Later:
        await self._settle(run, _because(Settlement(State.HELD, until or 0.0), error))
        return Later(until)

    async def _closed(self, run: _Run, closed: Closed) -> Later | None:
        limit = closed.limit
        if limit.ends == "fail" and closed.opens_at is None:
            end = Settlement(State.FAILED, error="WindowClosed")
            end.detail = f"Not sent: {limit.name} ({limit.count}) is used up or over, and does not open again."
            await self._settle(run, end)
            return None
        end = Settlement(State.HELD, closed.opens_at or 0.0, error="WindowClosed")
        wait = "until the other side writes" if closed.opens_at is None else "until the window opens"
        end.detail = f"Held {wait}: {limit.name} allows {limit.count}."
        await self._settle(run, end)
        return Later(closed.opens_at)

    async def _end(self, run: _Run, decision: GiveUp, error: Exception) -> None:
        end = _because(Settlement(decision.state), error)
        if decision.why:
            end.detail = f"{end.detail} ({decision.why})"
        await self._settle(run, end)

    async def _settle(self, run: _Run, end: Settlement) -> None:
        end.ids = tuple(run.ids)
        end.parts_done = len(run.ids)
        end.notes = "\n".join(run.notes)
        end.asked = run.asked
        end.attempts = run.tries
        await self._outbox.settle(run.job.seq, end)
        if self._settled is not None:
            self._settled(run.job, end)

    # --- small things ---

    def _token(self, seq: int, index: int) -> int:
        """The same at every try, also after a restart; different in every store, so that two never share a key."""
        digest = hashlib.blake2b(f"{self._store_id}:{seq}:{index}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 11


_GO_ON = object()


def _because(end: Settlement, error: Exception) -> Settlement:
    end.detail = str(error)
    end.error = type(error).__name__
    end.code, end.trace_id = _words(error)
    return end


def _words(error: Exception) -> tuple[str, str]:
    """The platform's own code and trace id, if there are any."""
    if isinstance(error, PlatformError) and error.fault is not None:
        return str(error.fault.row.code), error.fault.trace_id
    return "", ""


def _name(decision: Decision) -> str:
    match decision:
        case Again(delay) | Ask(delay):
            return f"{type(decision).__name__.lower()} in {delay:.1f} s"
        case GiveUp(state):
            return f"give up: {state.value}"
    return type(decision).__name__.lower()
