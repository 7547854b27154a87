"""The worker: one per store, owns the lanes. A lock on the store keeps a second process from driving them too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from yizhan.accounts.registry import Accounts
from yizhan.accounts.status import ACTIVE, AccountStatuses, CannotOpen
from yizhan.errors import StorageError, YizhanError
from yizhan.model import Target
from yizhan.runtime.notifier import Notifier
from yizhan.sending.delivery import Delivery, Submitted
from yizhan.sending.lane import Lane
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.senders import Senders
from yizhan.storage.locks import FileLock

log = logging.getLogger(__name__)


class Worker:
    """Drives every account's lane while it holds the store's lock.

    A process without the lock can submit and look; the process that holds it sends what was submitted.
    """

    def __init__(
        self,
        outbox: Outbox,
        accounts: Accounts,
        senders: Senders,
        statuses: AccountStatuses,
        notifier: Notifier,
        lock_file: Path,
        *,
        concurrency: int = 32,
    ) -> None:
        self._outbox = outbox
        self._accounts = accounts
        self._senders = senders
        self._statuses = statuses
        self._notifier = notifier
        self._concurrency = concurrency
        self._lock = FileLock(lock_file)
        self._opening = asyncio.Lock()
        self._newest_seen = 0
        self._ready = False
        self._closing = False
        self.lanes: dict[str, Lane] = {}
        self.recovered = (0, 0)
        """After a crash: how many deliveries are resent under the same key, and how many became unknown."""
        notifier.account_changed.subscribe(self._wake_if_active)

    @property
    def leading(self) -> bool:
        """Whether this process sends: it holds the lock, and has settled what another process left."""
        return self._ready and not self._closing

    async def take_over(self) -> None:
        """Take the lock if it is free, settle what a crash left, and begin to send."""
        if self._ready or not self._lock.take():
            return
        # Read first: deliveries that are stored meanwhile are newer, and are found by the next look.
        self._newest_seen = await self._outbox.newest()
        # No lane begins before this is done; its deliveries would be taken for some that a crash left.
        self.recovered = await self._outbox.recover()
        waiting = await self._outbox.accounts_with_work()
        self._ready = True
        await self._wake_each(waiting)

    async def start(self, submitted: Submitted, targets: Sequence[Target]) -> None:
        """Hand the new deliveries of one call to the lanes of `targets`."""
        for account in dict.fromkeys(target.account for target in targets):
            if submitted.deliveries:
                own = [delivery for delivery in submitted.deliveries if delivery.target.account == account]
                await self.offer(account, own)
            else:
                await self.wake(account)

    async def wake(self, account: str) -> None:
        """Have the lane of `account` look into the store."""
        if lane := await self._lane(account):
            lane.wake()

    async def offer(self, account: str, deliveries: Sequence[Delivery]) -> None:
        """Hand over new deliveries of `account`; another process finds them in the store where that one leads."""
        if lane := await self._lane(account):
            lane.offer(deliveries)

    async def wake_newer(self) -> None:
        """Wake the lanes of accounts for which other processes stored deliveries, and retry stores that failed."""
        newest, seen = await self._outbox.newest(), self._newest_seen
        if newest != seen:
            await self._wake_each(await self._outbox.accounts_after(seen))
        self._newest_seen = newest
        await self._wake_each(
            [
                account
                for account, status in list(self._statuses.not_active().items())
                if isinstance(status, CannotOpen) and isinstance(status.error, StorageError)
            ]
        )

    async def wake_waiting(self) -> None:
        """Wake the lanes of all accounts that have queued or held deliveries."""
        await self._wake_each(await self._outbox.accounts_with_work())

    def urgent_send(self, targets: Sequence[Target]) -> ExitStack:
        """Return a context in which broadcasts on the accounts of `targets` are limited."""
        stack = ExitStack()
        for name in {target.account for target in targets}:
            if (lane := self.lanes.get(name)) is not None:
                stack.enter_context(lane.urgent_send())
        return stack

    def under_way(self, account: str, seq: int) -> bool:
        """Return whether a delivery has begun and not stopped."""
        lane = self.lanes.get(account)
        return lane is not None and seq in lane.under_way

    def error(self, account: str) -> YizhanError | None:
        """Return the error that keeps the deliveries of `account` waiting; None where another process sends them."""
        return self._statuses.error(account) if self.leading else None

    def stopped(self) -> set[str]:
        """Return the accounts that send nothing until an operator acts, and have nothing under way."""
        if not self.leading:
            return set()
        return {account for account in self._statuses.not_active() if not self._is_busy(account)}

    def why_all_paused(self) -> str:
        """Return why no account with a lane sends; empty while one of them does."""
        reasons = [lane.paused for lane in self.lanes.values()]
        return reasons[0] if reasons and all(reasons) else ""

    def _is_busy(self, account: str) -> bool:
        lane = self.lanes.get(account)
        return lane is not None and bool(lane.under_way)

    def forget(self, cancelled: Iterable[tuple[int, Target]]) -> None:
        """Drop cancelled deliveries from the lanes' memory; others may move up."""
        gone = list(cancelled)
        for lane in self.lanes.values():
            lane.forget([seq for seq, target in gone if target.account == lane.account])
            lane.wake()

    def drop_broadcast(self, broadcast: int) -> None:
        """Drop what the lanes have of a paused broadcast in memory."""
        for lane in self.lanes.values():
            lane.drop_broadcast(broadcast)

    async def close(self) -> None:
        self._closing = True
        async with self._opening:
            await asyncio.gather(*(lane.close() for lane in self.lanes.values()))
        self._lock.release()

    async def close_lane(self, account: str) -> None:
        """End the lane of `account`, and settle what it left in the middle as after a crash.

        No other lane of that account begins before this one has ended.
        """
        async with self._opening:
            lane = self.lanes.get(account)
            if lane is not None:
                await lane.close()
                del self.lanes[account]
                await self._outbox.recover(account)

    async def _lane(self, account: str) -> Lane | None:
        """Return the lane of `account`, made if need be; None where another process sends, or it cannot be opened."""
        if not self.leading:
            return None
        if account in self.lanes:
            return self.lanes[account]
        async with self._opening:
            if account not in self.lanes and self.leading:
                try:
                    await self._open_lane(account)
                except YizhanError as error:
                    # A removed account, say, keeps no other from sending, and its deliveries stay stored.
                    self._statuses.set(account, CannotOpen(error))
                    log.warning("account not opened", extra={"account": account, "reason": str(error)})
            return self.lanes.get(account)

    async def _open_lane(self, account: str) -> None:
        opened = await self._accounts.use(account)
        sender = await self._senders.of(opened)
        most = int(opened.context.rules.get("client.concurrency", self._concurrency))
        lane = Lane(sender, concurrency=min(self._concurrency, most))
        lane.start()
        self.lanes[account] = lane
        if isinstance(self._statuses.of(account), CannotOpen):
            self._statuses.set(account, ACTIVE)
        self._notifier.lane_opened.send(account)

    async def _wake_each(self, accounts: Iterable[str]) -> None:
        for account in accounts:
            await self.wake(account)

    def _wake_if_active(self, account: str) -> None:
        lane = self.lanes.get(account)
        if lane is not None and not lane.paused:
            lane.wake()
