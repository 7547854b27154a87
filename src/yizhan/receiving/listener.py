"""Listens to accounts: one process of the store listens to each; every event is stored once, then announced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from yizhan.accounts.registry import Accounts, OpenAccount
from yizhan.accounts.status import ACTIVE, AccountStatuses, Active, CannotOpen, LoginLost
from yizhan.errors import LoginNeeded, YizhanError
from yizhan.model import Card, CardLine, Clock, Event, EventKind, Forward, Quote, Segment
from yizhan.platforms.spec import platform_named
from yizhan.receiving.event_log import EventTable, context_of
from yizhan.receiving.quotes import with_quoted_content
from yizhan.runtime.notifier import Notifier
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.worker import Worker
from yizhan.storage.locks import FileLock

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
STEADY_SECONDS = 60.0
"""An event stream that held this long was a good one; after it ends, the first pause is the shortest."""
CATCH_UP_SECONDS = 2.0
"""Time after the first listening in which earlier events arrive."""
LOOK_SECONDS = 0.5
"""Interval at which the store is read for events of other processes."""

OPENS = frozenset({EventKind.MESSAGE, EventKind.FRIEND_ADDED, EventKind.GROUP_ADDED, EventKind.ACTIVE_ALLOWED})
"""Acts of the other side that may open its window again; so may any other event that can be answered."""


class Listeners:
    """The event streams of one process, and the effects of an event."""

    def __init__(
        self,
        table: EventTable,
        outbox: Outbox,
        worker: Worker,
        accounts: Accounts,
        statuses: AccountStatuses,
        notifier: Notifier,
        clock: Clock,
        folder: Path,
    ) -> None:
        self._table = table
        self._outbox = outbox
        self._worker = worker
        self._accounts = accounts
        self._statuses = statuses
        self._notifier = notifier
        self._clock = clock
        self._folder = folder
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._logins: dict[str, asyncio.Event] = {}
        """By account that is listened to: set by a login, which ends a pause of its stream."""
        self._began: dict[str, float] = {}
        """When this process first listened to an account, by the loop's time."""
        self._own: set[int] = set()
        """Events that this process stored and has not met again while following the store."""
        self._losses_stored: set[str] = set()
        """Accounts whose lost login was stored as an event, so that it is told once."""
        self._background: set[asyncio.Task[Any]] = set()
        self._following: asyncio.Task[None] | None = None
        self._listening_to_all = False
        self.latest = 0
        """Number of the newest event that this process knows of."""
        notifier.account_changed.subscribe(self._account_changed)
        notifier.lane_opened.subscribe(self._lane_opened)

    async def start(self) -> None:
        """Follow the events that other processes of this store receive, as far as sending needs them."""
        self.latest = await self._table.latest()
        self._following = asyncio.create_task(self._follow(self.latest), name="events stored")

    async def close(self) -> None:
        tasks = [*self._tasks.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def finish(self) -> None:
        """Return once everything that runs in the background has been stored."""
        await asyncio.gather(*self._background, return_exceptions=True)

    # --- listening ---

    async def listen_to(self, accounts: Collection[str] | None) -> None:
        """Begin to receive events of `accounts`; None: of all, also of accounts that are added later.

        Raises:
            UnknownAccount: one that is named does not exist.
        """
        if accounts is None:
            self._listening_to_all = True
            self._listen(await self._accounts.names())
            return
        for name in accounts:
            await self._accounts.use(name)
        self._listen(accounts)

    def account_added(self, name: str, *, was_heard: bool) -> None:
        """Listen to a new or changed account if it was listened to before, or all are."""
        if was_heard or self._listening_to_all:
            self._listen([name])

    def catching_up(self, name: str) -> float:
        """Return the seconds in which events from before the first listening may still arrive; 0 once they have."""
        began = self._began.get(name)
        if name not in self._tasks or began is None:
            return CATCH_UP_SECONDS if name in self._tasks else 0.0
        return max(0.0, began + CATCH_UP_SECONDS - asyncio.get_running_loop().time())

    async def stop(self, name: str) -> bool:
        """Listen no more to an account; False if this process did not."""
        self._began.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is None:
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True

    def logged_in(self, name: str) -> None:
        """The account is logged in: send its waiting deliveries, and listen at once."""
        self._statuses.set(name, ACTIVE)
        if name in self._logins:
            self._logins[name].set()

    def _listen(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._tasks or self._tasks[name].done():
                self._logins[name] = asyncio.Event()
                self._tasks[name] = asyncio.create_task(self._listen_forever(name), name=f"events {name}")

    async def _listen_forever(self, name: str) -> None:
        """Listen without end: a failure is logged, and the stream opened again after a pause that grows."""
        lock = FileLock(self._folder / f"events-{name}.lock")
        pause = FIRST_PAUSE
        try:
            while True:
                began = self._clock.now()
                try:
                    await _take(lock)
                    await self._receive(name)
                except LoginNeeded as error:
                    await self._lose_login(name, str(error))
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
        account = await self._accounts.use(name)
        events = account.adapter.events()
        self._began.setdefault(name, asyncio.get_running_loop().time())
        try:
            async for event in events:
                await self.take(name, event)
        finally:
            # Also when storing failed: an event that was not stored comes again where the wire resumes.
            if isinstance(events, AsyncGenerator):
                await events.aclose()

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

    # --- events of other processes ---

    async def _follow(self, seen: int) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                while found := await self._table.after(seen):
                    for seq, event in found:
                        seen = seq
                        self._announce(seq)
                        if seq in self._own:
                            self._own.discard(seq)
                        else:
                            await self._learn(event)
            except Exception:
                log.exception("following the events of other processes failed")

    async def _learn(self, event: Event) -> None:
        if event.target is None or not _opens(event) or not self._worker.leading:
            return
        _remember_context(await self._accounts.use(event.account), event)
        # The process that stored the event released them. A delivery that this process looked at before it knew the
        # event's context was held again.
        if await self._outbox.release_target(event.target):
            log.debug("held again meanwhile", extra={"target": str(event.target)})
        await self._worker.wake(event.account)

    # --- one event ---

    async def take(self, name: str, event: Event) -> bool:
        """Store an event with its effects, then announce it; False if it is known already."""
        if event.kind is EventKind.LOGIN_LOST:
            why = str(event.raw.get("reason") or f"The login of {name} has ended.")
            return await self._lose_login(name, why, event)
        event = await with_quoted_content(_with_receiving_account(event), self._table)
        # Before it is stored: a delivery that it releases may be looked at as soon as that is done.
        _remember_context(await self._accounts.use(name), event)
        kept = await self._table.keep(event, self._clock.now(), self._release(event))
        if kept is None:
            return False
        if self._following is not None:
            self._own.add(kept.seq)
        if event.kind is EventKind.MESSAGE and isinstance(self._statuses.of(name), LoginLost):
            self.logged_in(name)
        self._announce(kept.seq)
        if kept.also:
            await self._worker.wake(name)
        return True

    async def receive_webhook(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Store the event that a platform pushed; return status and JSON to answer with.

        Raises:
            Unsupported: that platform pushes nothing over HTTP.
        """
        adapter = (await self._accounts.use(name)).adapter
        status, answer, event = adapter.read_webhook(headers, body)
        if event is not None:
            await self.take(name, event)
        return status, answer

    async def _lose_login(self, name: str, why: str, event: Event | None = None) -> bool:
        """Pause an account whose event stream says that its login ended, and store that once; False if it is known."""
        known = name in self._losses_stored
        self._losses_stored.add(name)
        self._statuses.set(name, LoginLost(why))
        return not known and await self._store_loss(name, why, event)

    async def _store_loss(self, name: str, why: str, event: Event | None = None) -> bool:
        now = self._clock.now()
        log.warning("login lost", extra={"account": name, "reason": why})
        loss = event or Event(f"login_lost:{now:.3f}", EventKind.LOGIN_LOST, name, now, raw={"reason": why})
        kept = await self._table.keep(loss, now)
        if kept is not None:
            self._announce(kept.seq)
        return kept is not None

    def _account_changed(self, name: str) -> None:
        """Store a lost login that a send found."""
        status = self._statuses.of(name)
        if isinstance(status, Active):
            self._losses_stored.discard(name)
        elif not isinstance(status, CannotOpen) and name not in self._losses_stored:
            self._losses_stored.add(name)
            self._in_background(self._store_loss(name, status.why))

    def _lane_opened(self, name: str) -> None:
        """Listen to an account that sends: events open its windows."""
        if platform_named(name.partition(".")[0]).listens:
            self._listen([name])

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _release(self, event: Event) -> Callable[[Any], int] | None:
        if event.target is None or not _opens(event):
            return None
        return self._outbox.target_release(event.target)

    def _announce(self, seq: int) -> None:
        self.latest = max(self.latest, seq)
        self._notifier.event_stored.send(seq)


async def _take(lock: FileLock) -> None:
    """Wait until no other process listens to the account. It may end in any way, so the lock is looked at."""
    while not lock.take():  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


def _opens(event: Event) -> bool:
    return event.kind in OPENS or event.reply is not None


def _remember_context(account: OpenAccount, event: Event) -> None:
    left = context_of(event)
    if left and event.target is not None and event.at >= account.contexts.get(event.target, {}).get("at", 0.0):
        account.contexts[event.target] = left


def _with_receiving_account(event: Event) -> Event:
    """Note on everything in the event that can be forwarded which account received it."""
    if event.message is None:
        return event
    segments = tuple(_received_by(event.account, segment) for segment in event.message.segments)
    return msgspec.structs.replace(event, message=msgspec.structs.replace(event.message, segments=segments))


def _received_by(account: str, segment: Segment) -> Segment:
    match segment:
        case Forward():
            return _forward_of(account, segment)
        case Quote(media=media) if media:
            return msgspec.structs.replace(segment, media=tuple(_forward_of(account, found) for found in media))
        case Card(lines=lines) if any(line.media for line in lines):
            return msgspec.structs.replace(segment, lines=tuple(_line_of(account, line) for line in lines))
    return segment


def _line_of(account: str, line: CardLine) -> CardLine:
    return msgspec.structs.replace(line, media=_forward_of(account, line.media)) if line.media else line


def _forward_of(account: str, forward: Forward) -> Forward:
    return msgspec.structs.replace(forward, account=account)
