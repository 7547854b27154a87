"""Uploads by link: the platform fetches received media itself, once for all users and once for all groups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from yizhan.model import Clock, Handle
from yizhan.runtime.single_flight import SingleFlight

MAX_HANDLES = 256
MARGIN_SECONDS = 60.0
"""A handle is renewed this long before it ends."""


class LinkKey(NamedTuple):
    """The fields in which two uploads by link may differ."""

    scene: str
    file_type: int
    url: str
    name: str


class LinkUploads:
    """Handles of recent uploads by link. They are not kept over a restart: links end soon anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._single: SingleFlight[Handle] = SingleFlight()
        self._handles: OrderedDict[LinkKey, Handle] = OrderedDict()

    async def handle(self, key: LinkKey, upload: Callable[[], Awaitable[Handle]]) -> Handle:
        """Return the handle of `key`, uploading at most once however many callers wait."""
        found = self._handles.get(key)
        if found is not None and (found.expires_at is None or self._clock.now() < found.expires_at - MARGIN_SECONDS):
            return found

        async def upload_and_keep() -> Handle:
            handle = self._handles[key] = await upload()
            while len(self._handles) > MAX_HANDLES:
                self._handles.popitem(last=False)
            return handle

        return await self._single.do(key, upload_and_keep)

    def forget(self, key: LinkKey, refused: Handle) -> None:
        """Drop a handle that the platform no longer accepts."""
        if self._handles.get(key) is refused:
            del self._handles[key]
