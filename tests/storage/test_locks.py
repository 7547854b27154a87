"""The lock between processes that share a store."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from yizhan.errors import StorageError
from yizhan.storage.locks import FileLock


def test_a_lock_that_another_holder_has_is_not_taken(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert [True, False] == [first.take(), second.take()]
    first.release()
    assert second.take()
    second.release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.EINTR])
def test_a_file_system_without_locks_is_an_error_and_not_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = FileLock(tmp_path / "lock")

    with pytest.raises(StorageError, match=r"lock cannot be locked: .*Move the store to a local disk"):
        lock.take()
    assert not lock.held


def test_a_lock_file_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/lock cannot be opened: No such file"):
        FileLock(tmp_path / "nowhere" / "lock").take()
