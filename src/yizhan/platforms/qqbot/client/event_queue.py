"""The queue between the socket, the webhook and `Adapter.events()`; each message passes once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple

from yizhan.model import Event

MAX_QUEUED = 1000
"""Above this the socket is not read further, and the platform is asked to push webhook events again."""
MAX_REMEMBERED = 4096
"""Event ids kept to recognize repeats: the platform may push a message twice."""


class Position(NamedTuple):
    """Place of an event in its gateway session. Empty for events from a webhook."""

    session: str = ""
    seq: int = 0


class EventQueue:
    """Events in the order in which they came."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[Position, Event] | Exception] = asyncio.Queue(MAX_QUEUED)
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def put(self, position: Position, event: Event) -> None:
        """Append an event of the socket, waiting until there is room; a repeat is dropped."""
        if self._is_new(event):
            await self._queue.put((position, event))

    def offer(self, event: Event) -> bool:
        """Append an event of the webhook; return False if there is no room."""
        if self._queue.full():
            return False
        if self._is_new(event):
            self._queue.put_nowait((Position(), event))
        return True

    async def fail(self, error: Exception) -> None:
        """End the queue: `get` raises `error` once the events before it are consumed."""
        await self._queue.put(error)

    async def get(self) -> tuple[Position, Event]:
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
