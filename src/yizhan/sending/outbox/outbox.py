"""The outbox: every operation that stores or changes deliveries.

A change to the meaning of a state must look at all four rooms: `insert`, `claim`, `record` and `operator`.
"""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.model import Message, State
from yizhan.sending.delivery import BROADCAST, Submission, Submitted
from yizhan.sending.outbox import retry
from yizhan.sending.outbox.claim import SOON, Claim
from yizhan.sending.outbox.insert import NewDeliveries, store
from yizhan.sending.outbox.operator import Operator
from yizhan.sending.outbox.record import Record
from yizhan.sending.outbox.retry import Retried

__all__ = ["SOON", "Outbox"]


class Outbox(Claim, Record, Operator):
    """Stored deliveries of all accounts."""

    async def retry(self, seqs: Sequence[int]) -> Retried:
        """Store a new delivery for each of `seqs`, which ended without success, or find the one that is there.

        Raises:
            Refused: one of them is not there, has not ended, or was sent.
        """
        return await self._ledger.write(
            lambda connection: retry.retry(connection, self._ledger, seqs, self._clock.now()), urgent=True
        )

    async def in_states(self, states: Sequence[State], after: int, limit: int) -> list[int]:
        """Return deliveries in one of `states` that have no retry, behind the number `after`."""
        return await self._ledger.read(lambda connection: retry.in_states(connection, states, after, limit))

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
        """Store one delivery per submission in one commit. (key, target) is unique: a repeat finds the stored one.

        `not_before`: seconds since the epoch until which it is held. `note`: a remark on every receipt from the start.

        Raises:
            Refused: the key was used for another message.
        """
        new = NewDeliveries(message, submissions, priority, key, expires_at, not_before, note, self._clock.now())
        return await self._ledger.write(lambda connection: store(connection, new), urgent=priority < BROADCAST)
