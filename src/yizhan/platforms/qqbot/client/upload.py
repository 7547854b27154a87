"""Uploading in chunks: digests, slots, parts side by side and confirmations repeated as the platform asks, merge."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from yizhan.errors import Rejected, Unavailable, WireMismatch
from yizhan.model import Clock, Content
from yizhan.net.caller import Progress
from yizhan.platforms.qqbot.client.bot import SceneCalls
from yizhan.platforms.qqbot.wire import PUT_PART
from yizhan.platforms.qqbot.wire.faults import FINISH_AGAIN
from yizhan.platforms.qqbot.wire.files import MD5_10M_BYTES, Prepared, PutPart, UploadConfig, Uploaded

T = TypeVar("T")

MAX_CONCURRENCY = 8
"""However many the platform would take."""
MAX_RETRY_SECONDS = 600.0
MAX_FAILURES = 3
"""Of one step, where the platform did not ask for patience; the outbox tries the whole upload again."""


@dataclass(frozen=True, slots=True)
class Digests:
    md5: str
    sha1: str
    md5_10m: str


@dataclass(frozen=True, slots=True)
class Slot:
    """One part: where its bytes are, and where they go. `index` is the platform's, from 0 or 1, and only echoed."""

    index: int
    url: str
    start: int
    size: int


class ChunkedUpload:
    """One file on its way. Raises PlatformError from every step; nothing is sent to people."""

    def __init__(
        self, calls: SceneCalls, openid: str, content: Content, clock: Clock, progress: Progress | None = None
    ) -> None:
        self.calls = calls
        self.openid = openid
        self.content = content
        self.clock = clock
        self.progress = progress
        self.config = UploadConfig()

    async def run(self, file_type: int, file_name: str) -> Uploaded:
        digests = await digest(self.content)
        prepared = await self.calls.upload_prepare(
            self.openid,
            file_type=file_type,
            file_size=str(self.content.size),
            file_name=file_name,
            md5=digests.md5,
            sha1=digests.sha1,
            md5_10m=digests.md5_10m,
        )
        if prepared.file_info and not prepared.parts:
            return Uploaded(prepared.file_uuid or "", prepared.file_info, -1 if prepared.ttl is None else prepared.ttl)
        self.config = _config(prepared)
        await self._put_all(prepared.upload_id, slots(prepared, self.content.size))
        return await self._retried(lambda: self.calls.files(self.openid, upload_id=prepared.upload_id))

    async def _put_all(self, upload_id: str, parts: list[Slot]) -> None:
        gate = asyncio.Semaphore(min(max(self.config.concurrency, 1), MAX_CONCURRENCY))

        async def one(slot: Slot) -> None:
            async with gate:
                await self._put(upload_id, slot)

        try:
            async with asyncio.TaskGroup() as group:
                for slot in parts:
                    group.create_task(one(slot))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _put(self, upload_id: str, slot: Slot) -> None:
        part = HashedSlice(self.content, slot.start, slot.size)
        await self._retried(lambda: self._put_bytes(upload_id, slot, part))
        await self._retried(
            lambda: self.calls.upload_part_finish(
                self.openid, upload_id=upload_id, part_index=slot.index, block_size=str(slot.size), md5=part.md5
            )
        )

    async def _put_bytes(self, upload_id: str, slot: Slot, part: HashedSlice) -> None:
        # The address is signed; the access token has no business at the storage host.
        caller = self.calls.bot.caller
        request = PutPart(upload_id, str(slot.index), "", part)
        answer = await caller.exchange(PUT_PART, request, url=slot.url, progress=self.progress)
        if answer.status >= 300:
            kind = Unavailable if answer.status >= 500 else Rejected
            raise kind(
                f"{caller.account}: the storage answered {answer.status} to part {slot.index}.",
                account=caller.account,
                endpoint=PUT_PART.name,
            )

    async def _retried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` again while the platform says "later", as long as it asked; after other failures a few times."""
        until = self.clock.now() + min(float(self.config.retry_timeout), MAX_RETRY_SECONDS)
        failures = 0
        while True:
            try:
                return await work()
            except Unavailable as error:
                later = error.fault is not None and error.fault.row is FINISH_AGAIN
                failures += not later
                if self.clock.now() >= until or failures > MAX_FAILURES:
                    raise
            await self.clock.sleep(self.config.retry_delay)


class HashedSlice:
    """A piece of content that knows its MD5 once it has been read; read again, it counts anew."""

    def __init__(self, content: Content, start: int, size: int) -> None:
        self._content = content
        self._start = start
        self.size = size
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        self._md5 = hashlib.md5(usedforsecurity=False)
        end = self.size if stop is None else min(stop, self.size)
        async for data in self._content.chunks(self._start + start, self._start + end):
            self._md5.update(data)
            yield data


async def digest(content: Content) -> Digests:
    """Read `content` once for all three digests that the platform wants beforehand."""
    md5, sha1, first = (hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "md5"))
    left = MD5_10M_BYTES
    async for data in content.chunks():
        md5.update(data)
        sha1.update(data)
        if left > 0:
            first.update(data[:left])
            left -= len(data)
    return Digests(md5.hexdigest(), sha1.hexdigest(), first.hexdigest())


def slots(prepared: Prepared, size: int) -> list[Slot]:
    """Cut `size` bytes by the order of the slots: pages and service disagree about where `index` begins.

    Raises:
        WireMismatch: the slots do not cover the file.
    """
    found: list[Slot] = []
    start = 0
    for part in prepared.parts:
        length = min(int(part.block_size or prepared.block_size or 0), size - start)
        found.append(Slot(part.index, part.presigned_url, start, length))
        start += length
    if start != size or any(slot.size <= 0 for slot in found):
        raise WireMismatch(f"upload_prepare gave {len(found)} parts for {start} bytes; the file has {size}.")
    return found


def _config(prepared: Prepared) -> UploadConfig:
    if prepared.upload_config is not None:
        return prepared.upload_config
    default = UploadConfig()
    return UploadConfig(prepared.concurrency or 1, prepared.retry_timeout or default.retry_timeout, default.retry_delay)
