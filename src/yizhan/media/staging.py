"""Files that are still being written: found again after a crash, and written past the page cache where that is quicker.

Large media are written once and seldom read at once. Written directly they do not push what is in use out of the
system's cache, and there is nothing left to flush at the end.
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
except ImportError:  # not on this system: what a crash leaves in the staging folder then waits for a person
    fcntl = None

DIRECT = 2 << 20
"""Bytes of one direct write; what is shorter than a few of these is written in the ordinary way."""
_PREFIX = "new-"


@contextmanager
def staged(folder: Path) -> Iterator[IO[bytes]]:
    """Open a new file in `folder` for writing; removed at the end unless it was moved away.

    It stays locked while it is open, so that `sweep` in another process can tell it from what a crash left.
    """
    file = _new_file(folder)
    try:
        yield file
    finally:
        file.close()
        with suppress(FileNotFoundError):
            os.unlink(file.name)


def sweep(folder: Path) -> int:
    """Remove unfinished files whose writer is gone; returns how many."""
    return sum(_abandoned(path) for path in folder.glob(_PREFIX + "*")) if fcntl else 0


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write every byte to an unbuffered file.

    Raises:
        OSError: the system's own, such as a full disk.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class DirectWriter:
    """Writes a long run of bytes to an unbuffered file, past the page cache where system and file system allow it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # Direct writes take their bytes from memory at a page boundary; a map of nothing is at one.
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
        """Write the rest. The writer is not used after."""
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
            if error.errno != 22:  # EINVAL: this file system does not do it after all
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
    except (OSError, TypeError):  # refused here, or no file of the system's at all
        return False
    return True


def _new_file(folder: Path) -> IO[bytes]:
    while True:
        file = open(folder / (_PREFIX + secrets.token_hex(12)), "x+b", buffering=0)  # noqa: SIM115
        if fcntl is None:
            return file
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # a sweep came between


def _abandoned(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False
