"""Tidies a store beside other work: leftovers of crashes among the media, ended handles, old rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from yizhan.media.uploads import HandleCache
from yizhan.model import Clock
from yizhan.retention import Retention

if TYPE_CHECKING:
    from yizhan.media.library import Library

log = logging.getLogger(__name__)

TIDY_SECONDS = 3600.0


class Tidying:
    """Runs in the process that sends, for as long as the store is open."""

    def __init__(self, library: Library, handles: HandleCache, retention: Retention, clock: Clock) -> None:
        self._library = library
        self._handles = handles
        self._retention = retention
        self._clock = clock

    async def run(self) -> None:
        """Tidy the library once, and handles and old rows every hour; a failure is logged."""
        await self._tidy_library()
        while True:
            try:
                await self._handles.tidy()
                await self._retention.prune()
            except Exception:
                log.exception("tidying failed")
            await self._clock.sleep(TIDY_SECONDS)

    async def _tidy_library(self) -> None:
        from yizhan.media.housekeeping import Housekeeping

        try:
            removed = await Housekeeping(self._library).tidy()
        except Exception:
            log.exception("tidying the library failed")
        else:
            if removed:
                log.info("library tidied", extra={"removed": removed})
