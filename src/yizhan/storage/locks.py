"""A lock on a file, between the processes that share a store; the system lets go of it however a process ends."""

from __future__ import annotations

import os
from pathlib import Path


class FileLock:
    """Made on a path that need not exist yet; without a path it is always held."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._handle: int | None = None
        self.held = file is None

    def take(self) -> bool:
        """Take the lock if nobody has it; returns whether it is held now."""
        if self.held or self._file is None:
            return True
        import fcntl

        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle, self.held = handle, True
        return True

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            self.held = False
