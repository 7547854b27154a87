"""The worker: one per store, owns the lanes. A lock on the store keeps a second process from driving them too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from yizhan.delivery.lanes import Lane
from yizhan.delivery.outbox import Job, Outbox
from yizhan.model import Clock

MakeLane = Callable[[str], Awaitable[Lane]]

LOOK_SECONDS = 0.5
"""How often the store is looked at for what other processes submitted."""


class Worker:
    """Drives every account's lane while it holds the store's lock.

    A process that does not hold it can submit and look; what it submits is sent by the one that does.
    """

    def __init__(self, outbox: Outbox, clock: Clock, lock_file: Path | None, make_lane: MakeLane) -> None:
        self._outbox = outbox
        self._clock = clock
        self._lock = _StoreLock(lock_file)
        self._make_lane = make_lane
        self._opening = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self.lanes: dict[str, Lane] = {}
        self.recovered = (0, 0)
        """After a crash: how many were asked again, and how many became unknown."""

    @property
    def leading(self) -> bool:
        """Whether this process sends."""
        return self._lock.held

    async def start(self) -> None:
        """Take the lock if it is free, settle what a crash left, and begin to watch for foreign submissions."""
        await self._take_over()
        self._watch = asyncio.create_task(self._watch_forever(), name="yizhan worker")

    async def wake(self, account: str) -> None:
        """Something was submitted for `account`."""
        if not self.leading:
            return
        (await self._lane(account)).wake()

    async def offer(self, account: str, jobs: Sequence[Job]) -> None:
        """Something was submitted for `account`, and here it is; left to the leading process where that is another."""
        if self.leading:
            (await self._lane(account)).offer(jobs)

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await asyncio.gather(*(lane.close() for lane in self.lanes.values()))
        self._lock.release()

    async def _lane(self, account: str) -> Lane:
        if account in self.lanes:
            return self.lanes[account]
        async with self._opening:
            if account not in self.lanes:
                lane = await self._make_lane(account)
                lane.start()
                self.lanes[account] = lane
            return self.lanes[account]

    async def _take_over(self) -> None:
        if not self._lock.take():
            return
        again, unknown = await self._outbox.recover()
        self.recovered = (again, unknown)
        for account in await self._outbox.accounts_with_work():
            await self.wake(account)

    async def _watch_forever(self) -> None:
        seen, stirs = await self._outbox.latest(), await self._outbox.stirs()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self.leading:
                await self._take_over()
                continue
            latest = await self._outbox.latest()
            if latest != seen:
                for account in await self._outbox.accounts_after(seen):
                    await self.wake(account)
                seen = latest
            stirs_now = await self._outbox.stirs()
            if stirs_now != stirs:
                for account in await self._outbox.accounts_with_work():
                    await self.wake(account)
                stirs = stirs_now


class _StoreLock:
    """An advisory lock on a file; the system lets go of it when the process ends, however it ends."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._handle: int | None = None
        self.held = file is None

    def take(self) -> bool:
        if self.held or self._file is None:
            return True
        import fcntl

        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle, self.held = handle, True
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self.held = False
