"""A submitted broadcast, as its caller holds it."""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.model import Receipt, State
from yizhan.sending.delivery import Submitted
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.waiting import Waiting


class Broadcast:
    """A submitted broadcast: its counts, its receipts, and its end."""

    def __init__(self, submitted: Submitted, records: Records, waiting: Waiting) -> None:
        self._records = records
        self._waiting = waiting
        self.id = submitted.broadcast
        self.total = len(submitted.seqs)
        self.repeated = submitted.repeated

    def __repr__(self) -> str:
        return f"<Broadcast {self.id} to {self.total:,} targets>"

    async def counts(self) -> dict[State, int]:
        """Return how many deliveries are in each state."""
        return await self._records.counts(self.id)

    async def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        """Wait until nothing is queued or being sent (nor held, unless `until_held`); returns the counts.

        A delivery that is held for a minute at most is waited for either way: that is the platform's pace. Deliveries
        of accounts that wait for a login are not waited for. `timeout` in seconds of real time; when it runs out, the
        counts as they are then.
        """
        await self._waiting.for_broadcast(self.id, timeout, until_held=until_held)
        return await self.counts()

    async def receipts(self, states: Sequence[State] = (), limit: int = 100_000) -> list[Receipt]:
        """Return the receipts of its deliveries in `states` (all of them if empty), at most `limit`."""
        return await self._records.receipts(broadcast=self.id, states=states, limit=limit)
