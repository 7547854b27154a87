"""Public calls about stored deliveries: wait, look, cancel, recall, settle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from yizhan.broadcasts.broadcast import Broadcast
from yizhan.broadcasts.rows import broadcast_id
from yizhan.model import Receipt, State, Target
from yizhan.sending.delivery import delivery_seq
from yizhan.sending.operations import Outcome, checked_outcome
from yizhan.sending.outbox.listing import DeliveryFilter, ListedDelivery
from yizhan.sending.waiting import raise_if_failed
from yizhan.supervisor import Supervisor

Which = Receipt | str
"""A delivery: its receipt, or its id such as `d42`."""


class DeliveryCalls:
    """Inherited by `Engine`."""

    supervisor: Supervisor

    async def wait(
        self,
        which: Broadcast | Which | Iterable[Which],
        *,
        timeout: float | None = None,
        until_held: bool = True,
    ) -> list[Receipt]:
        """Wait until the deliveries have ended (or are held, with `until_held`) and return their receipts.

        A delivery that is held for a minute at most is waited for either way: that is the platform's pace.

        Raises:
            DeliveryFailed: one of them failed, expired, was cancelled or is unknown.
            LoginNeeded: an account must log in before they can be sent.
        """
        if isinstance(which, Broadcast):
            await which.wait(timeout, until_held=until_held)
            receipts = await which.receipts()
        else:
            given = [which] if isinstance(which, (Receipt, str)) else list(which)
            receipts = await self.supervisor.waiting.for_all(
                [_seq(one) for one in given], timeout, until_held=until_held
            )
        raise_if_failed(receipts)
        return receipts

    async def recall(self, which: Which) -> Receipt:
        """Withdraw a sent message, every part of it, and return its receipt.

        Raises:
            Refused: it is not sent, or the platform gave no id for a part.
            Rejected: the platform refuses, because its time for that is over, say.
        """
        return await self.supervisor.operations.recall(_seq(which))

    async def cancel(self, which: Iterable[Which]) -> int:
        """Take deliveries that have not begun out of the queue; returns how many."""
        return await self.supervisor.operations.cancel(sorted({_seq(one) for one in which}))

    async def settle(self, which: Which, *, as_: Outcome) -> Receipt:
        """Settle an `unknown` delivery by hand: it "arrived", it was "lost", or it is to be sent "again".

        Only the part in doubt is meant: parts sent before it stay sent, and once it is known to have arrived, the
        parts behind it follow.

        Raises:
            Refused: the delivery is not unknown.
        """
        return await self.supervisor.operations.settle(_seq(which), checked_outcome(as_))

    async def retry(self, *which: Which, states: Sequence[State | str] = ()) -> list[Receipt]:
        """Send again what ended without success, named or in `states`: only the parts that are missing.

        Each gets a new delivery, whose `retry_of` names the old one; a second retry finds the first. `states`: of
        failed, expired and cancelled. An unknown delivery may have arrived, so it must be named; its part in doubt is
        sent once more.

        Raises:
            Refused: one of them is not there, has not ended, or was sent.
        """
        return await self.supervisor.operations.retry([_seq(one) for one in which], [State(state) for state in states])

    async def mark_read(self, target: str | Target) -> None:
        """Tell the platform that what `target` wrote has been read.

        Raises:
            Unsupported: the platform has no such call.
        """
        parsed = Target.parse(target)
        await (await self.supervisor.accounts.use(parsed.account)).adapter.mark_read(parsed)

    async def receipt(self, which: int | str) -> Receipt:
        """Return one delivery's receipt.

        Raises:
            Refused: there is no such delivery.
        """
        return await self.supervisor.records.receipt(which if isinstance(which, int) else delivery_seq(which))

    async def deliveries(
        self,
        *,
        account: str | None = None,
        target: str | Target | None = None,
        states: Sequence[State | str] = (),
        key: str | None = None,
        broadcast: str | None = None,
        error: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        after: str | None = None,
        newest: bool = False,
    ) -> list[Receipt]:
        """Return receipts, oldest first, of the deliveries that match everything given.

        `broadcast`: its id. `error`: the name of an error class, or the platform's own code. `since`, `until`: when
        they were stored, in seconds since the epoch. At most `limit`: the first ones, or with `newest` the last ones.

        Raises:
            UnknownTarget: `target` is malformed.
            Refused: `broadcast` or `after` is not an id.
        """
        wanted = DeliveryFilter(
            account=account,
            target=None if target is None else Target.parse(target),
            states=[State(state) for state in states],
            key=key,
            broadcast=None if broadcast is None else broadcast_id(broadcast),
            error=error,
            since=since,
            until=until,
            limit=limit,
            after=delivery_seq(after) if after else 0,
            newest=newest,
        )
        return await self.supervisor.records.find(wanted)

    async def deliveries_with_messages(self, wanted: DeliveryFilter) -> list[ListedDelivery]:
        """Return deliveries, oldest first, each with its receipt, its key, and its message in short."""
        return await self.supervisor.records.find_with_messages(wanted)

    def on_settled(self, listener: Callable[[Target, State], None]) -> Callable[[], None]:
        """Call `listener` with target and state whenever a delivery of this process ends or waits.

        Returns the function that ends that.
        """
        changes = self.supervisor.notifier.delivery_changed
        return changes.subscribe(lambda change: listener(change.target, change.state))

    def paused(self) -> str:
        """Return why no account of this process sends; empty while one of them does."""
        return self.supervisor.worker.why_all_paused()


def _seq(which: Which) -> int:
    return delivery_seq(which.delivery if isinstance(which, Receipt) else which)
