"""The library: stores media by digest, each once."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import msgspec

from yizhan.errors import MediaDamaged, MediaFormat, MediaTooLarge, Refused, StorageError
from yizhan.media.blobs import Blobs
from yizhan.media.ingest import Digests, Progress, ingest
from yizhan.media.names import clean_name, with_extension
from yizhan.media.probe import Findings, probe
from yizhan.media.references import OWNER, Trust, digest_in, open_path, open_text
from yizhan.media.sources import Source, SourceStream, open_source
from yizhan.media.staging import staged
from yizhan.media.verified import Proofs, VerifiedContent, damaged
from yizhan.model import Clock, Kind, Media, Variant

log = logging.getLogger(__name__)

T = TypeVar("T")

Check = Callable[[Digests, Findings], None]


class MediaEntry(Protocol):
    """One entry of the index. Times are seconds since the epoch."""

    @property
    def media(self) -> Media: ...
    @property
    def added_at(self) -> float: ...
    @property
    def used_at(self) -> float: ...
    @property
    def needed(self) -> int:
        """Number of unsettled deliveries that need it."""


class MediaIndex(Protocol):
    """The index of the media in the blob store."""

    async def find(self, sha256: str) -> Media | None: ...

    async def add(self, media: Media, at: float) -> None:
        """Add an entry; a known one is only touched."""

    async def touch(self, sha256: str, at: float) -> bool:
        """Record a use; returns whether it is known."""

    async def all(self) -> Sequence[MediaEntry]:
        """Return all entries, the least recently used first."""

    async def digests(self) -> set[str]:
        """Return the SHA-256 of all entries."""

    async def remove(self, sha256: str, unused_since: float) -> bool:
        """Remove an entry and its variants, unless it is needed or was used after `unused_since`; returns whether."""

    async def variant(self, source: str, recipe: str) -> Variant | None:
        """Return the variant that `recipe` made of `source`, if it is still there."""

    async def add_variant(self, source: str, recipe: str, variant: Variant) -> None: ...


class Library:
    """Media by SHA-256. `max_bytes`: limit for one medium; None sets no limit.

    `trust`: the paths and addresses that callers of `add` may name by default.
    """

    def __init__(
        self, blobs: Blobs, index: MediaIndex, clock: Clock, *, max_bytes: int | None = None, trust: Trust = OWNER
    ) -> None:
        self.blobs = blobs
        self.index = index
        self.clock = clock
        self.max_bytes = max_bytes
        self.trust = trust
        self._locks = _Locks()
        self._proofs = Proofs(blobs)

    async def add(
        self,
        source: Source,
        name: str | None = None,
        kind: Kind | None = None,
        progress: Progress | None = None,
        trust: Trust | None = None,
        check: Check | None = None,
    ) -> Media:
        """Store `source` and return its media; the same bytes are stored once, whatever their names.

        `name`: the name that people see, instead of the source's own. `kind`: the wanted kind; `file` fits any bytes,
        the others must match. `trust`: the paths and addresses that this caller may name, instead of the library's own.
        `check` is given digests and format before anything is stored, and may raise.

        Raises:
            MediaFormat: empty, unreadable, or not of the wanted kind; nothing was stored.
            Refused: the caller may not name the source, or the library does not have it.
            MediaTooLarge: over the library's own limit; nothing was stored.
            StorageError: it could not be written; nothing was stored.
        """
        media, _ = await self._add(source, name, kind, progress, trust, check)
        return media

    @asynccontextmanager
    async def intake(self) -> AsyncGenerator[Intake, None]:
        """Add media for one call; the ones that were new are removed again if the block refuses the call.

        Media that another call has used meanwhile stay.
        """
        intake = Intake(self)
        try:
            yield intake
        except Refused:
            await intake.undo()
            raise

    async def examine(
        self, source: Source, name: str | None = None, kind: Kind | None = None, trust: Trust | None = None
    ) -> Media | None:
        """Return the media that `source` would become, without storing it, and with zeros for digests.

        None for a stream or a download, which can be read only once.

        Raises:
            MediaFormat: empty, unreadable, or not of the wanted kind.
            MediaTooLarge: over the library's own limit.
            Refused: the caller may not name the source, or the library does not have it.
        """
        if isinstance(source, Media):
            return with_name_and_kind(source, name, kind)
        if isinstance(source, str) and (digest := digest_in(source)):
            return with_name_and_kind(await self.get(digest), name, kind)
        opened = _opened(source, trust or self.trust)
        if opened.open_file is None:
            return None
        try:
            found, findings = await asyncio.to_thread(_look, opened.open_file)
        except OSError as error:
            raise MediaFormat(f"{opened.what} cannot be read: {error.strerror}. Copy it elsewhere first.") from error
        self._check_size(opened, found.size)
        shown = clean_name(opened.name if name is None else name) or opened.what
        return with_name_and_kind(_media(found, findings, shown), shown, kind)

    def open(self, media: Media | str) -> VerifiedContent:
        """Return the bytes of media, by Media or SHA-256. Reading them checks their digest.

        Raises:
            StorageError: the blob store does not have them.
            MediaDamaged: the size is not the one recorded when they were added.
        """
        if isinstance(media, str):
            return VerifiedContent(self.blobs.open(media), media, f"Media {media[:12]}", self._proofs)
        content = self.blobs.open(media.sha256, media.size)
        label = media.name or f"Media {media.sha256[:12]}"
        if content.size != media.size:
            raise damaged(label, f"it has {content.size} bytes, and had {media.size}")
        return VerifiedContent(content, media.sha256, label, self._proofs)

    async def find(self, sha256: str) -> Media | None:
        return await self.index.find(sha256)

    async def get(self, sha256: str) -> Media:
        """Return the media with digest `sha256`.

        Raises:
            Refused: the library does not have them.
        """
        media = await self.index.find(sha256)
        if media is None:
            raise Refused(f"The library holds no media {sha256}. Add the file again.")
        return media

    async def forget(self, sha256: str, unused_since: float) -> bool:
        """Remove media, unless a delivery needs them or they were used after `unused_since`; returns whether."""
        async with self._locks.of(sha256):
            if not await self.index.remove(sha256, unused_since):
                return False
            await self.blobs.delete(sha256)
            return True

    async def drop_stray(self, sha256: str) -> bool:
        """Remove a blob without an entry in the index; returns whether there was one."""
        async with self._locks.of(sha256):
            if await self.index.find(sha256) is not None or not await self.blobs.exists(sha256):
                return False
            await self.blobs.delete(sha256)
            return True

    async def verify(self, sha256: str) -> str:
        """Read the stored bytes and return the problem with them, or the empty string."""
        try:
            held = await self._digests(sha256)
        except StorageError as error:
            return str(error)
        return "" if held == sha256 else f"{sha256}: the stored bytes have changed; add the media again."

    async def _add(
        self,
        source: Source,
        name: str | None = None,
        kind: Kind | None = None,
        progress: Progress | None = None,
        trust: Trust | None = None,
        check: Check | None = None,
    ) -> tuple[Media, float | None]:
        """Store `source`; return its media, and the time of the new entry in the index, None if it was known."""
        if isinstance(source, Media):
            return with_name_and_kind(await self._known(source.sha256, source), name, kind), None
        if isinstance(source, str) and (digest := digest_in(source)):
            return with_name_and_kind(await self._known(digest), name, kind), None
        opened = _opened(source, trust or self.trust)
        with staged(self.blobs.staging) as file:
            found = await self._take_in(opened, file, progress)
            shown = clean_name(opened.name if name is None else name)
            findings = await asyncio.to_thread(probe, file, found.size)
            if opened.downloaded and name is None:
                shown = with_extension(shown, findings.format)
            if check is not None:
                check(found, findings)
            # Before anything is kept: the wrong kind stores nothing.
            with_name_and_kind(_media(found, findings, shown), shown, kind)
            media, added_at = await _uncancellable(self._keep(file, found, findings, shown))
        return with_name_and_kind(media, shown, kind), added_at

    def _check_size(self, opened: SourceStream, size: int) -> None:
        if self.max_bytes is not None and size > self.max_bytes:
            raise MediaTooLarge(
                f"{opened.what} is too large: It has more than {self.max_bytes} bytes, the limit of this library."
            )
        if not size:
            raise MediaFormat(f"{opened.what} is empty (0 bytes). Nothing was stored; give a file with content.")

    async def _take_in(self, opened: SourceStream, file: IO[bytes], progress: Progress | None) -> Digests:
        try:
            async with _closing(opened.chunks):
                digests = await ingest(opened.chunks, file, max_bytes=self.max_bytes, progress=progress)
        except MediaTooLarge as error:
            raise MediaTooLarge(f"{opened.what} is too large: {error}") from error
        self._check_size(opened, digests.size)
        return digests

    async def _keep(
        self, file: IO[bytes], digests: Digests, findings: Findings, name: str
    ) -> tuple[Media, float | None]:
        async with self._locks.of(digests.sha256):
            known = await self.index.find(digests.sha256)
            # Touched first, so that housekeeping in another process leaves the bytes alone.
            if known is not None and await self.index.touch(known.sha256, self.clock.now()):
                if not await self._is_whole(known):
                    await self.blobs.keep(Path(file.name), known.sha256)
                return known, None
            media = _media(digests, findings, name)
            there, now = await self.blobs.exists(media.sha256), self.clock.now()
            await self.blobs.keep(Path(file.name), media.sha256)
            try:
                self._proofs.add(media.sha256, self.blobs.stamp(media.sha256))
                await self.index.add(media, now)
            except BaseException:
                if not there:
                    await self.blobs.delete(media.sha256)
                raise
            return media, now

    async def _is_whole(self, media: Media) -> bool:
        """Whether the stored bytes exist and are intact; adding the file again replaces damaged ones."""
        try:
            await self.open(media).prove()
        except (StorageError, MediaDamaged):
            return False
        return True

    async def _known(self, sha256: str, media: Media | None = None) -> Media:
        if not await self.index.touch(sha256, self.clock.now()):
            raise Refused(f"The library holds no media {sha256}. Add the file itself.")
        return media or await self.get(sha256)

    async def _digests(self, sha256: str) -> str:
        import hashlib

        digest = hashlib.sha256()
        async for chunk in self.blobs.open(sha256).chunks():
            await asyncio.to_thread(digest.update, chunk)
        return digest.hexdigest()


class Intake:
    """Media added for one call, and those among them that the library did not have before."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._new: list[tuple[str, float]] = []

    async def add(self, source: Source, name: str | None = None, kind: Kind | None = None) -> Media:
        """Add `source` as `Library.add` does, with its errors."""
        media, added_at = await self._library._add(source, name, kind)
        if added_at is not None:
            self._new.append((media.sha256, added_at))
        return media

    async def undo(self) -> None:
        """Remove the media that were new, unless another call has used them since."""
        for sha256, added_at in self._new:
            try:
                await self._library.forget(sha256, added_at)
            except StorageError as error:
                log.warning("media of a refused call not removed", extra={"sha256": sha256, "reason": str(error)})


