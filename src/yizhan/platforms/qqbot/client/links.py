"""Received media that go on by their link: fetched by the platform once for all users, and once for all groups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from yizhan.model import Clock, Handle
from yizhan.runtime.single_flight import SingleFlight

KEPT = 256
MARGIN_SECONDS = 60.0
"""Before the end of a handle, when it is made anew."""


class Link(NamedTuple):
    """What makes one upload by link differ from another."""

    scene: str
    file_type: int
    url: str
    name: str


class Links:
    """What was placed lately. Nothing is kept over a restart: links end soon anyway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._single: SingleFlight[Handle] = SingleFlight()
        self._placed: OrderedDict[Link, Handle] = OrderedDict()

    async def handle(self, link: Link, upload: Callable[[], Awaitable[Handle]]) -> Handle:
        """Return the handle of `link`, uploading at most once however many wait."""
        found = self._placed.get(link)
        if found is not None and (found.expires_at is None or self._clock.now() < found.expires_at - MARGIN_SECONDS):
            return found

        async def place() -> Handle:
            handle = self._placed[link] = await upload()
            while len(self._placed) > KEPT:
                self._placed.popitem(last=False)
            return handle

        return await self._single.do(link, place)

    def drop(self, link: Link, refused: Handle) -> None:
        """Forget a handle that the platform no longer knows."""
        if self._placed.get(link) is refused:
            del self._placed[link]
