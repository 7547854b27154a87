"""Blob stores, by digest: a folder beside the database, or any object store that obstore supports.

In a folder a finished file is renamed into place and read as a file. An object store (S3 and the like, or memory for
tests) receives the finished file and is read by ranges.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

from yizhan.errors import ConfigError, StorageError
from yizhan.media.staging import staged, sweep, write_all
from yizhan.model import Content

CHUNK = 1 << 20
_NAME = re.compile(r"[0-9a-f]{8,128}")


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of a listing."""

    name: str
    size: int
    """Bytes."""
    modified_at: float
    """Seconds since the epoch."""


class Blobs(Protocol):
    """A blob store. Names are digests in lower-case hex; a name always has the same bytes."""

    staging: Path
    """A local folder for unfinished files."""

    async def keep(self, file: Path, name: str) -> None:
        """Move a finished file into the store; on return it is durable under `name`."""

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Store a stream under `name`; a stream that fails leaves nothing."""

    def open(self, name: str, size: int | None = None) -> Content:
        """Return the bytes as content. A known `size` saves a request to a remote store.

        Raises:
            StorageError: there is no such blob.
        """

    def stamp(self, name: str) -> object:
        """Return a value that changes when the stored bytes are touched, as far as the store can tell."""

    def local(self, name: str) -> Any:
        """`async with blobs.local(name) as path`: the blob as a local file while the block runs."""

    async def exists(self, name: str) -> bool: ...
    async def delete(self, name: str) -> None:
        """Remove a blob, if it exists."""

    def all(self) -> AsyncIterator[Stored]: ...


def open_blobs(where: str | Path, staging: Path | None = None, options: Mapping[str, str] | None = None) -> Blobs:
    """Return the store at `where`: a folder, or a URL such as `s3://bucket/prefix` (or `memory:///`).

    `staging`: for URLs, a local folder for unfinished files (default: the system's temporary folder).
    `options`: passed to the object store (`endpoint`, `access_key_id`, `region` …).

    Raises:
        ConfigError: the URL or an option is not supported, or the folder cannot be created.
    """
    scheme = urlsplit(str(where)).scheme if "://" in str(where) else ""
    if scheme in ("", "file"):
        return FolderBlobs(Path(unquote(urlsplit(str(where)).path)) if scheme else Path(where))
    return ObjectBlobs(str(where), staging or Path(tempfile.gettempdir()) / "yizhan-staging", options or {})


class FolderBlobs:
    """Blobs as files in 256 subfolders of a folder, by the first two digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.staging = self.folder / "incoming"
        try:
            self.staging.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The media folder {folder} cannot be made ({error.strerror}). Name another.") from error
        sweep(self.staging)

    async def keep(self, file: Path, name: str) -> None:
        await asyncio.to_thread(self._keep, file, name)

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        with staged(self.staging) as file:
            async for chunk in chunks:
                await asyncio.to_thread(write_all, file, chunk)
            await self.keep(Path(file.name), name)

    def open(self, name: str, size: int | None = None) -> FileContent:
        path = self._path(name)
        try:
            return FileContent(path, path.stat().st_size)
        except OSError as error:
            raise _missing(name, str(self.folder)) from error

    def stamp(self, name: str) -> object:
        try:
            about = self._path(name).stat()
        except OSError:
            return None
        return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        yield self.open(name).path

    async def exists(self, name: str) -> bool:
        return self._path(name).exists()

    async def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    async def all(self) -> AsyncIterator[Stored]:
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for stored in await asyncio.to_thread(_listed, folder):
                yield stored

    def _path(self, name: str) -> Path:
        return self.folder / _checked(name)[:2] / name

    def _keep(self, file: Path, name: str) -> None:
        path = self._path(name)
        try:
            if not path.parent.exists():
                path.parent.mkdir(exist_ok=True)
                _sync_folder(self.folder)
            _sync(file)
            file.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"{path} could not be written: {error.strerror}. Nothing was stored.") from error


