"""Ingest: one pass writes the bytes to a staging file and computes every digest that a wire needs.

Small media are handled in one thread call. For large ones each digest and the writer run in threads of their own with
a few blocks queued between them, so that ingest takes little longer than its slowest digest.
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
"""Bytes of one block."""
WAITING = 8
"""Blocks queued for one stage. Stages share them, so one ingest holds about 20 MiB."""

Progress = Callable[[int], None]
"""Called on the event loop with the number of bytes taken in since the last call."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests and size of ingested bytes."""

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
        MediaTooLarge: there were more than `max_bytes`.
        StorageError: the file could not be written.
    """
    blocks = _blocks(_counted(chunks, max_bytes, progress))
    work = _Digester(file)
    first = await anext(blocks, b"")
    second = await anext(blocks, b"")
    if not second:
        await asyncio.to_thread(work.all_at_once, first)
    else:
        await _staged(work, first, second, blocks)
    return work.digests()


class _Digester:
    """The digests and the writer; each method is run by one thread at a time."""

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


async def _staged(work: _Digester, first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> None:
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
    """One step in a thread, fed through a short queue; the thread ends when the queue is empty."""

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
        # The thread still uses the file; wait until it is done.
        await asyncio.wait([running])
        raise


async def _counted(
    chunks: AsyncIterator[bytes], max_bytes: int | None, progress: Progress | None
) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if max_bytes is not None and size > max_bytes:
            raise MediaTooLarge(f"It has more than {max_bytes} bytes, the limit of this library.")
        yield chunk
        if progress is not None:
            progress(len(chunk))


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the bytes in blocks of about BLOCK."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            # A chunk of the right size is passed on without copying.
            piece = chunk if len(chunk) <= BLOCK else chunk[start : start + BLOCK]
            waiting.append(piece)
            size += len(piece)
            if size >= BLOCK:
                yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                waiting, size = [], 0
    if size:
        yield b"".join(waiting)
