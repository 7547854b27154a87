"""Library maintenance: usage, pruning to a quota, removal of leftovers, verification of the stored bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from yizhan.errors import StorageError
from yizhan.media.library import Library, MediaEntry
from yizhan.media.staging import sweep
from yizhan.model import Media

GRACE_SECONDS = 3600.0
"""Media used this recently are never dropped: they may be about to be sent."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Size of the library; `needed_*` counts the media of deliveries that are not settled."""

    count: int
    bytes: int
    needed_count: int
    needed_bytes: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """Result of pruning, or of a dry run. `bytes_left`: size of the library afterwards."""

    media: tuple[Media, ...]
    bytes_freed: int
    bytes_left: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem found by `verify`, and its remedy."""

    sha256: str
    name: str
    what: str
    remedy: str


class Housekeeping:
    def __init__(self, library: Library) -> None:
        self.library = library

    async def usage(self) -> Usage:
        held = await self.library.index.all()
        needed = [one.media.size for one in held if one.needed]
        return Usage(len(held), sum(one.media.size for one in held), len(needed), sum(needed))

    async def prune(self, quota_bytes: int, *, grace_seconds: float = GRACE_SECONDS, dry_run: bool = False) -> Pruned:
        """Drop the least recently used media until the library holds at most `quota_bytes`.

        Media that a queued delivery needs, or that were used within `grace_seconds`, stay, so the library may remain
        above the quota. Variants are media like others, and go first if only their source is still used.
        """
        held = await self.library.index.all()
        unused_since = self.library.clock.now() - grace_seconds
        left = sum(one.media.size for one in held)
        gone: list[Media] = []
        for one in held:
            if left <= quota_bytes:
                break
            if _may_go(one, unused_since) and (dry_run or await self.library.forget(one.media.sha256, unused_since)):
                gone.append(one.media)
                left -= one.media.size
        return Pruned(tuple(gone), sum(media.size for media in gone), left)

    async def tidy(self, *, grace_seconds: float = GRACE_SECONDS) -> int:
        """Remove leftovers of crashes: unfinished files and blobs without an entry in the index; return how many."""
        removed = await asyncio.to_thread(sweep, self.library.blobs.staging)
        for name in await self._strays(grace_seconds):
            removed += await self.library.drop_stray(name)
        return removed

    async def verify(self) -> AsyncIterator[Problem]:
        """Read all media and yield the problems; takes as long as reading the whole store."""
        for one in await self.library.index.all():
            try:
                what = await self.library.verify(one.media.sha256)
            except StorageError as error:
                what = str(error)
            if what:
                remedy = "Add the file again" + ("; a delivery is waiting for it." if one.needed else ", or prune it.")
                yield Problem(one.media.sha256, one.media.name, what, remedy)
        for name in await self._strays(GRACE_SECONDS):
            yield Problem(name, "", f"{name}: these bytes have no entry in the library.", "Tidying removes them.")

    async def _strays(self, grace_seconds: float) -> Sequence[str]:
        # A blob is stored a moment before its row, so only old ones are strays. Their dates are by the store's clock.
        old = time.time() - grace_seconds
        blobs = [blob.name async for blob in self.library.blobs.all() if blob.modified_at <= old]
        known = await self.library.index.digests() if blobs else set()
        return [name for name in blobs if name not in known]


def _may_go(one: MediaEntry, unused_since: float) -> bool:
    return not one.needed and one.used_at <= unused_since