def _look(open_file: Callable[[], IO[bytes]]) -> tuple[Digests, Findings]:
    """Return size and format of a file, with zeros for digests."""
    with open_file() as file:
        size = file.seek(0, os.SEEK_END)
        return Digests("0" * 64, "0" * 32, 0, size), probe(file, size)


def _opened(source: Source, trust: Trust) -> SourceStream:
    if isinstance(source, str):
        return open_text(source, trust)
    return open_path(Path(source), trust) if isinstance(source, os.PathLike) else open_source(source)


@asynccontextmanager
async def _closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Close a stream at once, also if it was not read to its end."""
    try:
        yield
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def with_name_and_kind(media: Media, name: str | None, kind: Kind | None) -> Media:
    """Return `media` under another name or as another kind.

    Raises:
        MediaFormat: the bytes are not of that kind.
    """
    if kind not in (None, "file", media.kind):
        raise MediaFormat(
            f"{media.name or name or media.sha256[:12]} is wanted as {kind}, but its content is "
            f"{media.format or 'of no known format'} ({media.kind}). Give {_EXAMPLES[kind]}, or send it as a file."
        )
    changed = media if name is None else msgspec.structs.replace(media, name=clean_name(name))
    return changed if kind is None else msgspec.structs.replace(changed, kind=kind)


_EXAMPLES = {"image": "a PNG or JPEG", "video": "an MP4", "voice": "an MP3, WAV or SILK"}


def _media(digests: Digests, findings: Findings, name: str) -> Media:
    return Media(
        sha256=digests.sha256,
        md5=digests.md5,
        crc32=digests.crc32,
        size=digests.size,
        kind=findings.kind,
        mime=findings.mime,
        format=findings.format,
        width=findings.width,
        height=findings.height,
        duration_ms=findings.duration_ms,
        name=name,
    )


async def _uncancellable(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end even if the caller is cancelled: a half-done move is worse than a late one."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class _Locks:
    """One lock per name, while it is in use."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        lock, users = self._held.get(name, (asyncio.Lock(), 0))
        self._held[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._held[name]
            if users == 1:
                del self._held[name]
            else:
                self._held[name] = lock, users - 1
