"""Uploads in chunks that are under way, kept so that one goes on from the parts that are done after a crash."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from yizhan.model import Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot.wire.files import UploadConfig

NAME = "uploads"
MOST = 16
"""Uploads that are remembered; the oldest goes when there are more, and would only be made anew."""
SECONDS = 2 * 3600.0
"""How long the platform is trusted to remember the parts; it says nothing about it."""


class Slot(Struct, frozen=True):
    """One part: where its bytes are, and where they go. `index` is the platform's, from 0 or 1, and only echoed."""

    index: int
    url: str
    start: int
    size: int


class Begun(Struct):
    """One upload under way."""

    key: str
    """Scene, digest and use: what the result will be good for."""
    openid: str
    """Under whose address it began; it goes on there, whoever asks next."""
    upload_id: str
    slots: list[Slot]
    config: UploadConfig
    at: float
    """When it began, seconds since the epoch."""
    done: list[int] = []
    """Indexes of the parts that the platform has confirmed."""


class Uploads:
    """The uploads of one account. Without a state_store nothing is remembered."""

    def __init__(self, state_store: StateStore | None, clock: Clock) -> None:
        self._keeper = state_store
        self._clock = clock
        self._begun = self._read()
        self._writing: asyncio.Task[None] | None = None
        self._changed = False

    def find(self, key: str) -> Begun | None:
        """Return what was begun under `key`, if the platform can be trusted to know it still."""
        found = self._begun.get(key)
        return found if found is not None and self._clock.now() < found.at + SECONDS else None

    async def begin(self, upload: Begun) -> None:
        self._begun.pop(upload.key, None)
        self._begun[upload.key] = upload
        while len(self._begun) > MOST:
            del self._begun[next(iter(self._begun))]
        await self._write()

    def done(self, upload: Begun, slot: Slot) -> None:
        """A part is confirmed. Written while the next ones are on their way: a part that is forgotten goes again."""
        upload.done.append(slot.index)
        self._changed = True
        if self._begun.get(upload.key) is upload and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write_changes(), name="qqbot uploads")

    async def settle(self) -> None:
        """Return once everything is written."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def end(self, upload: Begun) -> None:
        """It became a file, or is of no use any more."""
        if self._begun.get(upload.key) is upload:
            del self._begun[upload.key]
            await self._write()

    def _read(self) -> dict[str, Begun]:
        stored = self._keeper.get(NAME) if self._keeper is not None else None
        try:
            return {one.key: one for one in msgspec.json.decode(stored, type=list[Begun])} if stored else {}
        except msgspec.DecodeError:  # written by another version: nothing is lost but some parts
            return {}

    async def _write_changes(self) -> None:
        while self._changed:
            self._changed = False
            await self._write()

    async def _write(self) -> None:
        if self._keeper is not None:
            await self._keeper.put(NAME, msgspec.json.encode(list(self._begun.values())) if self._begun else None)
