"""Media are bytes identified by their digest. The name that people see belongs to the message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol

from msgspec import Struct

Kind = Literal["image", "video", "voice", "file"]


class Media(Struct, frozen=True, omit_defaults=True):
    """Bytes in the library, with their digests, format and measures."""

    sha256: str
    """Lower-case hex; identifies the media."""
    md5: str
    crc32: int
    size: int
    """Bytes."""
    kind: Kind
    """Determined by the content, not by the extension."""
    mime: str
    format: str
    """Short name of the container: png, jpeg, gif, mp4, silk, mp3, pdf …; empty if not recognized."""
    width: int = 0
    """Pixels; 0 if not known."""
    height: int = 0
    duration_ms: int = 0
    name: str = ""
    """The name under which the bytes were added; a message may show another."""


class Variant(Struct, frozen=True):
    """Media that a conversion made."""

    media: Media
    """The source itself where it needed no conversion."""
    changes: tuple[str, ...] = ()
    """The differences that a person may notice, each in a few words."""


class Content(Protocol):
    """Bytes that can be read repeatedly without being held in memory."""

    @property
    def size(self) -> int:
        """Bytes."""

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `stop` (the end if None) in pieces of at most 1 MiB."""


class BytesContent:
    """Content in memory, for small data and tests."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        view = self.data[start:stop]
        for offset in range(0, len(view), 1 << 20):
            yield view[offset : offset + (1 << 20)]


class Slice:
    """Part of some content, from `start` up to `stop`; nothing is copied."""

    __slots__ = ("_content", "_start", "_stop")

    def __init__(self, content: Content, start: int, stop: int) -> None:
        self._content = content
        self._start = start
        self._stop = max(start, min(stop, content.size))

    @property
    def size(self) -> int:
        return self._stop - self._start

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self._stop if stop is None else min(self._stop, self._start + stop)
        return self._content.chunks(self._start + start, end)


async def read_all(content: Content, start: int = 0, stop: int | None = None) -> bytes:
    """Return the bytes of `content` in one piece; only for content known to be small."""
    return b"".join([piece async for piece in content.chunks(start, stop)])
