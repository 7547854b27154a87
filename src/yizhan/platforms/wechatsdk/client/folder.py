"""The folder through which media reaches the WeChat client: it reads and writes paths of its own machine."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from yizhan.errors import ConfigError
from yizhan.model import Content
from yizhan.wire.filename import safe_name


@dataclass(frozen=True, slots=True)
class Shared:
    """One file in the folder, by its path on either side."""

    ours: Path
    theirs: str
    md5: str = ""


class SharedFolder:
    """`ours`: the folder as this side sees it, empty for a temporary one. `theirs`: as the client sees it."""

    def __init__(self, ours: str, theirs: str) -> None:
        self._given = ours
        self._theirs = theirs
        self._own: tempfile.TemporaryDirectory[str] | None = None

    @property
    def root(self) -> Path:
        """The folder here, made when it is first needed.

        Raises:
            ConfigError: it cannot be made, or is not a folder.
        """
        if not self._given:
            if self._own is None:
                self._own = tempfile.TemporaryDirectory(prefix="yizhan-wechatsdk-")
            return Path(self._own.name)
        root = Path(self._given).expanduser()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"shared_folder: {root} cannot be made ({error.strerror}). Name another.") from error
        return root.resolve()

    async def place(self, content: Content, name: str, digest: str, progress: Callable[[int], None] | None) -> Shared:
        """Write `content` under its shown name, in a subfolder of its own, and return where it is.

        Raises:
            ConfigError: the folder cannot be written.
        """
        shared = self._at(f"{digest[:32]}-{secrets.token_hex(4)}", name)
        md5 = hashlib.md5(usedforsecurity=False)
        try:
            shared.ours.parent.mkdir()
            with shared.ours.open("xb") as file:
                async for chunk in content.chunks():
                    md5.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
                    if progress is not None:
                        progress(len(chunk))
        except OSError as error:
            self.remove(shared)
            raise ConfigError(f"shared_folder: {shared.ours.parent} cannot be written ({error.strerror}).") from error
        except BaseException:
            self.remove(shared)
            raise
        return Shared(shared.ours, shared.theirs, md5.hexdigest())

    def expect(self, name: str) -> Shared:
        """Make room for a file that the client will write, and return where that will be.

        Raises:
            ConfigError: the folder cannot be written.
        """
        shared = self._at(f"in-{secrets.token_hex(16)}", name)
        try:
            shared.ours.parent.mkdir()
        except OSError as error:
            raise ConfigError(f"shared_folder: {shared.ours.parent} cannot be made ({error.strerror}).") from error
        return shared

    async def read(self, shared: Shared) -> AsyncIterator[bytes]:
        with shared.ours.open("rb") as file:
            while data := await asyncio.to_thread(file.read, 1 << 20):
                yield data

    def remove(self, shared: Shared) -> None:
        """Remove the file and the subfolder that was made for it."""
        shutil.rmtree(shared.ours.parent, ignore_errors=True)

    def close(self) -> None:
        if self._own is not None:
            self._own.cleanup()
            self._own = None

    def explain(self, theirs: str) -> str:
        """Return why the client may not see a file, and the setting to change."""
        return (
            f"Media goes by path on the machine of the WeChat client, which was told {theirs!r}. When it runs on "
            "another, set shared_folder to a folder that both see, and client_folder to its path over there."
        )

    def _at(self, subfolder: str, name: str) -> Shared:
        name = safe_name(name)
        return Shared(self.root / subfolder / name, self._over_there(subfolder, name))

    def _over_there(self, subfolder: str, name: str) -> str:
        root = self._theirs or str(self.root)
        windows = os.name == "nt" if not self._theirs else bool(re.match(r"[A-Za-z]:|\\\\", root)) or "\\" in root
        mark = "\\" if windows else "/"
        return mark.join((root.rstrip("\\/") if len(root) > 1 else "", subfolder, name))
