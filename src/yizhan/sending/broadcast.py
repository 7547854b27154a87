"""A submitted broadcast, as the caller holds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from yizhan.model import Receipt, State
from yizhan.sending.delivery import Submitted
from yizhan.sending.outbox.receipts import Records

Until = Callable[[Callable[[], Awaitable[bool]], float | None], Awaitable[None]]
"""Asks a question again whenever something may have changed, until it is true or so many seconds are over."""

PACE = 60.0
"""Seconds. What is held for no longer than that, a platform's pace holds; it is waited for like what is queued."""


class Broadcast:
    """A submitted broadcast: ask it how far it is, wait for it, call it back."""

    def __init__(
        self,
        submitted: Submitted,
        records: Records,
        stopped: Callable[[], set[str]],
        until: Until,
        now: Callable[[], float],
    ) -> None:
        self._records = records
        self._stopped = stopped
        self._until = until
        self._now = now
        self.id = submitted.broadcast
        self.total = len(submitted.seqs)
        self.repeated = submitted.repeated

    async def counts(self) -> dict[State, int]:
        """Return how many deliveries stand in each state."""
        return await self._records.counts(self.id)

    async def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        """Wait until nothing is queued or being sent (nor held, unless `until_held`); returns the counts.

        What is held for a minute at most is waited for either way: that is the platform's pace. What waits for somebody
        to log in is not waited for. `timeout` in seconds of real time; when it runs out, the counts as they stand.
        """
        going = {State.QUEUED, State.SENDING} | (set() if until_held else {State.HELD})

        async def finished() -> bool:
            stopped, soon = self._stopped(), self._now() + PACE
            if not await self._records.any_of(self.id, going, soon):
                return True
            return bool(stopped) and stopped >= set(await self._records.accounts_in(self.id, going, soon))

        await self._until(finished, timeout)
        return await self.counts()

    async def receipts(self, states: Sequence[State] = (), limit: int = 100_000) -> list[Receipt]:
        return await self._records.receipts(broadcast=self.id, states=states, limit=limit)
