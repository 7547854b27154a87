"""What comes in: each account is listened to by one process of the store; every event is stored, then seen, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from yizhan.errors import LoginNeeded, YizhanError
from yizhan.model import Clock, Event, EventKind, Forward, Target
from yizhan.platforms.adapter import Adapter
from yizhan.receiving.event_log import EventTable, context_of
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.worker import Worker
from yizhan.storage.locks import FileLock

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
STEADY_SECONDS = 60.0
"""A source that held this long was a good one: its next end is met with the shortest pause."""
CATCH_UP_SECONDS = 2.0
"""What was said while nobody listened comes in within this time, if there is any."""
LOOK_SECONDS = 0.5
"""How often the store is looked at for what another process took in."""

OPENS = frozenset({EventKind.MESSAGE, EventKind.FRIEND_ADDED, EventKind.GROUP_ADDED, EventKind.ACTIVE_ALLOWED})
"""What the other side did, so that its window may be open again; so may any other event that can be answered."""


class Source(Protocol):
    """An open account, as far as receiving is concerned."""

    adapter: Adapter
    contexts: dict[Target, Mapping[str, Any]]


class Inbox:
    """The listeners of one process, and what they do with an event."""

    def __init__(
        self,
        table: EventTable,
        outbox: Outbox,
        worker: Worker,
        clock: Clock,
        folder: Path,
        opened: Callable[[str], Awaitable[Source]],
    ) -> None:
        self._table = table
        self._outbox = outbox
        self._worker = worker
        self._clock = clock
        self._folder = folder
        self._opened = opened
        self._listeners: dict[str, asyncio.Task[None]] = {}
        self._logins: dict[str, asyncio.Event] = {}
        self._began: dict[str, float] = {}
        """When this process first heard out an account, by the loop's time."""
        self._rings: list[asyncio.Event] = []
        self._own: set[int] = set()
        """Numbers of events that this process took in and has not met again while following."""
        self._following: asyncio.Task[None] | None = None
        self.latest = 0
        """Number of the newest event that this process knows of."""
        self.lost: dict[str, str] = {}
        """Accounts whose login is lost, and why."""
        self._heard: set[str] = set()
        """Those of them of which that was heard where events come in: when something comes in again, it is back."""

    # --- whoever wants events ---

    async def events(
        self,
        wanted: Collection[str] | None,
        listen: Callable[[], Awaitable[None]],
        since: int,
        reader: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Yield what is stored behind number `since`, of `wanted` or of all accounts, whichever process took it in.

        `reader`: begin behind what the reader of that name was done with, where it has read before.
        """
        seen, ring = await self._begin(since, reader), asyncio.Event()
        self._rings.append(ring)
        try:
            await listen()
            while True:
                ring.clear()
                found = await self._table.after(seen)
                for seq, event in found:
                    seen = seq
                    if wanted is None or event.account in wanted:
                        yield event
                        # Asked for the next, so done with this one.
                        if reader is not None:
                            await self._table.move(reader, seq)
                if reader is not None and found and wanted is not None and found[-1][1].account not in wanted:
                    # Also past what it does not want, or that would be kept for it.
                    await self._table.move(reader, seen)
                if not found:
                    # Not wait_for: on Python 3.11 it can swallow a cancellation that comes with the ring.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await ring.wait()
        finally:
            self._rings.remove(ring)

    async def _begin(self, since: int, reader: str | None) -> int:
        if reader is None:
            return since
        known = await self._table.place(reader)
        if known is None:
            await self._table.move(reader, since)
        return since if known is None else known

    # --- listening ---

    def listen(self, names: Iterable[str]) -> None:
        """Begin to listen to accounts, where that has not begun."""
        for name in names:
            if name not in self._listeners or self._listeners[name].done():
                self._logins[name] = asyncio.Event()
                self._listeners[name] = asyncio.create_task(self._listen(name), name=f"events {name}")

    def catching_up(self, name: str) -> float:
        """Return for how many seconds what was said before this process listened may still come in; 0 if it has."""
        began = self._began.get(name)
        if name not in self._listeners or began is None:
            return CATCH_UP_SECONDS if name in self._listeners else 0.0
        return max(0.0, began + CATCH_UP_SECONDS - asyncio.get_running_loop().time())

    async def stop(self, name: str) -> bool:
        """Listen no more to an account, and forget that its login was lost; False if nobody listened."""
        self.lost.pop(name, None)
        self._heard.discard(name)
        self._began.pop(name, None)
        task = self._listeners.pop(name, None)
        if task is None:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True

    async def close(self) -> None:
        tasks = [*self._listeners.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, name: str) -> None:
        """Listen for ever: what fails is said, and begun again after a pause that grows."""
        lock = FileLock(self._folder / f"events-{name}.lock")
        pause = FIRST_PAUSE
        try:
            while True:
                began = self._clock.now()
                try:
                    await _ours(lock)
                    await self._receive(name)
                except LoginNeeded as error:
                    await self.lose(name, str(error), heard=True)
                except YizhanError as error:
                    log.warning("events interrupted", extra={"account": name, "reason": str(error)})
                except Exception:
                    log.exception("events failed", extra={"account": name})
                if self._clock.now() - began >= STEADY_SECONDS:
                    pause = FIRST_PAUSE
                await self._rest(name, pause)
                pause = min(LONGEST_PAUSE, pause * 2)
        finally:
            lock.release()

    async def _receive(self, name: str) -> None:
        source = await self._opened(name)
        events = source.adapter.events()
        self._began.setdefault(name, asyncio.get_running_loop().time())
        try:
            async for event in events:
                await self.take(name, event)
        finally:
            # Also when it was the storing that failed: what was not stored comes again where the wire resumes.
            if (close := getattr(events, "aclose", None)) is not None:
                await close()

    async def _rest(self, name: str, seconds: float) -> None:
        """Pause; a login ends it."""
        login = self._logins[name]
        waits = [asyncio.ensure_future(login.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        login.clear()

    # --- what other processes take in ---

    async def start(self) -> None:
        """Follow what other processes of this store take in, as far as it matters for what is sent from here."""
        self.latest = await self._table.latest()
        self._following = asyncio.create_task(self._follow_for_ever(self.latest), name="events stored")

    async def _follow_for_ever(self, seen: int) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                while found := await self._table.after(seen):
                    for seq, event in found:
                        seen = seq
                        self._tell(seq)
                        if seq in self._own:
                            self._own.discard(seq)
                        else:
                            await self._learn(event)
            except Exception:
                log.exception("following what others took in failed")

    async def _learn(self, event: Event) -> None:
        if event.target is None or not _opens(event) or not self._worker.leading:
            return
        _remember(await self._opened(event.account), event)
        # Already done by whoever took it in; but looked at before its context was known here, it was held again.
        if await self._outbox.release_target(event.target):
            log.debug("held again meanwhile", extra={"target": str(event.target)})
        await self._worker.wake(event.account)

    # --- one event ---

    async def take(self, name: str, event: Event) -> bool:
        """Store an event with what it changes, then let everybody see it; False if it is known already."""
        if event.kind is EventKind.LOGIN_LOST:
            why = str(event.raw.get("reason") or f"The login of {name} has ended.")
            return await self.lose(name, why, event, heard=True)
        event = _addressed(event)
        # Before it is stored, since what it releases may be looked at as soon as that is done.
        _remember(await self._opened(name), event)
        kept = await self._table.keep(event, self._clock.now(), self._releasing(event))
        if kept is None:
            return False
        if self._following is not None:
            self._own.add(kept.seq)
        if event.kind is EventKind.MESSAGE and name in self._heard:
            self.back(name)
        self._tell(kept.seq)
        if kept.also:
            await self._worker.wake(name)
        return True

    async def lose(self, name: str, why: str, event: Event | None = None, *, heard: bool = False) -> bool:
        """The login of an account is lost: pause what it sends, and say so once; False if that is known."""
        if heard:
            self._heard.add(name)
        if name in self.lost:
            return False
        self.lost[name] = why
        lane = self._worker.lanes.get(name)
        if lane is not None:
            lane.pause(why)
        now = self._clock.now()
        said = event or Event(f"login_lost:{now:.3f}", EventKind.LOGIN_LOST, name, now, raw={"reason": why})
        log.warning("login lost", extra={"account": name, "reason": why})
        kept = await self._table.keep(said, now)
        if kept is not None:
            self._tell(kept.seq)
        return kept is not None

    def back(self, name: str) -> None:
        """The account is logged in (again): send what waits, and listen at once."""
        self.lost.pop(name, None)
        self._heard.discard(name)
        lane = self._worker.lanes.get(name)
        if lane is not None and lane.paused:
            lane.resume()
        if name in self._logins:
            self._logins[name].set()

    def _releasing(self, event: Event) -> Callable[[Any], int] | None:
        if event.target is None or not _opens(event):
            return None
        return self._outbox.target_release(event.target)

    def _tell(self, seq: int) -> None:
        """Wake whoever waits for events: there is number `seq`."""
        self.latest = max(self.latest, seq)
        for ring in self._rings:
            ring.set()


async def _ours(lock: FileLock) -> None:
    """Wait until no other process listens to the account; such a one may end in any way, so it is looked after."""
    while not lock.take():  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


def _opens(event: Event) -> bool:
    return event.kind in OPENS or (event.kind is EventKind.OTHER and event.reply is not None)


def _remember(source: Source, event: Event) -> None:
    left = context_of(event)
    if left and event.target is not None and event.at >= source.contexts.get(event.target, {}).get("at", 0.0):
        source.contexts[event.target] = left


def _addressed(event: Event) -> Event:
    """Note on everything that can be sent on which account received it."""
    if event.message is None or not any(isinstance(segment, Forward) for segment in event.message.segments):
        return event
    segments = tuple(
        msgspec.structs.replace(segment, account=event.account) if isinstance(segment, Forward) else segment
        for segment in event.message.segments
    )
    return msgspec.structs.replace(event, message=msgspec.structs.replace(event.message, segments=segments))
