"""Stored bytes as content that proves itself: damaged media never leave as if they were whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from yizhan.errors import MediaDamaged
from yizhan.media.blobs import Blobs
from yizhan.model import Content


class Proofs:
    """The blobs whose digest was checked in this process, each with the state of its file at that time."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._stamps: dict[str, object] = {}

    def stamp(self, sha256: str) -> object:
        return self._blobs.stamp(sha256)

    def holds(self, sha256: str) -> bool:
        return sha256 in self._stamps and self._stamps[sha256] == self._blobs.stamp(sha256)

    def add(self, sha256: str, stamp: object) -> None:
        self._stamps[sha256] = stamp


class VerifiedContent:
    """A blob whose digest is compared with its name while it is read.

    The last chunk of a whole read is held back until the digest is known. A partial read begins with a whole one, once.
    """

    def __init__(self, content: Content, sha256: str, label: str, proofs: Proofs) -> None:
        self._content = content
        self._sha256 = sha256
        self._label = label
        self._proofs = proofs

    @property
    def size(self) -> int:
        return self._content.size

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `stop`.

        Raises:
            MediaDamaged: the blob is not what it was when it was added.
        """
        if start == 0 and (stop is None or stop >= self.size):
            async for chunk in self._whole():
                yield chunk
            return
        await self.prove()
        async for chunk in self._content.chunks(start, stop):
            yield chunk

    async def prove(self) -> None:
        """Check the digest, unless that was done and the blob has not been touched since.

        Raises:
            MediaDamaged: it is another one.
        """
        if not self._proofs.holds(self._sha256):
            async for _ in self._whole():
                pass

    async def _whole(self) -> AsyncIterator[bytes]:
        stamp = self._proofs.stamp(self._sha256)
        digest = hashlib.sha256()
        held: bytes | None = None
        async for chunk in self._content.chunks():
            await asyncio.to_thread(digest.update, chunk)
            if held is not None:
                yield held
            held = chunk
        if digest.hexdigest() != self._sha256:
            raise damaged(self._label, "its bytes have changed since it was added")
        self._proofs.add(self._sha256, stamp)
        if held is not None:
            yield held


def damaged(label: str, problem: str) -> MediaDamaged:
    return MediaDamaged(f"{label} is damaged in the library: {problem}. Nothing was sent; add the file again.")
