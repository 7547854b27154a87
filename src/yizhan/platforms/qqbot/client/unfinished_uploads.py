"""Chunked uploads in progress, stored so that after a crash only the missing parts are put."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from yizhan.model import Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot.wire.files import UploadConfig

STATE_KEY = "uploads"
MAX_REMEMBERED = 16
"""Above this the oldest upload is forgotten, and begins anew when it is asked for."""
MAX_AGE_SECONDS = 2 * 3600.0
"""Age up to which an upload is continued. The platform does not say how long it keeps the parts."""


class UploadPart(Struct, frozen=True):
    """One part: its bytes and its address. `index` is the platform's, from 0 or 1, and only echoed."""

    index: int
    url: str
    start: int
    size: int


class UnfinishedUpload(Struct):
    """One upload in progress."""

    key: str
    """Scene, digest and use of the finished upload."""
    openid: str
    """The user or group under which it began. It continues there, also for other targets."""
    upload_id: str
    parts: list[UploadPart]
    config: UploadConfig
    at: float
    """When it began, seconds since the epoch."""
    done: list[int] = []
    """Indexes of the parts that the platform has confirmed."""
    owner: str = ""
    """The bot and host that it began under."""


class UnfinishedUploads:
    """The uploads of one account. Without a state store nothing outlives the program.

    `owner`: the bot and host; an upload that began under another is not continued.
    """

    def __init__(self, state_store: StateStore | None, clock: Clock, owner: str = "") -> None:
        self._state_store = state_store
        self._clock = clock
        self._owner = owner
        self._uploads = self._load()
        self._saving: asyncio.Task[None] | None = None
        self._changed = False

    def find(self, key: str) -> UnfinishedUpload | None:
        """Return the upload begun under `key`, unless it is too old to be continued."""
        found = self._uploads.get(key)
        return found if found is not None and self._clock.now() < found.at + MAX_AGE_SECONDS else None

    async def add(self, upload: UnfinishedUpload) -> None:
        upload.owner = self._owner
        self._uploads.pop(upload.key, None)
        self._uploads[upload.key] = upload
        while len(self._uploads) > MAX_REMEMBERED:
            del self._uploads[next(iter(self._uploads))]
        await self._save()

    def mark_done(self, upload: UnfinishedUpload, part: UploadPart) -> None:
        """Note a confirmed part. It is saved while the next ones are sent: a forgotten part is only sent again."""
        upload.done.append(part.index)
        self._changed = True
        if self._uploads.get(upload.key) is upload and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save_changes(), name="qqbot uploads")

    async def flush(self) -> None:
        """Return once everything is saved."""
        if self._saving is not None:
            await asyncio.gather(self._saving, return_exceptions=True)

    async def remove(self, upload: UnfinishedUpload) -> None:
        """Forget an upload that is finished or refused."""
        if self._uploads.get(upload.key) is upload:
            del self._uploads[upload.key]
            await self._save()

    def _load(self) -> dict[str, UnfinishedUpload]:
        data = self._state_store.get(STATE_KEY) if self._state_store is not None else None
        try:
            stored = msgspec.json.decode(data, type=list[UnfinishedUpload]) if data else []
        except msgspec.DecodeError:
            # Written by another version: the uploads begin anew.
            return {}
        return {upload.key: upload for upload in stored if upload.owner == self._owner}

    async def _save_changes(self) -> None:
        while self._changed:
            self._changed = False
            await self._save()

    async def _save(self) -> None:
        if self._state_store is not None:
            uploads = list(self._uploads.values())
            await self._state_store.put(STATE_KEY, msgspec.json.encode(uploads) if uploads else None)
