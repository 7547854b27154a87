"""One delivery, from its first part not yet done to its end: place media, record `sending`, send, record the id.

The order of these steps is the point of this module. A part is recorded as `sending` before its bytes leave, and its
id before the next part begins, so that a crash at any moment leaves a row that tells what may have happened.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from yizhan.errors import (
    Duplicate,
    OutcomeUnknown,
    PlatformError,
    Refused,
    Throttled,
    Unavailable,
    Unsupported,
    WireMismatch,
    YizhanError,
)
from yizhan.model import Handle, Message, PlatformId, SendKey, State
from yizhan.platforms.adapter import Limit, MediaNeed, Part
from yizhan.sending.decide import (
    Arrived,
    Decision,
    FailedAttempt,
    GiveUp,
    Hold,
    Pause,
    RenewHandles,
    ResendSameKey,
    Retry,
    decide,
)
from yizhan.sending.delivery import Delivery, Progress
from yizhan.sending.journal import Journal, explained, held
from yizhan.sending.outbox.insert import NOT_YET
from yizhan.sending.outbox.outbox import SOON
from yizhan.sending.quota import Closed
from yizhan.sending.sender import Sender
from yizhan.storage.ledger import RowChanged

log = logging.getLogger(__name__)

MAX_PARTS_OF_KEY = 100
"""Serial numbers that each delivery has for its parts."""

_KEY_FORGOTTEN = OutcomeUnknown(
    "Whether it arrived is not known, and the platform no longer recognizes a repeat by its key."
)
_SESSION_CHANGED = OutcomeUnknown(
    "Whether it arrived is not known, and the account has logged in anew or moved since: "
    "a repeat would be a new message."
)


@dataclass(frozen=True, slots=True)
class Continue:
    """A part is done, or is to be tried again at once."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """The delivery is back in the queue, or held."""

    due_at: float | None
    """When to look again, None when only an event or a login helps."""
    half_sent: bool = False
    """A part has left and the rest follows soon: nothing else may go to this target in between."""
    slow_seconds: float = 0.0
    """Seconds for which the whole account waits."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The delivery has ended, here or by another hand."""


Step: TypeAlias = Continue | Deferred | Ended

CONTINUE, ENDED = Continue(), Ended()


