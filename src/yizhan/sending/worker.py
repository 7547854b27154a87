"""The worker: one per store, owns the lanes. A lock on the store keeps a second process from driving them too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from yizhan.errors import StorageError, YizhanError
from yizhan.model import Target
from yizhan.sending.delivery import Delivery
from yizhan.sending.lane import Lane
from yizhan.sending.outbox.outbox import Outbox
from yizhan.storage.locks import FileLock

log = logging.getLogger(__name__)

MakeLane = Callable[[str], Awaitable[Lane]]
Reopen = Callable[[str], Awaitable[None]]

LOOK_SECONDS = 0.5
"""How often the store is looked at for what other processes submitted."""


class Worker:
    """Drives every account's lane while it holds the store's lock.

    A process that does not hold it can submit and look; what it submits is sent by the one that does.
    """

    def __init__(
        self,
        outbox: Outbox,
        lock_file: Path | None,
        make_lane: MakeLane,
        reopen: Reopen | None = None,
        stirred: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._lock = FileLock(lock_file)
        self._make_lane = make_lane
        self._reopen = reopen
        self._stirred = stirred
        self._opening = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._seen = (0, 0)
        """The newest delivery, and the count of stirs, that were looked at."""
        self._ready = False
        self._closing = False
        self.lanes: dict[str, Lane] = {}
        self.recovered = (0, 0)
        """After a crash: how many were asked again, and how many became unknown."""
        self.closed: dict[str, YizhanError] = {}
        """Accounts that have something to send and cannot be opened, and why."""

    @property
    def leading(self) -> bool:
        """Whether this process sends: it holds the lock, and has settled what another left."""
        return self._ready and not self._closing

    async def start(self) -> None:
        """Take the lock if it is free, settle what a crash left, and begin to watch for foreign submissions."""
        # Before anything else is looked at: what comes in between is met again.
        self._seen = await self._outbox.newest(), await self._outbox.revision()
        await self._take_over()
        self._watch = asyncio.create_task(self._watch_forever(), name="yizhan worker")

    async def wake(self, account: str) -> None:
        """Something was submitted for `account`."""
        if lane := await self._lane(account):
            lane.wake()

    async def offer(self, account: str, jobs: Sequence[Delivery]) -> None:
        """Something was submitted for `account`, and here it is; left to the leading process where that is another."""
        if lane := await self._lane(account):
            lane.offer(jobs)

    def making_way(self, targets: Sequence[Target]) -> ExitStack:
        """Something urgent is being stored for `targets`: broadcasts of their accounts hold back meanwhile."""
        stack = ExitStack()
        for name in {target.account for target in targets}:
            if (lane := self.lanes.get(name)) is not None:
                stack.enter_context(lane.making_way())
        return stack

    async def close(self) -> None:
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
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
                    lane = await self._make_lane(account)
                except YizhanError as error:
                    # It was removed, say: that keeps no other from sending, and what is stored stays stored.
                    self.closed[account] = error
                    log.warning("account not opened", extra={"account": account, "reason": str(error)})
                    return None
                self.closed.pop(account, None)
                lane.start()
                self.lanes[account] = lane
            return self.lanes.get(account)

    async def _take_over(self) -> None:
        if not self._lock.take():
            return
        # Nothing begins here before this is done, or it would be taken for something that was left.
        self.recovered = await self._outbox.recover()
        waiting = await self._outbox.accounts_with_work()
        self._ready = True
        await self._wake_all(waiting)

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception:
                log.exception("looking for what others submitted failed")

    async def _look(self) -> None:
        if not self._ready:
            await self._take_over()
            return
        seen, stirs = self._seen
        latest, stirs_now = await self._outbox.newest(), await self._outbox.revision()
        if latest != seen:
            await self._wake_all(await self._outbox.accounts_after(seen))
        if stirs_now != stirs:
            self._stirred()
            for account in list(self.lanes):
                await self._try_anew(account)
            await self._wake_all(await self._outbox.accounts_with_work())
        self._seen = latest, stirs_now
        await self._wake_all([name for name, error in self.closed.items() if isinstance(error, StorageError)])

    async def _try_anew(self, account: str) -> None:
        """Somebody may have logged in, changed the settings, or removed the account, in another process."""
        if self._reopen is None:
            return
        try:
            await self._reopen(account)
        except YizhanError as error:
            log.warning("account not opened", extra={"account": account, "reason": str(error)})

    async def _wake_all(self, accounts: Iterable[str]) -> None:
        for account in accounts:
            await self.wake(account)
