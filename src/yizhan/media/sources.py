"""Sources of media: paths, bytes, file objects, streams and content, each opened as a stream of bytes."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, runtime_checkable

from yizhan.errors import MediaFormat, Refused
from yizhan.media.ingest import BLOCK
from yizhan.model import Content, Media


@runtime_checkable
class Readable(Protocol):
    """A file object, opened for reading bytes."""

    def read(self, size: int = ..., /) -> Any: ...


Source: TypeAlias = (
    Media | str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | AsyncIterable[bytes] | Content
)
"""A path, bytes, a file object, an async stream, content, or media in the library."""


@dataclass(slots=True)
class SourceStream:
    """The bytes of a source, as a stream."""

    chunks: AsyncIterator[bytes]
    name: str = ""
    """The source's name, not cleaned. A download sets it with its first bytes."""
    what: str = "the media"
    """The source in error texts."""
    open_file: Callable[[], IO[bytes]] | None = None
    """Opens the same bytes for a look at them before they are copied; None where they can be read only once."""
    downloaded: bool = False
    """Whether the name is that of an address or a header, which may lack the extension of the content."""


def open_source(source: Source) -> SourceStream:
    """Return the bytes of `source` as a stream. Paths are opened when the stream starts.

    Raises:
        MediaFormat: bytes cannot be read from it.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        return SourceStream(_once(data), what="the bytes", open_file=lambda: io.BytesIO(data))
    if isinstance(source, (str, os.PathLike)):
        return _path_stream(Path(source), _open_file)
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


def open_below(folder: Path, path: Path) -> SourceStream:
    """Return the bytes of the file `path` below `folder`; both are resolved.

    The file is opened when the stream starts, folder by folder and without following links, so that a link put in the
    place of a folder or of the file after the check leads nowhere.
    """
    return _path_stream(path, partial(_open_without_links, folder))


def _path_stream(path: Path, open_file: Callable[[Path], IO[bytes]]) -> SourceStream:
    opener = partial(open_file, path)
    return SourceStream(_file(path, opener), path.name, str(path), opener)


def not_allowed(path: Path) -> Refused:
    return Refused(
        f"{str(path)[:200]!r} is not below a folder from which files may be named here. "
        "Send the bytes themselves, or have its folder added to the allowed ones."
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


async def _file(path: Path, open_file: Callable[[], IO[bytes]]) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(open_file)
    try:
        while data := await asyncio.to_thread(file.read, BLOCK):
            yield data
    except OSError as error:
        raise MediaFormat(f"{path} cannot be read to its end: {error.strerror}. Copy it elsewhere first.") from error
    finally:
        file.close()


def _open_file(path: Path) -> IO[bytes]:
    try:
        # Checked before opening: opening a pipe would wait for its writer.
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    raise _not_regular(path)


def _open_without_links(folder: Path, path: Path) -> IO[bytes]:
    if os.open not in os.supports_dir_fd:
        return _open_file(path)
    *parents, name = path.relative_to(folder).parts or (".",)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in parents:
            below = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = below
        # A pipe is opened without waiting for its writer, and refused by its kind.
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise not_allowed(path) from None
        raise _cannot_open(path, error) from error
    finally:
        os.close(handle)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise _not_regular(path)
    return os.fdopen(opened, "rb", buffering=0)


def _cannot_open(path: Path, error: OSError | ValueError) -> MediaFormat:
    if isinstance(error, FileNotFoundError):
        return MediaFormat(f"There is no file {path}. Check the path{_near(path)}.")
    if isinstance(error, PermissionError):
        return MediaFormat(f"{path} may not be read by this user. Change its permissions or copy it.")
    return MediaFormat(f"{str(path)!r} cannot be opened: {error}. Check the path.")


def _not_regular(path: Path) -> MediaFormat:
    if path.is_dir():
        return MediaFormat(f"{path} is a folder. Name a file in it, or pack it into a zip file first.")
    return MediaFormat(f"{path} is not a regular file. Open it yourself and pass the file object.")


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
        # An asynchronous file object returns a coroutine, which is awaited here.
        data = await asyncio.to_thread(source.read, BLOCK)
        return await data if asyncio.iscoroutine(data) else data
    except (OSError, ValueError) as error:
        raise MediaFormat(f"The file object cannot be read: {error}. Pass it open, for reading bytes.") from error


async def _checked(source: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for chunk in source:
        yield _bytes(chunk)


def _bytes(data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise MediaFormat(f"Media are bytes, not {type(data).__name__}. Open the file in binary mode ('rb').")
