"""What a person may hand over as media, and how its bytes are come by."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, runtime_checkable

from yizhan.errors import MediaFormat
from yizhan.media.ingest import BLOCK
from yizhan.model import Content, Media


@runtime_checkable
class Readable(Protocol):
    """A file object, opened for reading bytes."""

    def read(self, size: int = ..., /) -> Any: ...


Source: TypeAlias = (
    Media | str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | AsyncIterable[bytes] | Content
)
"""A path, bytes, a file object, an async stream, content, or something already in the library."""


@dataclass(slots=True)
class SourceStream:
    """Bytes on their way in."""

    chunks: AsyncIterator[bytes]
    name: str = ""
    """The name they came with; not cleaned. A download learns it with its first bytes."""
    what: str = "the media"
    """How error texts call it."""


def open_source(source: Source) -> SourceStream:
    """Return the bytes of `source` as a stream. Paths are opened when the stream starts.

    Raises:
        MediaFormat: it is nothing that bytes could be read from.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return SourceStream(_once(bytes(source)), what="the bytes")
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return SourceStream(_file(path), path.name, str(path))
    if isinstance(source, AsyncIterable):
        return SourceStream(_checked(source), what="the stream")
    if isinstance(source, Readable):
        name = getattr(source, "name", "")
        name = name if isinstance(name, str) else ""
        return SourceStream(_readable(source), name, name or "the file object")
    if hasattr(source, "chunks"):
        return SourceStream(source.chunks(), what="the content")
    raise MediaFormat(
        f"Media cannot be read from {type(source).__name__}. "
        "Give a path, bytes, a file opened for reading bytes, an async iterator of bytes, or Media from the library."
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


async def _file(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(_open_file, path)
    try:
        while data := await asyncio.to_thread(file.read, BLOCK):
            yield data
    except OSError as error:
        raise MediaFormat(f"{path} cannot be read to its end: {error.strerror}. Copy it elsewhere first.") from error
    finally:
        file.close()


def _open_file(path: Path) -> IO[bytes]:
    try:
        # Asked before opening: opening a pipe would wait for whoever writes to it.
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise MediaFormat(f"There is no file {path}. Check the path{_near(path)}.") from None
    except PermissionError:
        raise MediaFormat(f"{path} may not be read by this user. Change its permissions or copy it.") from None
    except (OSError, ValueError) as error:
        raise MediaFormat(f"{str(path)!r} cannot be opened: {error}. Check the path.") from error
    if stat.S_ISDIR(mode):
        raise MediaFormat(f"{path} is a folder. Name a file in it, or pack it into a zip file first.")
    raise MediaFormat(f"{path} is not a regular file. Open it yourself and hand over the file object.")


def _near(path: Path) -> str:
    try:
        names: Iterable[str] = os.listdir(path.parent)
    except OSError:
        return f"; the folder {path.parent} does not exist either"
    from yizhan.errors import did_you_mean

    return did_you_mean(path.name, names).rstrip("?").replace(" Did you mean", "; did you mean", 1)


async def _readable(source: Readable) -> AsyncIterator[bytes]:
    while data := await _read(source):
        yield _bytes(data)


async def _read(source: Readable) -> Any:
    try:
        # An asynchronous file object answers with a coroutine, made in the thread and awaited here.
        data = await asyncio.to_thread(source.read, BLOCK)
        return await data if asyncio.iscoroutine(data) else data
    except (OSError, ValueError) as error:
        raise MediaFormat(f"The file object cannot be read: {error}. Hand it over open, for reading bytes.") from error


async def _checked(source: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for chunk in source:
        yield _bytes(chunk)


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise MediaFormat(f"Media are bytes, but {type(data).__name__} came. Open the file in binary mode ('rb').")
