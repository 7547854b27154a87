"""Uploading in chunks: digests, slots, parts side by side and confirmations repeated as the platform asks, merge."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from yizhan.errors import Rejected, Unavailable, WireMismatch
from yizhan.http.client import Progress
from yizhan.model import Clock, Content, Media, Slice
from yizhan.platforms.qqbot.client.bot import SceneCalls
from yizhan.platforms.qqbot.client.unfinished import Begun, Slot, Uploads
from yizhan.platforms.qqbot.wire import PUT_PART
from yizhan.platforms.qqbot.wire.faults import FINISH_AGAIN
from yizhan.platforms.qqbot.wire.files import MD5_10M_BYTES, Prepared, PutPart, UploadConfig, Uploaded

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CONCURRENCY = 8
"""However many the platform would take."""
MAX_RETRY_SECONDS = 600.0
DIGESTS_KEPT = 256
MAX_FAILURES = 3
"""Of one step, where the platform did not ask for patience; the outbox tries the whole upload again."""


_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Digests:
    md5: str
    sha1: str
    md5_10m: str


class KnownDigests:
    """The digests of what was uploaded lately, by SHA-256: the other scene wants them too, and so does a renewal."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Digests] = OrderedDict()

    async def of(self, media: Media, content: Content) -> Digests:
        found = self._known.get(media.sha256)
        if found is None:
            found = self._known[media.sha256] = await digest(content, media.md5)
            if len(self._known) > DIGESTS_KEPT:
                self._known.popitem(last=False)
        return found


class ChunkedUpload:
    """One file on its way. Raises PlatformError from every step; nothing is sent to people.

    `uploads`: where it is remembered from part to part; under the same key it goes on where it ended.
    """

    def __init__(
        self,
        calls: SceneCalls,
        openid: str,
        content: Content,
        clock: Clock,
        progress: Progress | None = None,
        *,
        uploads: Uploads | None = None,
        digests: Callable[[], Awaitable[Digests]] | None = None,
    ) -> None:
        self.calls = calls
        self.openid = openid
        self.content = content
        self.clock = clock
        self.progress = progress
        self.config = UploadConfig()
        self.uploads = uploads or Uploads(None, clock)
        self.digests = digests or (lambda: digest(content))

    async def run(self, file_type: int, file_name: str, key: str = "") -> Uploaded:
        begun = self.uploads.find(key) if key else None
        if begun is not None:
            try:
                return await self._carry_on(begun)
            except Rejected as error:
                log.info("upload begun anew", extra={"reason": str(error), "done": len(begun.done)})
        prepared = await self._prepare(file_type, file_name)
        if prepared.file_info and not prepared.parts:
            return Uploaded(prepared.file_uuid or "", prepared.file_info, -1 if prepared.ttl is None else prepared.ttl)
        begun = Begun(
            key or prepared.upload_id,
            self.openid,
            prepared.upload_id,
            slots(prepared, self.content.size),
            _config(prepared),
            self.clock.now(),
        )
        await self.uploads.begin(begun)
        return await self._carry_on(begun)

    async def _prepare(self, file_type: int, file_name: str) -> Prepared:
        digests = await self.digests()
        return await self.calls.upload_prepare(
            self.openid,
            file_type=file_type,
            file_size=str(self.content.size),
            file_name=file_name,
            md5=digests.md5,
            sha1=digests.sha1,
            md5_10m=digests.md5_10m,
        )

    async def _carry_on(self, begun: Begun) -> Uploaded:
        """Put the parts that are not done, and make one file of all.

        Raises:
            Rejected: the platform does not know the upload any more; a new one has to begin.
        """
        self.config = begun.config
        self.openid = begun.openid
        left = [slot for slot in begun.slots if slot.index not in begun.done]
        if self.progress is not None and (done := sum(slot.size for slot in begun.slots) - sum(s.size for s in left)):
            self.progress(done)
        try:
            await self._put_all(begun, left)
            placed = await self._retried(lambda: self.calls.files(self.openid, upload_id=begun.upload_id))
        except Rejected:
            await self.uploads.end(begun)
            raise
        finally:
            await self.uploads.settle()
        await self.uploads.end(begun)
        return placed

    async def _put_all(self, begun: Begun, parts: list[Slot]) -> None:
        gate = asyncio.Semaphore(min(max(self.config.concurrency, 1), MAX_CONCURRENCY))

        failed = False

        async def one(slot: Slot) -> None:
            nonlocal failed
            async with gate:
                if failed:  # the place came free because another part could not be put
                    return
                try:
                    await self._put(begun.upload_id, slot)
                except BaseException:
                    failed = True
                    raise
                self.uploads.done(begun, slot)

        try:
            async with asyncio.TaskGroup() as group:
                for slot in parts:
                    group.create_task(one(slot))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _put(self, upload_id: str, slot: Slot) -> None:
        part = Slice(self.content, slot.start, slot.start + slot.size)
        told = await self._retried(lambda: self._put_bytes(upload_id, slot, part))
        try:
            await self._finish(upload_id, slot, told or await md5_of(part))
        except Rejected:
            if not told:
                raise
            # Not every storage writes an MD5 into its ETag.
            await self._finish(upload_id, slot, await md5_of(part))

    async def _finish(self, upload_id: str, slot: Slot, md5: str) -> None:
        size = str(slot.size)
        await self._retried(
            lambda: self.calls.upload_part_finish(
                self.openid, upload_id=upload_id, part_index=slot.index, block_size=size, md5=md5
            )
        )

    async def _put_bytes(self, upload_id: str, slot: Slot, part: Slice) -> str:
        """Put one part and return the MD5 that the storage says it has; the MD5 of the whole guards it at the merge."""
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
        etag = answer.header("etag").strip('"').lower()
        return etag if _MD5.fullmatch(etag) else ""

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


async def md5_of(content: Content) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    async for data in content.chunks():
        await asyncio.to_thread(md5.update, data)
    return md5.hexdigest()


async def digest(content: Content, known_md5: str = "") -> Digests:
    """Read `content` once for all three digests that the platform wants beforehand."""
    md5, sha1, first = (hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "md5"))
    left, before = MD5_10M_BYTES, 0

    def count(data: bytes) -> None:
        sha1.update(data)
        if not known_md5:
            md5.update(data)
        if left > 0:
            first.update(data[:left])

    counting: asyncio.Future[None] | None = None
    async for data in content.chunks():
        # Counted while the next piece is read.
        if counting is not None:
            await counting
            left -= before
        before = len(data)
        counting = asyncio.ensure_future(asyncio.to_thread(count, data))
    if counting is not None:
        await counting
    return Digests(known_md5 or md5.hexdigest(), sha1.hexdigest(), first.hexdigest())


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
