"""Bytes that arrived: kept in a folder by SHA-256, written as they stream."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

CHUNK = 1 << 20


class Blob:
    """Some bytes on disk; is `Content`."""

    __slots__ = ("md5", "path", "sha1", "sha256", "size")

    def __init__(self, path: Path, size: int, sha256: str, md5: str, sha1: str) -> None:
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.md5 = md5
        self.sha1 = sha1

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end and (data := file.read(min(CHUNK, end - start))):
                start += len(data)
                yield data
                # Large blobs must not keep the loop from its other work.
                await asyncio.sleep(0)

    def head(self, count: int = 64) -> bytes:
        """The first bytes, for looking at the format."""
        with self.path.open("rb") as file:
            return file.read(count)

    def read(self) -> bytes:
        return self.path.read_bytes()


class Blobs:
    """A folder of blobs; temporary unless one is named."""

    def __init__(self, folder: Path | None = None) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="yizhan-world-") if folder is None else None
        self.folder = Path(self._own.name) if self._own else Path(str(folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Blob] = {}
        self._by_md5: dict[str, Blob] = {}

    async def keep(self, chunks: AsyncIterator[bytes]) -> Blob:
        """Take in bytes as they come; the same bytes are kept once."""
        digests = hashlib.sha256(), hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
        size = 0
        handle, name = tempfile.mkstemp(dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as file:
                async for chunk in chunks:
                    file.write(chunk)
                    size += len(chunk)
                    for digest in digests:
                        digest.update(chunk)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sha256, md5, sha1 = (digest.hexdigest() for digest in digests)
        known = self._known.get(sha256)
        if known is not None:
            Path(name).unlink()
            return known
        path = self.folder / sha256
        Path(name).replace(path)
        blob = self._known[sha256] = self._by_md5[md5] = Blob(path, size, sha256, md5, sha1)
        return blob

    async def add(self, data: bytes) -> Blob:
        async def once() -> AsyncIterator[bytes]:
            yield data

        return await self.keep(once())

    async def join(self, blobs: list[Blob]) -> Blob:
        """Make one blob of several, in order."""

        async def all_of_them() -> AsyncIterator[bytes]:
            for blob in blobs:
                async for chunk in blob.chunks():
                    yield chunk

        return await self.keep(all_of_them())

    def find(self, sha256: str) -> Blob | None:
        return self._known.get(sha256)

    def by_md5(self, md5: str) -> Blob | None:
        return self._by_md5.get(md5)

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        for blob in self._known.values():
            blob.path.unlink(missing_ok=True)
        self._known.clear()
        self._by_md5.clear()

    def close(self) -> None:
        if self._own is not None:
            self._own.cleanup()
