"""Taking bytes in: one pass computes every digest that a wire wants, while the bytes go to a staging file.

Small media are done in one go in a thread. For large ones each digest and the writing run in threads of their own with
a few blocks between them, so that the whole takes little longer than its slowest digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from yizhan.errors import MediaTooLarge, StorageError
from yizhan.media.staging import DirectWriter, write_all

BLOCK = 2 << 20
"""Bytes: what one step of a digest works on."""
WAITING = 8
"""Blocks that may wait for one stage; as stages share them, one intake holds about 20 MiB."""

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


async def ingest(
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
        self._writer: DirectWriter | None = None

    def sha256(self, block: bytes) -> None:
        self._sha256.update(block)

    def md5(self, block: bytes) -> None:
        self._md5.update(block)

    def write(self, block: bytes) -> None:
        self._checksum(block)
        with self._as_storage_error():
            if self._writer is None:
                self._writer = DirectWriter(self._file)
            self._writer.write(block)

    def finish(self) -> None:
        with self._as_storage_error():
            if self._writer is not None:
                self._writer.finish()

    def all_at_once(self, block: bytes) -> None:
        for step in (self.sha256, self.md5, self._checksum):
            step(block)
        with self._as_storage_error():
            write_all(self._file, block)

    def _checksum(self, block: bytes) -> None:
        self._crc32 = zlib.crc32(block, self._crc32)
        self._size += len(block)

    @contextmanager
    def _as_storage_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self._file.name} could not be written: {error.strerror}. Make room.") from error

    def digests(self) -> Digests:
        return Digests(self._sha256.hexdigest(), self._md5.hexdigest(), self._crc32, self._size)


async def _staged(work: _Work, first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> None:
    stages = [_Stage(step) for step in (work.md5, work.sha256, work.write)]
    try:
        async with asyncio.TaskGroup() as group:
            for stage in stages:
                group.create_task(stage.run())
            async for block in _with(first, second, rest):
                for stage in stages:
                    await stage.put(block)
            for stage in stages:
                stage.end()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await _in_thread(work.finish)


async def _with(first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    yield second
    async for block in rest:
        yield block


class _Stage:
    """One step in a thread, fed through a short queue. The thread works until the queue is empty, then goes home."""

    def __init__(self, step: Callable[[bytes], None]) -> None:
        self._step = step
        self._blocks: deque[bytes] = deque()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._more = asyncio.Event()
        self._ended = False

    async def put(self, block: bytes) -> None:
        while len(self._blocks) >= WAITING:
            self._room.clear()
            if len(self._blocks) >= WAITING:
                await self._room.wait()
        self._blocks.append(block)
        self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()

    async def run(self) -> None:
        try:
            while self._blocks or not self._ended:
                await self._more.wait()
                self._more.clear()
                await _in_thread(self._drain, on_cancel=self._blocks.clear)
        finally:
            self._blocks.clear()

    def _drain(self) -> None:
        while self._blocks:
            try:
                block = self._blocks.popleft()
            except IndexError:  # emptied by a cancellation
                return
            self._step(block)
            if len(self._blocks) <= WAITING // 2 and not self._room.is_set():
                self._loop.call_soon_threadsafe(self._room.set)


async def _in_thread(step: Callable[[], None], on_cancel: Callable[[], None] | None = None) -> None:
    running = asyncio.ensure_future(asyncio.to_thread(step))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
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