class DeliveryRun:
    """Carries one delivery on, part by part, until it ends or is deferred."""

    def __init__(self, delivery: Delivery, sender: Sender) -> None:
        self.delivery = delivery
        self._sender = sender
        self._outbox = sender.outbox
        self._adapter = sender.account.adapter
        self._journal = Journal(delivery, sender)
        self._message = Message(())
        self._parts: Sequence[Part] = ()
        self._limits: Sequence[Limit] = ()
        """The limits that the next part counts against."""
        self._releases = self._outbox.release_count(delivery.target)
        """How often the other side had released this target's held deliveries when this run began."""
        self._renewed = False
        """Whether the handles of the next part were renewed already."""
        self._left_at = 0.0
        """When this attempt was recorded as `sending`; 0 while no byte of it can have left."""
        self._counted_at: float | None = None
        """When this attempt was counted against the budget; None where it was not."""

    @property
    def _progress(self) -> Progress:
        return self._journal.progress

    async def carry_on(self) -> Step:
        """Send the next part, or find out why not."""
        try:
            step = await self._carry_on()
        except RowChanged:
            # It was cancelled or expired before anything left.
            self._refund()
            self._sender.announce_lost(self.delivery)
            return ENDED
        if not isinstance(step, Continue) and not (isinstance(step, Deferred) and step.half_sent):
            self._sender.release(self.delivery)
        return step

    async def _carry_on(self) -> Step:
        if not self._parts:
            if self.delivery.not_before > self._sender.clock.now() and not self._progress.begun:
                # The clock was set back after the delivery was released.
                await self._journal.settle(Progress(State.HELD, self.delivery.not_before, detail=NOT_YET))
                return Deferred(self.delivery.not_before)
            try:
                await self._compose()
            except Exception as error:
                self._journal.count_attempt(1, sends=False)
                return await self._failed(error, None, {})
        if self._progress.parts_done >= len(self._parts):
            await self._journal.settle(Progress(State.SENT))
            return ENDED
        return await self._send_part(self._parts[self._progress.parts_done])

    async def _compose(self) -> None:
        target, messages = self.delivery.target, self._sender.messages
        self._message = await messages.get(self.delivery.message)
        fitted, remarks = await messages.fitted(self.delivery.message, target, self._adapter)
        parts = self._adapter.compose(fitted, target)
        if not parts:
            raise Unsupported("Nothing of this message can be carried by the platform any more.")
        self._parts = parts
        self._journal.note(*remarks)

    async def _send_part(self, part: Part) -> Step:
        if error := self._no_resend():
            return await self._give_up(GiveUp(State.UNKNOWN), error)
        if closed := self._closed():
            return await self._defer_closed(closed)
        if await self._is_behind():
            return Deferred(self._sender.clock.now())
        return await self._attempt(part)

    async def _attempt(self, part: Part) -> Step:
        delivery = self.delivery
        handles: dict[MediaNeed, Handle] = {}
        self._left_at, self._counted_at = 0.0, None
        self._journal.count_attempt(1)
        try:
            for need in part.needs:
                handles[need] = await self._sender.handles.place(
                    delivery.target.account, need, delivery.target, self._adapter
                )
            # Placing takes time, and other deliveries send meanwhile: from here until the budget has counted this
            # send, nothing may wait.
            if part.needs and (closed := self._closed()):
                self._journal.count_attempt(-1)
                return await self._defer_closed(closed)
            await self._mark_sending(part)
            if self._progress.in_doubt and self._progress.sent_as != self._sender.session():
                # The account logged in anew while that was written.
                return await self._give_up(GiveUp(State.UNKNOWN), _SESSION_CHANGED)
            sent = await self._adapter.send(part, handles, delivery.target, self._key(), self._message)
        except RowChanged:
            raise
        except Exception as error:
            return await self._failed(error, part, handles)
        self._sender.throttles.succeeded()
        await self._part_sent(part, sent)
        return CONTINUE

    async def _mark_sending(self, part: Part) -> None:
        """Count the attempt and record it, before it leaves. A resend under the same key is the same send, later."""
        now, sender, spends = self._sender.clock.now(), self._sender, ""
        if self._progress.in_doubt:
            sender.budget.move(self._limits, self.delivery.target, self._message.reply, self._progress.sending_at, now)
        elif self._limits:
            spends = self._use_budget(now)
        session = sender.session()
        await self._journal.mark_sending(repeatable=part.repeatable, spends=spends, session=session, now=now)
        self._left_at = now

    def _key(self) -> SendKey:
        """Return the key of the next part, the same at every attempt in doubt."""
        seq, index = self.delivery.seq, self._progress.parts_done
        at = self._progress.in_doubt_since if self._progress.in_doubt else self._left_at
        token = self._sender.token(seq, index)
        return SendKey(token, self.delivery.first_number + index, at=at, serial=seq * MAX_PARTS_OF_KEY + index)

    def _use_budget(self, now: float) -> str:
        reservation = self._sender.reservations[self.delivery.seq]
        reservation.use(now)
        self._counted_at = now
        return reservation.note

    def _refund(self) -> None:
        """Give back what this attempt counted: it did not arrive."""
        if self._counted_at is not None:
            self._sender.budget.refund(self._limits, self.delivery.target, self._message.reply, self._counted_at)
            self._counted_at = None

    async def _part_sent(self, part: Part | None, sent: PlatformId) -> None:
        self._journal.part_done(sent)
        self._renewed, self._counted_at = False, None
        self._sender.throttles.forget(self.delivery.seq)
        self._journal.note(*filter(None, [part.note if part is not None else "", sent.note]))
        # The last part is recorded together with the end, in one write.
        if self._progress.parts_done < len(self._parts):
            await self._journal.record_part()

    # --- after an error ---

    async def _failed(self, error: Exception, part: Part | None, handles: dict[MediaNeed, Handle]) -> Step:
        """Carry out what `decide` says about `error`. `part`: None if the message could not be composed."""
        error = self._understood(error)
        throttles, seq, target = self._sender.throttles, self.delivery.seq, self.delivery.target
        failed = FailedAttempt(
            number=max(1, self._progress.part_attempts),
            repeatable=part is not None and part.repeatable,
            in_doubt=self._progress.in_doubt,
            renewed=self._renewed,
            answers=self._message.reply is not None,
            now=self._sender.clock.now(),
            throttled=throttles.count(seq),
            others_throttled=throttles.others_met(target),
        )
        decision = decide(error, failed, self._sender.policy, self._sender.chance)
        if not isinstance(error, (OutcomeUnknown, WireMismatch, Duplicate)):
            self._refund()
        await self._journal.record_attempt(error, decision)
        if isinstance(error, Throttled):
            throttles.refused(seq, target)
        else:
            throttles.forget(seq)
        if isinstance(decision, (Hold, Pause)) or (isinstance(decision, Retry) and not decision.counts):
            # Waiting for a window, a login or a slower pace is no attempt.
            self._journal.count_attempt(-1, sends=part is not None)
        return await self._carry_out(decision, error, handles)

    async def _carry_out(self, decision: Decision, error: Exception, handles: dict[MediaNeed, Handle]) -> Step:
        match decision:
            case RenewHandles():
                self._renewed = True
                for need, handle in handles.items():
                    await self._sender.handles.drop(self.delivery.target.account, need, handle)
                return CONTINUE
            case Arrived():
                self._journal.note("An earlier attempt had arrived: the platform refused a repeat under the same key.")
                await self._part_sent(None, PlatformId("", self._sender.clock.now(), {"arrived": True}))
                return CONTINUE
            case ResendSameKey(delay):
                since = self._progress.in_doubt_since or self._left_at
                self._journal.update(in_doubt=True, in_doubt_since=since)
                return await self._requeue(error, delay)
            case Retry(delay, slow_seconds):
                return await self._requeue(error, delay, slow_seconds)
            case Hold(until):
                return await self._hold(until, held(until, error))
            case Pause():
                return await self._pause(error)
            case GiveUp():
                return await self._give_up(decision, error)

    def _understood(self, error: Exception) -> Exception:
        """Return what `error` means for the message itself."""
        if not isinstance(error, YizhanError):
            where = {"delivery": self.delivery.seq, "part": self._progress.parts_done}
            log.error("adapter failed", extra=where, exc_info=error)
        if self._left_at:
            if isinstance(error, (PlatformError, Refused)):
                return error
            return OutcomeUnknown(f"an error inside yizhan while sending: {type(error).__name__}: {error}")
        if isinstance(error, (OutcomeUnknown, WireMismatch, Duplicate)):
            # It is not known whether the media were placed; nothing of the message has left.
            return Unavailable(f"{error} The message itself had not left.", fault=error.fault, account=error.account)
        return error

    def _no_resend(self) -> OutcomeUnknown | None:
        """Return why an attempt in doubt must not be repeated; None if it may be, or none is in doubt."""
        if not self._progress.in_doubt or not self._progress.sent_as:
            # Without a session on record an operator has asked for this attempt.
            return None
        if self._sender.clock.now() - self._progress.in_doubt_since > self._sender.repeat_seconds:
            return _KEY_FORGOTTEN
        return None if self._progress.sent_as == self._sender.session() else _SESSION_CHANGED

    # --- closed windows ---

    def _closed(self) -> Closed | None:
        """Return why the rest of the parts may not go now; None once the budget has room reserved for all of them."""
        self._limits = self._adapter.limits(self._message, self.delivery.target)
        if pace := self._sender.paces.of(self.delivery.broadcast):
            self._limits = (*self._limits, *pace)
        if self._progress.in_doubt or not self._limits:
            return None
        sender, target, reply = self._sender, self.delivery.target, self._message.reply
        # Whatever was reserved is given back and reserved anew at once; no other delivery runs in between.
        sender.release(self.delivery)
        now, sends = sender.clock.now(), len(self._parts) - self._progress.parts_done
        reserve_slot = not self.delivery.urgent
        closed = sender.budget.check(self._limits, target, reply, now, sends=sends, reserve_slot=reserve_slot)
        if closed is None:
            sender.reservations[self.delivery.seq] = sender.budget.reserve(self._limits, target, reply, now, sends)
        return closed

    async def _defer_closed(self, closed: Closed) -> Step:
        limit = closed.limit
        if limit.ends == "fail" and closed.opens_at is None:
            detail = f"Not sent: {limit.name} ({limit.count}) is used up or over, and does not open again."
            await self._journal.settle(Progress(State.FAILED, error="WindowClosed", detail=detail))
            return ENDED
        wait = "until the other side writes" if closed.opens_at is None else "until the window opens"
        detail = f"Held {wait}: {limit.name} allows {limit.count}."
        outcome = Progress(State.HELD, closed.opens_at or 0.0, error="WindowClosed", detail=detail)
        if closed.opens_at is None:
            return await self._hold_until_released(outcome)
        return await self._hold(closed.opens_at, outcome)

    async def _hold_until_released(self, outcome: Progress) -> Step:
        """Hold it until the other side writes, which it may do before the hold is on disk."""
        recorded = await self._journal.record(outcome)
        target, first_held = self.delivery.target, self._sender.first_held
        if self._outbox.release_count(target) == self._releases:
            first_held[target] = min(self.delivery.seq, first_held.get(target, self.delivery.seq))
            self._sender.announce(self.delivery, recorded)
            return Deferred(None)
        await self._sender.stored(lambda: self._outbox.release_target(target))
        self._releases = self._outbox.release_count(target)
        return CONTINUE

    async def _is_behind(self) -> bool:
        """Return whether earlier deliveries that were held for the target go first.

        Deliveries may be released before the lane reloads; a newer one already in memory must not overtake them.
        """
        delivery, sender = self.delivery, self._sender
        first = sender.first_held.get(delivery.target)
        if first is None or self._progress.begun:
            return False
        if first < delivery.seq:
            await sender.stored(lambda: self._outbox.release_target(delivery.target, urgent=delivery.urgent))
            if await sender.stored(lambda: self._outbox.has_earlier(delivery)):
                return True
        del sender.first_held[delivery.target]
        return False

    # --- ways to stop ---

    async def _requeue(self, error: Exception, delay: float, slow_seconds: float = 0.0) -> Deferred:
        due_at = self._sender.clock.now() + delay
        await self._journal.settle(explained(Progress(State.QUEUED, due_at if delay else 0.0), error))
        return Deferred(due_at, half_sent=self._progress.begun, slow_seconds=slow_seconds)

    async def _pause(self, error: Exception) -> Deferred:
        deferred = await self._requeue(error, 0.0)
        self._sender.pause(str(error))
        return deferred

    async def _hold(self, until: float, outcome: Progress) -> Deferred:
        await self._journal.settle(outcome)
        soon = until - self._sender.clock.now() <= SOON
        return Deferred(until, half_sent=bool(self._progress.parts_done) and soon)

    async def _give_up(self, decision: GiveUp, error: Exception) -> Ended:
        await self._journal.give_up(decision, error)
        return ENDED
