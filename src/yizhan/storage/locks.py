"""A lock on a file, between the processes that share a store; the system frees it however a process ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from yizhan.errors import StorageError

_HELD_ELSEWHERE = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})


class FileLock:
    """Made on a path that need not exist yet; without a path it is always held."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._handle: int | None = None
        self.held = file is None

    def take(self) -> bool:
        """Take the lock if no other process has it; return whether it is held now.

        Raises:
            StorageError: the file cannot be made, or its file system has no locks.
        """
        if self.held or self._file is None:
            return True
        import fcntl

        try:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(
                f"{self._file} cannot be opened: {error.strerror}. It decides which process sends: give this user the "
                "right to write to its folder, make room on its disk, or open the store with sending=False to look."
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in _HELD_ELSEWHERE:
                return False
            raise StorageError(
                f"{self._file} cannot be locked: {error.strerror}. Without the lock two processes could send the same "
                "delivery. Move the store to a local disk, or to a file system that supports flock."
            ) from error
        self._handle, self.held = handle, True
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self.held = False
