"""Taking bytes in: one pass computes every digest that a wire wants, while the bytes go to a staging file.

Small media are done in one go in a thread. For large ones each digest and the writing run in threads of their own with
a few blocks between them, so that the whole takes little longer than its slowest digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import IO

from yizhan.errors import MediaTooLarge, StorageError

BLOCK = 2 << 20
"""Bytes: what one step of a digest works on."""
WAITING = 4
"""Blocks that may wait for one stage; with three stages this bounds the memory of one intake to about 20 MiB."""
FLUSH_EVERY = 32
"""Blocks after which the writer has the system write to disk, so that the last flush is short."""

Progress = Callable[[int], None]
"""Called on the event loop with the number of bytes taken in since the last call."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What one pass found out."""

    sha256: str
    md5: str
    crc32: int
    size: int
    """Bytes."""


async def take_in(
    chunks: AsyncIterator[bytes], file: IO[bytes], *, max_bytes: int | None = None, progress: Progress | None = None
) -> Digests:
    """Write `chunks` to `file` and return their digests.

    Raises:
        MediaTooLarge: more than `max_bytes` came.
        StorageError: the file could not be written.
    """
    blocks = _blocks(_counted(chunks, max_bytes, progress))
    work = _Work(file)
    first = await anext(blocks, b"")
    second = await anext(blocks, b"")
    if not second:
        await asyncio.to_thread(work.all_at_once, first)
    else:
        await _staged(work, first, second, blocks)
    return work.digests()


class _Work:
    """The digests and the writer; each method is only ever run by one thread at a time."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32 = 0
        self._size = 0
        self._unflushed = 0

    def sha256(self, block: bytes) -> None:
        self._sha256.update(block)

    def md5(self, block: bytes) -> None:
        self._md5.update(block)

    def write(self, block: bytes) -> None:
        self._crc32 = zlib.crc32(block, self._crc32)
        self._size += len(block)
        try:
            self._put(block)
        except OSError as error:
            raise StorageError(f"{self._file.name} could not be written: {error.strerror}. Make room.") from error

    def _put(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self._unflushed += 1
        if self._unflushed == FLUSH_EVERY:
            os.fsync(self._file.fileno())
            self._unflushed = 0

    def all_at_once(self, block: bytes) -> None:
        for step in (self.write, self.sha256, self.md5):
            step(block)

    def digests(self) -> Digests:
        return Digests(self._sha256.hexdigest(), self._md5.hexdigest(), self._crc32, self._size)


async def _staged(work: _Work, first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> None:
    stages = [_Stage(step) for step in (work.md5, work.sha256, work.write)]
    try:
        async with asyncio.TaskGroup() as group:
            for stage in stages:
                group.create_task(stage.run())
            for block in (first, second):
                for stage in stages:
                    await stage.queue.put(block)
            async for block in rest:
                for stage in stages:
                    await stage.queue.put(block)
            for stage in stages:
                await stage.queue.put(None)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


class _Stage:
    """One step, fed through a short queue, run in a thread."""

    def __init__(self, step: Callable[[bytes], None]) -> None:
        self.step = step
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)

    async def run(self) -> None:
        while (block := await self.queue.get()) is not None:
            running = asyncio.ensure_future(asyncio.to_thread(self.step, block))
            try:
                await asyncio.shield(running)
            except asyncio.CancelledError:
                # The thread still uses the file; leave only when it is done with it.
                await asyncio.wait([running])
                raise


async def _counted(
    chunks: AsyncIterator[bytes], max_bytes: int | None, progress: Progress | None
) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if max_bytes is not None and size > max_bytes:
            raise MediaTooLarge(f"More than {max_bytes} bytes came; that is the most this library takes in at once.")
        yield chunk
        if progress is not None:
            progress(len(chunk))


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in blocks of about BLOCK, whatever the size of the chunks."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            # A chunk that is already of the right size is passed on as it is, not copied.
            piece = chunk if len(chunk) <= BLOCK else chunk[start : start + BLOCK]
            waiting.append(piece)
            size += len(piece)
            if size >= BLOCK:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, size = [], 0
    if size:
        yield b"".join(waiting)
