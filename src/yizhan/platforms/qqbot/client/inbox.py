"""Where socket and webhook put what came in, each message once, for `events()` to take out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple

from yizhan.model import Event

MAX_WAITING = 1000
"""Events that may wait to be taken; beyond, the socket is read no further and webhooks are told to come again."""
MAX_REMEMBERED = 4096
"""Ids by which repeats are recognised; the platform may push a message twice."""


class Place(NamedTuple):
    """Where an event stands: its session, and its number there, behind which that resumes. Empty for a webhook's."""

    session: str = ""
    seq: int = 0


class Inbox:
    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Place, Event] | Exception] = asyncio.Queue(MAX_WAITING)
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def put(self, place: Place, event: Event) -> None:
        """Wait until there is room."""
        if self._is_new(event):
            await self._queue.put((place, event))

    def offer(self, event: Event) -> bool:
        """Return False when there is no room; the platform will push it again."""
        if self._queue.full():
            return False
        if self._is_new(event):
            self._queue.put_nowait((Place(), event))
        return True

    async def fail(self, error: Exception) -> None:
        """Nothing more will come; whoever takes hears why."""
        await self._queue.put(error)

    async def take(self) -> tuple[Place, Event]:
        item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        return item

    def _is_new(self, event: Event) -> bool:
        if event.id in self._seen:
            return False
        self._seen[event.id] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return True
