"""The digests that the platform asks for before a chunked upload."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from yizhan.model import Content, Media
from yizhan.platforms.qqbot.wire.files import MD5_10M_BYTES

MAX_CACHED = 256


@dataclass(frozen=True, slots=True)
class Digests:
    """Hex digests of a file; `md5_10m` covers its first `MD5_10M_BYTES`."""

    md5: str
    sha1: str
    md5_10m: str


class DigestCache:
    """Digests of recent uploads by SHA-256: the other scene asks for them too, and so does a renewed upload."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, Digests] = OrderedDict()

    async def digests(self, media: Media, content: Content) -> Digests:
        found = self._digests.get(media.sha256)
        if found is None:
            found = self._digests[media.sha256] = await compute_digests(content, media.md5)
            if len(self._digests) > MAX_CACHED:
                self._digests.popitem(last=False)
        return found


async def md5_of(content: Content) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    async for data in content.chunks():
        await asyncio.to_thread(md5.update, data)
    return md5.hexdigest()


async def compute_digests(content: Content, known_md5: str = "") -> Digests:
    """Read `content` once for all three digests. `known_md5`: its MD5, if it is known already."""
    hashes = _Hashes(known_md5)
    updating: asyncio.Future[None] | None = None
    async for data in content.chunks():
        # One thread hashes a piece while the next one is read.
        if updating is not None:
            await updating
        updating = asyncio.ensure_future(asyncio.to_thread(hashes.update, data))
    if updating is not None:
        await updating
    return hashes.digests()


class _Hashes:
    def __init__(self, known_md5: str) -> None:
        self._known_md5 = known_md5
        self._md5, self._sha1, self._md5_10m = (
            hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "md5")
        )
        self._left = MD5_10M_BYTES

    def update(self, data: bytes) -> None:
        self._sha1.update(data)
        if not self._known_md5:
            self._md5.update(data)
        if self._left > 0:
            self._md5_10m.update(data[: self._left])
            self._left -= len(data)

    def digests(self) -> Digests:
        return Digests(self._known_md5 or self._md5.hexdigest(), self._sha1.hexdigest(), self._md5_10m.hexdigest())
