"""Sources of media: an address, Base64 or a path, fenced in; and the folder of downloads."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from yizhan.http.loopback_fetch import FetchedTooLarge, NotFetched, fetch_loopback
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.wire import Fault
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes that were read, and their name at the source."""

    blob: Blob
    name: str = ""


class Sources:
    """Reads what calls name. Only loopback addresses are fetched, only the folders allowed are read."""

    def __init__(self, server: SandboxServer, folders: Iterable[str] | None) -> None:
        self.server = server
        self.world = server.world
        allowed = list(folders) if folders is not None else [tempfile.gettempdir()]
        self.folders = [Path(folder).resolve() for folder in allowed]
        self._written: set[Path] = set()

    async def take(self, url: Any = "", base64_text: Any = "", path: Any = "", *, name: str = "source") -> Taken:
        """Return the first of the three that is given; a Fault when there is none, or it cannot be read."""
        for value in (url, base64_text, path):
            if not isinstance(value, str):
                raise Fault(wire.PARAMETER, f"param error: {name}")
        if url:
            return await self._from_url(url)
        if base64_text:
            return await self._from_base64(base64_text)
        if path:
            return await self._from_path(path)
        raise Fault(wire.PARAMETER, f"param error: {name}")

    @property
    def max_bytes(self) -> int:
        return self.server.rules.number("cdn.max_bytes") if self.server.rules.limited else 1 << 30

    async def _from_url(self, url: str) -> Taken:
        try:
            blob = await self.world.blobs.keep(fetch_loopback(url, self.max_bytes))
        except FetchedTooLarge as error:
            raise Fault(wire.TOO_LARGE) from error
        except NotFetched as error:
            raise Fault(wire.UNREADABLE, f"{wire.UNREADABLE.message}: {error}") from error
        return Taken(blob, unquote(urlsplit(url).path.rpartition("/")[2]))

    async def _from_base64(self, text: str) -> Taken:
        if text.startswith("data:"):
            text = text.partition(",")[2]
        if len(text) * 3 // 4 - 2 > self.max_bytes:
            raise Fault(wire.TOO_LARGE)
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Fault(wire.UNREADABLE, f"{wire.UNREADABLE.message}: not Base64") from error
        if len(data) > self.max_bytes:
            raise Fault(wire.TOO_LARGE)
        return Taken(await self.world.blobs.add(data))

    async def _from_path(self, text: str) -> Taken:
        file = self._find(text)
        if file.stat().st_size > self.max_bytes:
            raise Fault(wire.TOO_LARGE)
        return Taken(await self.world.blobs.keep(_chunks(file)), file.name)

    def _find(self, text: str) -> Path:
        """The file below one of the allowed folders; links are followed first, and may not lead out."""
        for folder in self.folders:
            try:
                file = (folder / text).resolve()
                if file.is_relative_to(folder) and file.is_file():
                    return file
            except (OSError, ValueError, RuntimeError):
                break
        raise Fault(wire.UNREADABLE, f"{wire.UNREADABLE.message}: no such file below the allowed folders")

    # --- downloads ---

    async def write(self, blob: Blob, name: str) -> Path:
        """Write a download: under an absolute path if it is allowed and new, else under its last component."""
        file = self._place(name)
        with file.open("wb") as out:
            async for chunk in blob.chunks():
                out.write(chunk)
        self._written.add(file)
        return file

    def _place(self, name: str) -> Path:
        try:
            wanted = Path(name)
            if wanted.is_absolute() and self._may_write(wanted.resolve()):
                return wanted.resolve()
        except (OSError, ValueError, RuntimeError):
            pass
        folder = self.world.blobs.folder / "downloads"
        folder.mkdir(exist_ok=True)
        return folder / safe_name(name)

    def _may_write(self, file: Path) -> bool:
        below = any(file.is_relative_to(folder) for folder in self.folders)
        return below and file.parent.is_dir() and (file in self._written or not file.exists())


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk


def suffix_of(names: Sequence[str]) -> str:
    """Return the extension of the first name that has one, without dot, in lower case."""
    return next((Path(name).suffix[1:].lower() for name in names if Path(name).suffix), "")
