"""Retention, in one place: removes deliveries, attempts, events and media that are older than `[keep]` says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from yizhan.config.settings import KeepSettings
from yizhan.config.values import FOREVER, Span
from yizhan.model import Clock
from yizhan.receiving.event_log import DAY, EventTable
from yizhan.sending.outbox.prune import DeliveryPruning
from yizhan.storage.ledger import Ledger

if TYPE_CHECKING:
    from yizhan.media.library import Library

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.02
"""Pause between two portions, in which sends are stored."""
GRACE_SECONDS = 3600.0
"""Media used this recently stay in spite of `[keep]`: they may be about to be sent."""


class Retention:
    """Removes old rows of one store, a portion at a time. `keep` may change while it runs."""

    def __init__(self, ledger: Ledger, events: EventTable, library: Library, clock: Clock, keep: KeepSettings) -> None:
        self.keep = keep
        self._deliveries = DeliveryPruning(ledger)
        self._events = events
        self._library = library
        self._clock = clock

    async def prune(self) -> dict[str, int]:
        """Remove rows that are older than `keep` allows, and return their numbers by kind."""
        removed = {
            "broadcasts": await self._drop(self.keep.deliveries, self._deliveries.drop_broadcasts),
            "deliveries": await self._drop(
                self.keep.deliveries, lambda before: self._deliveries.drop_deliveries(before, self._clock.now())
            ),
            "recipients": await self._in_portions(self._deliveries.drop_recipients),
            "attempts": await self._drop(self.keep.attempts, self._deliveries.drop_attempts),
            "events": await self._drop_events(),
            "media": await self._drop_media(),
        }
        if any(removed.values()):
            log.info("old rows removed", extra={kind: count for kind, count in removed.items() if count})
        return removed

    async def _drop(self, keep: Span, portion: Callable[[float], Awaitable[int]]) -> int:
        if keep == FOREVER:
            return 0
        before = self._clock.now() - keep
        return await self._in_portions(lambda: portion(before))

    async def _in_portions(self, portion: Callable[[], Awaitable[int]]) -> int:
        removed = 0
        while count := await portion():
            removed += count
            await asyncio.sleep(PAUSE_SECONDS)
        return removed

    async def _drop_events(self) -> int:
        if self.keep.events == FOREVER:
            return 0
        pruned = await self._events.prune(self._clock.now(), self.keep.events / DAY)
        if pruned.waits_for:
            log.info("old events are kept for readers", extra={"readers": pruned.waits_for})
        return pruned.removed

    async def _drop_media(self) -> int:
        if self.keep.media == FOREVER:
            return 0
        unused_since = self._clock.now() - max(self.keep.media, GRACE_SECONDS)
        removed = 0
        for entry in await self._library.index.all():
            if entry.used_at > unused_since:
                break
            if not entry.needed and await self._library.forget(entry.media.sha256, unused_since):
                removed += 1
                await asyncio.sleep(PAUSE_SECONDS)
        return removed