class ObjectBlobs:
    """Blobs in an object store."""

    def __init__(self, url: str, staging: Path, options: Mapping[str, str]) -> None:
        from obstore.store import from_url

        self.url = url
        self.staging = staging
        try:
            self._store = cast(Any, from_url)(url, **options)
            staging.mkdir(parents=True, exist_ok=True)
        except Exception as error:
            raise ConfigError(f"The media store {url} cannot be opened: {_first_line(error)}") from error
        sweep(staging)

    async def keep(self, file: Path, name: str) -> None:
        import obstore

        try:
            await obstore.put_async(self._store, _checked(name), file)
        except Exception as error:
            raise StorageError(
                f"{self.url} refused {name} ({_first_line(error)}). Nothing was stored; try again."
            ) from error
        file.unlink(missing_ok=True)

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        with staged(self.staging) as file:
            async for chunk in chunks:
                await asyncio.to_thread(write_all, file, chunk)
            await self.keep(Path(file.name), name)

    def open(self, name: str, size: int | None = None) -> ObjectContent:
        import obstore

        if size is None:
            try:
                size = int(obstore.head(self._store, _checked(name))["size"])
            except Exception as error:
                raise _missing(name, self.url, error) from error
        return ObjectContent(self._store, self.url, name, size)

    def stamp(self, name: str) -> object:
        # Object stores keep checksums themselves; one check in each run is enough.
        return name

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        with staged(self.staging) as file:
            async for chunk in self.open(name).chunks():
                await asyncio.to_thread(write_all, file, chunk)
            yield Path(file.name)

    async def exists(self, name: str) -> bool:
        import obstore

        try:
            await obstore.head_async(self._store, _checked(name))
        except FileNotFoundError:
            return False
        except Exception as error:
            raise StorageError(f"{self.url} could not look up {name}: {_first_line(error)}") from error
        return True

    async def delete(self, name: str) -> None:
        import obstore

        try:
            await obstore.delete_async(self._store, _checked(name))
        except FileNotFoundError:
            return
        except Exception as error:
            raise StorageError(f"{self.url} did not remove {name}: {_first_line(error)}") from error

    async def all(self) -> AsyncIterator[Stored]:
        import obstore

        async for batch in obstore.list(self._store):
            for entry in batch:
                name = entry["path"].rpartition("/")[2]
                if _NAME.fullmatch(name):
                    yield Stored(name, entry["size"], entry["last_modified"].timestamp())


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as content, read in a thread so that a slow disk does not block the event loop."""

    path: Path
    size: int

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(start)
                while start < end and (data := await asyncio.to_thread(file.read, min(CHUNK, end - start))):
                    start += len(data)
                    yield data
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error.strerror}.") from error
        if start < end:
            raise StorageError(f"{self.path} is {end - start} bytes shorter than it was. Add the media again.")


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """An object as content, read range by range."""

    store: Any
    url: str
    name: str
    size: int

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        import obstore

        end = self.size if stop is None else min(stop, self.size)
        while start < end:
            length = min(CHUNK, end - start)
            try:
                data = bytes(await obstore.get_range_async(self.store, self.name, start=start, length=length))
            except Exception as error:
                raise _missing(self.name, self.url, error) from error
            start += len(data)
            yield data


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StorageError(f"{name!r} is not a digest in lower-case hex, which is what names a blob.")
    return name


def _missing(name: str, where: str, error: Exception | None = None) -> StorageError:
    if error is not None and not isinstance(error, FileNotFoundError):
        return StorageError(f"{name} could not be read from {where}: {_first_line(error)}")
    return StorageError(f"{where} holds no {name}. Add the media again.")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _listed(folder: Path) -> list[Stored]:
    found = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if _NAME.fullmatch(entry.name):
                about = entry.stat()
                found.append(Stored(entry.name, about.st_size, about.st_mtime))
    return found
