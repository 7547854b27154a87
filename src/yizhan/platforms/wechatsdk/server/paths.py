"""Paths of the machine that WeChat runs on. An HTTP caller names them, so they lead only below allowed folders."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.calls import refused

_WINDOWS = re.compile(r"([A-Za-z]):[\\/](.*)", re.DOTALL)
MAX_PATH = 1024


class Folders:
    """The folders that may be read and written: the system's temporary one, those given, and a drive `C:` of our own.

    `C:\\x` is mapped to a folder of the simulated machine; other drives, `..`, and links that lead out are refused.
    """

    def __init__(self, allowed: Iterable[str | Path] = ()) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="yizhan-drive-c-")
        self.drive = Path(self._own.name).resolve()
        self._allowed = [self.drive, Path(tempfile.gettempdir()).resolve()]
        self.allow(allowed)

    def allow(self, folders: Iterable[str | Path]) -> None:
        self._allowed += [Path(folder).resolve() for folder in folders]

    def source(self, text: str) -> Path:
        """Return the file to read at a path that a caller gave.

        Raises:
            Fault: the path is not allowed, or there is no such file.
        """
        path = self._resolve(text)
        if not path.is_file():
            raise refused(wire.FILE_MISSING, text[:200])
        return path

    def destination(self, text: str) -> Path:
        """Return the file to write at a path that a caller gave; its folder must exist, except on the drive `C:`.

        Raises:
            Fault: the path is not allowed, or there is no such folder.
        """
        path = self._resolve(text)
        if path.is_relative_to(self.drive):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.is_dir() or path.is_dir():
            raise refused(wire.FILE_MISSING, text[:200])
        return path

    def clear(self) -> None:
        self._own.cleanup()
        self.drive.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        self._own.cleanup()

    def _resolve(self, text: str) -> Path:
        not_allowed = refused(wire.PATH_REFUSED, text[:200])
        if not text:
            raise refused(wire.MISSING, "path")
        if "\0" in text or len(text) > MAX_PATH or ".." in re.split(r"[/\\]", text):
            raise not_allowed
        try:
            path = self._located(text)
            # The target of a link counts, not its own place.
            found = path.resolve() if path is not None else None
        except (OSError, RuntimeError, ValueError) as error:
            raise not_allowed from error
        if found is None or not any(found.is_relative_to(folder) for folder in self._allowed):
            raise not_allowed
        return found

    def _located(self, text: str) -> Path | None:
        drive = _WINDOWS.fullmatch(text)
        if os.name != "nt" and drive is not None:
            inside = PurePosixPath(drive[2].replace("\\", "/").lstrip("/"))
            return self.drive / inside if drive[1] in "Cc" else None
        path = Path(text)
        return path if path.is_absolute() else None
