"""The outbox: every operation that stores or changes deliveries.

A change to the meaning of a state must look at all four rooms: `insert`, `claim`, `record` and `operator`.
"""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.model import Message
from yizhan.sending.delivery import BROADCAST, Submission, Submitted
from yizhan.sending.outbox.claim import SOON, Claim
from yizhan.sending.outbox.insert import NewDeliveries, store
from yizhan.sending.outbox.operator import Operator
from yizhan.sending.outbox.record import Record

__all__ = ["SOON", "Outbox"]


class Outbox(Claim, Record, Operator):
    """Stored deliveries of all accounts."""

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
