"""The progress of one delivery while it is carried on, and every write of it to the outbox."""

from __future__ import annotations

import logging
from typing import Any

from msgspec.structs import replace

from yizhan.errors import PlatformError, StorageError
from yizhan.model import PlatformId, State
from yizhan.sending.decide import Decision, GiveUp, ResendSameKey, Retry
from yizhan.sending.delivery import Delivery, Progress
from yizhan.sending.sender import Sender

log = logging.getLogger(__name__)


class Journal:
    """Keeps the progress of one run. A write that the store refuses is made again until it succeeds."""

    def __init__(self, delivery: Delivery, sender: Sender) -> None:
        self.delivery = delivery
        self.progress = delivery.progress
        self._sender = sender

    def update(self, **changes: Any) -> None:
        """Change fields of the progress; the next write stores them."""
        self.progress = replace(self.progress, **changes)

    def note(self, *remarks: str) -> None:
        """Add remarks for the receipt, each once."""
        new = [remark for one in remarks if (remark := _storable(one)) not in self.progress.notes]
        if new:
            self.update(notes=(*self.progress.notes, *new))

    def count_attempt(self, by: int, *, sends: bool = True) -> None:
        """Count attempts at the next part; `sends`: also those of the whole delivery."""
        attempts = max(0, self.progress.attempts + by) if sends else self.progress.attempts
        self.update(part_attempts=self.progress.part_attempts + by, attempts=attempts)

    def part_done(self, sent: PlatformId) -> None:
        """Add the platform's id of a part that arrived; `record_part` or the end stores it."""
        if not sent.at:
            sent = PlatformId(sent.id, self._sender.clock.now(), sent.extra)
        self.update(ids=(*self.progress.ids, sent), in_doubt=False, in_doubt_since=0.0, part_attempts=0)

    async def mark_sending(self, *, repeatable: bool, spends: str, session: str, now: float) -> None:
        """Record that the next part is about to leave under `session`.

        Raises:
            RowChanged: the delivery was cancelled or expired; it must not leave.
        """
        resend, outbox = self.progress.in_doubt, self._sender.outbox
        await self._sender.stored(
            lambda: outbox.mark_sending(
                self.delivery, now, repeatable=repeatable, spends=spends, sent_as=session, resend=resend
            )
        )
        self.update(sending_at=now, sent_as=session)

    async def record_part(self) -> None:
        """Record the parts that are done; more of them follow."""
        await self._sender.stored(lambda: self._sender.outbox.record_part(self.delivery, self.progress))

    async def record_attempt(self, error: Exception, decision: Decision) -> None:
        """Record a failed attempt for people who look into it."""
        seq, failure = self.delivery.seq, explained(Progress(), error)
        try:
            await self._sender.outbox.record_attempt(seq, self.progress.parts_done, failure, _in_words(decision))
        except StorageError as problem:
            # The state that follows is what matters.
            log.warning("attempt not recorded", extra={"delivery": seq, "reason": str(problem)})

    async def settle(self, outcome: Progress) -> None:
        """Record how the delivery ended or why it waits, then announce it."""
        self._sender.announce(self.delivery, await self.record(outcome))

    async def give_up(self, decision: GiveUp, error: Exception) -> None:
        """End the delivery because of `error`."""
        end = explained(Progress(decision.state), error)
        if decision.why:
            end = replace(end, detail=f"{end.detail} ({decision.why})")
        await self.settle(end)

    async def record(self, outcome: Progress) -> Progress:
        """Record state, time and words of `outcome` together with how far the parts are; return all of it."""
        final = outcome.state.final
        progress = replace(
            self.progress,
            state=outcome.state,
            due_at=outcome.due_at,
            detail=outcome.detail,
            error=outcome.error,
            code=outcome.code,
            trace_id=outcome.trace_id,
            part_attempts=max(0, self.progress.part_attempts),
            settled_at=self._sender.clock.now() if final else 0.0,
        )
        if final:
            self._sender.forget(self.delivery)
        await self._sender.stored(lambda: self._sender.outbox.settle(self.delivery, progress))
        return progress


def held(until: float, error: Exception) -> Progress:
    """Return the outcome of a delivery that is held until then, because of `error`."""
    return explained(Progress(State.HELD, until), error)


def explained(progress: Progress, error: Exception) -> Progress:
    """Return `progress` with the words of `error`, the platform's code and its trace id."""
    progress = replace(progress, detail=_storable(str(error)), error=type(error).__name__)
    if isinstance(error, PlatformError) and error.fault is not None:
        progress = replace(progress, code=str(error.fault.row.code), trace_id=_storable(error.fault.trace_id))
    return progress


def _storable(words: str) -> str:
    """Return `words` without lone surrogates, which cannot be stored."""
    return words.encode("utf-8", "replace").decode()


def _in_words(decision: Decision) -> str:
    match decision:
        case Retry(delay) | ResendSameKey(delay):
            return f"{decision.words} in {delay:.1f} s"
        case GiveUp(state):
            return f"give up: {state.value}"
    return decision.words
