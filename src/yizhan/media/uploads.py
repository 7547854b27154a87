"""Upload once: one upload for all callers; its handle is kept, and renewed shortly before it expires."""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from yizhan.errors import Unavailable
from yizhan.media.upload_table import HandleTable, Key
from yizhan.model import Clock, Handle, Media, Target
from yizhan.platforms.adapter import Adapter, MediaNeed
from yizhan.runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from yizhan.media.variants import Variants

log = logging.getLogger(__name__)

MARGIN = 60.0
"""Seconds before its expiry at which a handle is renewed, but at most a tenth of its life."""
TRIES = 4
KEPT = 10_000
"""Handles in memory; all are in the store."""

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """Counts of uploads and of those saved, for plan, demo and metrics."""

    uploads: int = 0
    uploaded_bytes: int = 0
    hits: int = 0
    saved_bytes: int = 0


class HandleCache:
    """Upload handles of all accounts. `variants` makes and opens the bytes to be uploaded."""

    def __init__(
        self,
        table: HandleTable,
        clock: Clock,
        variants: Variants,
    ) -> None:
        self._table = table
        self._clock = clock
        self._variants = variants
        self._kept: OrderedDict[Key, tuple[Handle, float]] = OrderedDict()
        self._refused: OrderedDict[Key, str] = OrderedDict()
        """By key, the token that the platform refused last."""
        self._eras: defaultdict[str, int] = defaultdict(int)
        """By account, how often its handles were forgotten."""
        self._flights: SingleFlight[Handle] = SingleFlight()
        self.tallies: dict[str, Tally] = {}
        self.on_bytes: Callable[[str, MediaNeed, int], None] | None = None
        """Called while media are uploaded: account, need, number of bytes."""

    async def place(self, account: str, need: MediaNeed, target: Target, adapter: Adapter) -> Handle:
        """Return a handle for `need`; concurrent callers share one upload.

        Raises:
            MediaTooLarge, MediaFormat: the platform does not accept the media; nothing was sent.
            PlatformError: the upload itself failed; a later call tries again.
        """
        key = _key(account, need)
        tally = self.tallies.setdefault(account, Tally())
        kept = self._kept.get(key)
        if kept is not None and kept[1] > self._clock.now():
            tally.hits += 1
            tally.saved_bytes += need.media.size
            return kept[0]
        return await self._flights.do(key, lambda: self._make(key, need, target, adapter, tally))

    async def peek(self, account: str, need: MediaNeed) -> Handle | None:
        """Return the handle that `place` would return without an upload, or None."""
        key = _key(account, need)
        kept = self._kept.get(key)
        if kept is None and (stored := await self._table.find(key)) is not None:
            kept = stored[0], _good_until(*stored)
        return kept[0] if kept is not None and kept[1] > self._clock.now() else None

    async def rows(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the stored handles of one account or all, without the tokens."""
        return await self._table.all(account)

    async def drop(self, account: str, need: MediaNeed, refused: Handle) -> None:
        """Forget `refused`; a newer handle stays."""
        key = _key(account, need)
        kept = self._kept.get(key)
        if kept is not None and kept[0].token != refused.token:
            return
        self._kept.pop(key, None)
        # Until the row is deleted, other callers may read it from the store; they must not use it again.
        _remember(self._refused, key, refused.token)
        await self._table.drop(key, refused.token)

    async def forget(self, account: str) -> None:
        """Forget all handles of `account`: its identity or address has changed."""
        self._eras[account] += 1
        for key in [key for key in self._kept if key[0] == account]:
            del self._kept[key]
        await self._table.forget(account)

    async def tidy(self) -> int:
        """Remove expired handles from the store; return how many."""
        return await self._table.tidy(self._clock.now())

    async def _make(self, key: Key, need: MediaNeed, target: Target, adapter: Adapter, tally: Tally) -> Handle:
        era = self._eras[key[0]]
        stored = await self._table.find(key)
        refused = stored is not None and self._refused.get(key) == stored[0].token
        if stored is not None and not refused and (until := _good_until(*stored)) > self._clock.now():
            _remember(self._kept, key, (stored[0], until))
            tally.hits += 1
            tally.saved_bytes += need.media.size
            return stored[0]
        media = await self._variants.variant(need.media, need.recipe)
        # The adapter is given the measures of the uploaded variant; the handle is stored under its source.
        handle = await self._upload(need if media is need.media else replace(need, media=media), media, target, adapter)
        tally.uploads += 1
        tally.uploaded_bytes += media.size
        made_at = self._clock.now()
        if era == self._eras[key[0]]:
            await self._table.keep(key, handle, made_at, media.size)
            _remember(self._kept, key, (handle, _good_until(handle, made_at)))
        return handle

    async def _upload(self, need: MediaNeed, media: Media, target: Target, adapter: Adapter) -> Handle:
        def left(count: int) -> None:
            if self.on_bytes is None:
                return
            try:
                self.on_bytes(target.account, need, count)
            except Exception:
                log.exception("upload listener failed", extra={"account": target.account})

        for attempt in range(1, TRIES + 1):
            try:
                return await adapter.upload(need, self._variants.library.open(media), target, left)
            except Unavailable:
                if attempt == TRIES:
                    raise
                await self._clock.sleep(0.2 * 3**attempt)
        raise AssertionError("the last attempt returns or raises")


def _good_until(handle: Handle, made_at: float) -> float:
    if handle.expires_at is None:
        return float("inf")
    return handle.expires_at - min(MARGIN, max(0.0, handle.expires_at - made_at) / 10)


def _remember(kept: OrderedDict[Key, T], key: Key, value: T) -> None:
    """Store `value`, dropping the oldest beyond `KEPT`: some platforms have one handle for each target."""
    kept[key] = value
    if len(kept) > KEPT:
        kept.popitem(last=False)


def _key(account: str, need: MediaNeed) -> Key:
    return account, need.scope, need.media.sha256, need.use, need.recipe
