"""Chunked uploads: prepare, put the parts side by side, confirm each, merge."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from yizhan.errors import Rejected, Unavailable, WireMismatch
from yizhan.http.client import Progress
from yizhan.model import Clock, Content, Slice
from yizhan.platforms.qqbot.client.calls import SceneCalls
from yizhan.platforms.qqbot.client.digests import Digests, compute_digests, md5_of
from yizhan.platforms.qqbot.client.unfinished_uploads import UnfinishedUpload, UnfinishedUploads, UploadPart
from yizhan.platforms.qqbot.wire import PUT_PART
from yizhan.platforms.qqbot.wire.faults import FINISH_AGAIN
from yizhan.platforms.qqbot.wire.files import Prepared, PutPart, UploadConfig, Uploaded

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CONCURRENCY = 8
"""Parts sent side by side at most, also if the platform allows more."""
MAX_RETRY_SECONDS = 600.0
MAX_FAILURES = 3
"""Failures of one step before the upload fails; the outbox then tries the whole upload again."""

_MD5 = re.compile(r"[0-9a-f]{32}")


class ChunkedUpload:
    """One upload of one file. Every step may raise PlatformError; nothing is shown to people.

    `uploads`: remembers the upload from part to part; a later run under the same key continues it.
    """

    def __init__(
        self,
        calls: SceneCalls,
        openid: str,
        content: Content,
        clock: Clock,
        progress: Progress | None = None,
        *,
        uploads: UnfinishedUploads | None = None,
        digests: Callable[[], Awaitable[Digests]] | None = None,
    ) -> None:
        self.calls = calls
        self.openid = openid
        self.content = content
        self.clock = clock
        self.progress = progress
        self.config = UploadConfig()
        self.uploads = uploads or UnfinishedUploads(None, clock)
        self.digests = digests or (lambda: compute_digests(content))

    async def run(self, file_type: int, file_name: str, key: str = "") -> Uploaded:
        """Upload the file, continuing the unfinished upload under `key` if there is one."""
        unfinished = self.uploads.find(key) if key else None
        if unfinished is not None:
            try:
                return await self._continue(unfinished)
            except Rejected as error:
                log.info("upload begins anew", extra={"reason": str(error), "done": len(unfinished.done)})
        prepared = await self._prepare(file_type, file_name)
        if prepared.file_info and not prepared.parts:
            # The platform has the file already.
            return Uploaded(prepared.file_uuid or "", prepared.file_info, -1 if prepared.ttl is None else prepared.ttl)
        upload = UnfinishedUpload(
            key or prepared.upload_id,
            self.openid,
            prepared.upload_id,
            upload_parts(prepared, self.content.size),
            _config(prepared),
            self.clock.now(),
        )
        await self.uploads.add(upload)
        return await self._continue(upload)

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

    async def _continue(self, upload: UnfinishedUpload) -> Uploaded:
        """Put the missing parts and merge them all.

        Raises:
            Rejected: the platform no longer knows the upload; a new one has to begin.
        """
        self.config = upload.config
        self.openid = upload.openid
        missing = [part for part in upload.parts if part.index not in upload.done]
        done_bytes = sum(part.size for part in upload.parts) - sum(part.size for part in missing)
        if self.progress is not None and done_bytes:
            self.progress(done_bytes)
        try:
            await self._put_all(upload, missing)
            uploaded = await self._retried(lambda: self.calls.files(self.openid, upload_id=upload.upload_id))
        except Rejected:
            await self.uploads.remove(upload)
            raise
        finally:
            await self.uploads.flush()
        await self.uploads.remove(upload)
        return uploaded

    async def _put_all(self, upload: UnfinishedUpload, parts: list[UploadPart]) -> None:
        gate = asyncio.Semaphore(min(max(self.config.concurrency, 1), MAX_CONCURRENCY))
        failed = False

        async def put(part: UploadPart) -> None:
            nonlocal failed
            async with gate:
                if failed:
                    # Another part has failed while this one waited for its turn.
                    return
                try:
                    await self._put(upload.upload_id, part)
                except BaseException:
                    failed = True
                    raise
                self.uploads.mark_done(upload, part)

        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(put(part))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _put(self, upload_id: str, part: UploadPart) -> None:
        content = Slice(self.content, part.start, part.start + part.size)
        stored_md5 = await self._retried(lambda: self._put_bytes(upload_id, part, content))
        try:
            await self._finish(upload_id, part, stored_md5 or await md5_of(content))
        except Rejected:
            if not stored_md5:
                raise
            # Not every storage writes an MD5 into its ETag.
            await self._finish(upload_id, part, await md5_of(content))

    async def _finish(self, upload_id: str, part: UploadPart, md5: str) -> None:
        size = str(part.size)
        await self._retried(
            lambda: self.calls.upload_part_finish(
                self.openid, upload_id=upload_id, part_index=part.index, block_size=size, md5=md5
            )
        )

    async def _put_bytes(self, upload_id: str, part: UploadPart, content: Slice) -> str:
        """Put one part and return the MD5 in the storage's ETag, or "". The merge checks the MD5 of the whole file."""
        # The address is signed; the storage host must not see the access token.
        caller = self.calls.api.caller
        request = PutPart(upload_id, str(part.index), "", content)
        answer = await caller.exchange(PUT_PART, request, url=part.url, progress=self.progress)
        if answer.status >= 300:
            kind = Unavailable if answer.status >= 500 else Rejected
            raise kind(
                f"{caller.account}: the storage answered {answer.status} to part {part.index}.",
                account=caller.account,
                endpoint=PUT_PART.name,
            )
        etag = answer.header("etag").strip('"').lower()
        return etag if _MD5.fullmatch(etag) else ""

    async def _retried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat `work` as long as the platform asks for it, and a few times after other failures."""
        until = self.clock.now() + min(float(self.config.retry_timeout), MAX_RETRY_SECONDS)
        failures = 0
        while True:
            try:
                return await work()
            except Unavailable as error:
                asked_to_repeat = error.fault is not None and error.fault.row is FINISH_AGAIN
                failures += not asked_to_repeat
                if self.clock.now() >= until or failures > MAX_FAILURES:
                    raise
            await self.clock.sleep(self.config.retry_delay)


def upload_parts(prepared: Prepared, size: int) -> list[UploadPart]:
    """Cut `size` bytes into the announced parts, by their order: pages and service disagree on the first `index`.

    Raises:
        WireMismatch: the parts do not cover the file.
    """
    parts: list[UploadPart] = []
    start = 0
    for slot in prepared.parts:
        length = min(int(slot.block_size or prepared.block_size or 0), size - start)
        parts.append(UploadPart(slot.index, slot.presigned_url, start, length))
        start += length
    if start != size or any(part.size <= 0 for part in parts):
        raise WireMismatch(f"upload_prepare gave {len(parts)} parts for {start} bytes; the file has {size}.")
    return parts


def _config(prepared: Prepared) -> UploadConfig:
    if prepared.upload_config is not None:
        return prepared.upload_config
    default = UploadConfig()
    return UploadConfig(prepared.concurrency or 1, prepared.retry_timeout or default.retry_timeout, default.retry_delay)
