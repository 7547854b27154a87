"""Unfinished files: removed after a crash, and written past the page cache where that is faster.

Large media are written once and seldom read soon after. Written directly, they do not evict other files from the cache,
and nothing is left to flush at the end.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

fcntl: Any
try:
    fcntl = import_module("fcntl")
except ImportError:  # not on this system: leftovers of crashes stay until a person removes them
    fcntl = None

DIRECT = 2 << 20
"""Bytes of one direct write; small files are written in the ordinary way."""
_PREFIX = "new-"


@contextmanager
def staged(folder: Path) -> Iterator[IO[bytes]]:
    """Open a new file in `folder` for writing; it is removed at the end unless it was moved.

    It is locked while it is open, so that `sweep` in another process does not take it for a leftover.
    """
    file = _new_file(folder)
    try:
        yield file
    finally:
        file.close()
        with suppress(FileNotFoundError):
            os.unlink(file.name)


def sweep(folder: Path) -> int:
    """Remove unfinished files whose writer is gone; return how many."""
    return sum(_abandoned(path) for path in folder.glob(_PREFIX + "*")) if fcntl else 0


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write every byte to an unbuffered file.

    Raises:
        OSError: as raised by the system, for example on a full disk.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class DirectWriter:
    """Writes many bytes to an unbuffered file, past the page cache where system and file system support it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Direct writes need memory at a page boundary; an anonymous map has it.
        self._buffer = mmap.mmap(-1, DIRECT)
        self._filled = 0
        self._direct = _set_direct(file, True)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            taken = min(len(view), DIRECT - self._filled)
            self._buffer[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]
            if self._filled == DIRECT:
                self._put()

    def finish(self) -> None:
        """Write the rest; the writer must not be used afterwards."""
        if self._direct:
            _set_direct(self._file, False)
        with memoryview(self._buffer) as view:
            write_all(self._file, view[: self._filled])
        self._buffer.close()

    def _put(self) -> None:
        with memoryview(self._buffer) as view:
            if self._direct and not self._written_directly(view):
                self._direct = False
                _set_direct(self._file, False)
            if not self._direct:
                write_all(self._file, view)
        self._filled = 0

    def _written_directly(self, view: memoryview) -> bool:
        try:
            written = self._file.write(view)
        except OSError as error:
            if error.errno != 22:  # EINVAL: this file system does not support it after all
                raise
            return False
        if written == DIRECT:
            return True
        _set_direct(self._file, False)
        self._direct = False
        write_all(self._file, view[written:])
        return True


def _set_direct(file: IO[bytes], on: bool) -> bool:
    if fcntl is None or not hasattr(os, "O_DIRECT"):
        return False
    try:
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except (OSError, TypeError):  # refused here, or not a file of the system
        return False
    return True


def _new_file(folder: Path) -> IO[bytes]:
    while True:
        name = folder / (_PREFIX + secrets.token_hex(12))
        file = open(name, "x+b", buffering=0, opener=_open_private)  # noqa: SIM115
        if fcntl is None:
            return file
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # swept in the meantime


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _abandoned(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False
