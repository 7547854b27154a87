"""One broadcast, as the caller holds it: how far it is, and what can be done with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from yizhan.broadcasts.actions import BroadcastActions
from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.plan import BroadcastPlan
from yizhan.broadcasts.report import BroadcastReport
from yizhan.broadcasts.rows import BroadcastRow, Recipient, RecipientState, broadcast_name
from yizhan.model import Receipt, State, Target

PAGE = 1000


class Broadcast:
    """A message for many. Every call reads the store, so that any process may hold it."""

    def __init__(self, row: BroadcastRow, actions: BroadcastActions, *, repeated: bool = False) -> None:
        self._actions = actions
        self.number = row.id
        self.name = row.name
        self.total = row.total
        """Recipients, those included that nothing is sent to."""
        self.repeated = repeated
        """The same key had made it before."""

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<Broadcast {self.id}{named} to {self.total}>"

    @property
    def id(self) -> str:
        """The id that people see and paste: `b7`."""
        return broadcast_name(self.number)

    async def row(self) -> BroadcastRow:
        """Return state, reason, times and options as they are now."""
        return await self._actions.table.get(self.number)

    async def counts(self) -> dict[State, int]:
        """Return how many recipients stand in each state; their sum is `total` less the refused.

        A recipient that is not in the outbox yet counts as `queued` or, before the start and during a pause, `held`.
        """
        return await self._actions.counts(self.number)

    async def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        """Wait until nothing of it is queued or being sent (nor held, unless `until_held`); returns the counts.

        A delivery that is held for a minute at most is waited for either way: that is the platform's pace. Deliveries
        of accounts that wait for a login are not waited for, nor is a broadcast that a person must start or resume.
        `timeout`: seconds of real time; when it runs out, the counts as they stand.
        """
        await self._actions.wait(self.number, timeout, until_held=until_held)
        return await self.counts()

    async def receipts(self, states: Sequence[State] = (), limit: int = 100_000) -> list[Receipt]:
        """Return the receipts of the deliveries that are in the outbox, in the order of the recipients."""
        return await self._actions.receipts(self.number, states, limit)

    async def recipients(self, states: Sequence[str] = ()) -> AsyncIterator[RecipientState]:
        """Yield a row for every recipient, in order, also while it runs; `states` are those of `RecipientState`."""
        after = 0
        while rows := await self._actions.figures.recipients(self.number, states, after=after, limit=PAGE):
            for row in rows:
                yield row
            after = rows[-1].ord

    async def report(self) -> BroadcastReport:
        """Return totals by account, state and code, the timeline, and what was recalled."""
        return await self._actions.report(self.number)

    async def configure(self, *, name: str | None = None, options: BroadcastOptions | None = None) -> None:
        """Change its name, or how it runs; also while it runs.

        Raises:
            Refused: it has ended.
        """
        await self._actions.configure(self.number, name, options)
        if name is not None:
            self.name = name

    async def plan(self, at: float | None = None) -> BroadcastPlan:
        """Return what its start would do, now or at a time in seconds since the epoch: parts, uploads, times, refusals.

        Of a broadcast under way, what its recipients that are not in the outbox yet come to.
        """
        return await self._actions.plan(self.number, at)

    async def test(self, to: Sequence[str | Target | Recipient]) -> list[Receipt]:
        """Send its message to a few targets, outside of its counts, and return their receipts once they end.

        Placeholders take the values of a `Recipient`, or those of the broadcast's first recipient.

        Raises:
            Refused: it cannot be sent to one of them.
        """
        return await self._actions.test(self.number, to)

    async def start(self, at: float | None = None) -> None:
        """Start it now, or at a time in seconds since the epoch."""
        await self._actions.start(self.number, at)

    async def unschedule(self) -> None:
        """Make a draft of it again."""
        await self._actions.act(self.number, "unschedule")

    async def pause(self) -> None:
        """Let nothing more of it leave; what is on the wire, and the rest of half-sent messages, finishes."""
        await self._actions.pause(self.number)

    async def resume(self) -> None:
        await self._actions.resume(self.number)

    async def cancel(self) -> int:
        """Let nothing more of it leave, for good; returns how many recipients get nothing."""
        return await self._actions.cancel(self.number)

    async def recall(self) -> None:
        """Cancel it and recall what was sent, as far as the platforms allow; goes on by itself until that is done.

        `wait` waits for its end.
        """
        await self._actions.recall(self.number)

    async def retry(self, states: Sequence[State] = (State.FAILED, State.EXPIRED, State.CANCELLED)) -> Broadcast:
        """Start a new broadcast to those recipients that ended in `states`; they get the parts that are missing.

        `State.UNKNOWN` must be named: such a message may have arrived.
        """
        return Broadcast((await self._actions.retry(self.number, states)).row, self._actions)
