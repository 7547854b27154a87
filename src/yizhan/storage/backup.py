"""Backups of a store: one tar file with the database, the media, and the key if it is sealed with a passphrase.

The database is copied by SQLite's own backup, page by page, while other processes write; media are named by their
digest and never change, so they are copied afterwards. The last member lists every other one with its size and SHA-256:
a file that was cut short has no such list, and one that was changed does not fit it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from yizhan.errors import ConfigError, StorageError
from yizhan.storage import migrations
from yizhan.storage.sealed import seal, unseal
from yizhan.storage.sqlite import SqliteDriver

DATABASE, KEY, BLOBS = "yizhan.db", "key", "blobs"
SEALED_KEY, CONTENTS = "key.sealed", "contents.json"
FORM = 1
"""The form of the file; a later one is refused in words."""
PAGES = 256
"""Pages copied in one step, so that other processes write in between."""
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Backup:
    """The contents of a backup."""

    revision: int
    """Of the database."""
    made_at: float
    media: int
    bytes: int
    """Of all members together."""
    has_key: bool


def write_backup(store: Path, file: Path, *, passphrase: str = "") -> Backup:
    """Copy the store to `file`, which appears whole or not at all; with a passphrase its key goes along, sealed.

    Raises:
        ConfigError: `file` exists, or there is no store.
        StorageError: the store cannot be read, or the file cannot be written.
    """
    if not (store / DATABASE).exists():
        raise ConfigError(f"There is no store at {store.absolute()}, so there is nothing to back up.")
    if file.exists():
        raise ConfigError(f"{file} exists already, and backups replace nothing. Name another file.")
    key = _key_of(store) if passphrase else b""
    with _appearing(file) as draft, _Writer(draft) as writer:
        copy = draft.with_name(draft.name + ".db")
        try:
            revision = _copy_database(store / DATABASE, copy)
            writer.add(DATABASE, copy)
        finally:
            copy.unlink(missing_ok=True)
        media = 0
        for blob in _blobs(store):
            # Media that were pruned since the copy of the database are no longer there, and not needed.
            with suppress(FileNotFoundError):
                writer.add(blob.relative_to(store).as_posix(), blob)
                media += 1
        if key:
            writer.add_bytes(SEALED_KEY, seal(key, passphrase))
        return writer.finish(revision, media)


def restore_backup(file: Path, store: Path, *, passphrase: str = "") -> Backup:
    """Make the store of a backup in the folder `store`, which appears whole or not at all.

    Without a passphrase the key is not restored: it must be put into the store, or be given by YIZHAN_KEY.

    Raises:
        ConfigError: the folder is not empty, or the passphrase is missing or wrong.
        StorageError: the file is damaged or from a newer version, or the store cannot be written.
    """
    if store.exists() and (not store.is_dir() or any(store.iterdir())):
        raise ConfigError(f"{store.absolute()} is not empty, and restoring replaces nothing. Name a new folder.")
    draft = store.with_name(f".{store.name}.restoring-{os.getpid()}")
    try:
        draft.mkdir(parents=True, mode=0o700)
        contents = _extract(file, draft)
        _open_key(draft, passphrase, contents.has_key)
        _sync_all(draft)
        if store.exists():
            store.rmdir()
        draft.rename(store)
        _sync(store.parent)
    except OSError as error:
        raise _refused(f"{store.absolute()} cannot be written", error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return contents


# --- writing ---


class _Writer:
    """A tar file that remembers the size and digest of each member."""

    def __init__(self, file: Path) -> None:
        self._tar = tarfile.open(file, "w")  # noqa: SIM115 - closed at the end of the block
        self._members: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        # After a full disk it cannot be ended in good order, and the draft is removed anyway.
        with suppress(OSError):
            self._tar.close()

    def add(self, name: str, path: Path) -> None:
        with path.open("rb") as source:
            self._add(name, source, os.fstat(source.fileno()).st_size)

    def add_bytes(self, name: str, value: bytes) -> None:
        self._add(name, io.BytesIO(value), len(value))

    def finish(self, revision: int, media: int) -> Backup:
        total = sum(member["size"] for member in self._members.values())
        head = {"form": FORM, "revision": revision, "made_at": time.time(), "media": media}
        body = json.dumps({**head, "members": self._members}).encode()
        self._add(CONTENTS, io.BytesIO(body), len(body))
        self._tar.close()
        return Backup(revision, head["made_at"], media, total, SEALED_KEY in self._members)

    def _add(self, name: str, source: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, int(time.time())
        counted = _Counted(source)
        self._tar.addfile(member, counted)
        self._members[name] = {"size": size, "sha256": counted.digest.hexdigest()}


class _Counted(io.RawIOBase):
    """A stream that is digested while it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


@contextmanager
def _appearing(file: Path) -> Iterator[Path]:
    """Give a draft beside `file`, for this user alone, and rename it into place once it is on disk."""
    draft = file.with_name(f".{file.name}.writing-{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        _sync(draft)
        # A link, not a rename: a file that came into being meanwhile is not replaced.
        os.link(draft, file)
        _sync(file.absolute().parent)
    except FileExistsError as error:
        raise ConfigError(f"{file} exists already, and backups replace nothing. Name another file.") from error
    except OSError as error:
        raise _refused(f"{file} cannot be written", error) from error
    finally:
        draft.unlink(missing_ok=True)


def _copy_database(source: Path, copy: Path) -> int:
    """Copy a database that others may be writing; return its revision."""
    driver = SqliteDriver.open(source)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as target:
            # One read transaction: without it every commit of another process would begin the copy anew.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            live.backup(target, pages=PAGES, sleep=0)
            # One file, without a log beside it.
            target.execute("PRAGMA journal_mode = DELETE")
        with closing(SqliteDriver(copy).connect()) as connection:
            return migrations.revision(driver, connection)
    except sqlite3.Error as error:
        raise driver.storage_error("could not be copied", error) from error


def _key_of(store: Path) -> bytes:
    text = os.environ.get("YIZHAN_KEY")
    if text:
        return text.strip().encode()
    try:
        return (store / KEY).read_bytes()
    except OSError as error:
        raise StorageError(
            f"the key of this store, {store / KEY}, cannot be read: {error.strerror}. Set YIZHAN_KEY, or back up "
            "without a passphrase and keep the key apart."
        ) from error


def _blobs(store: Path) -> list[Path]:
    return sorted(path for path in (store / BLOBS).glob("[0-9a-f][0-9a-f]/*") if path.is_file())


# --- reading ---


def _extract(file: Path, folder: Path) -> Backup:
    """Write the members below `folder` and compare them with the list."""
    found: dict[str, dict[str, Any]] = {}
    contents: dict[str, Any] | None = None
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() else None
                if source is None:
                    raise ValueError(f"unexpected member {member.name}")
                if member.name == CONTENTS:
                    contents = json.loads(source.read())
                else:
                    found[member.name] = _write_member(folder, member, source)
    except FileNotFoundError as error:
        raise ConfigError(f"There is no backup {file.absolute()}. Name the file that yizhan backup wrote.") from error
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _damaged(file, "it is no backup, or was cut short") from error
    if contents is None:
        raise _damaged(file, "its end is missing")
    if contents.get("form", 0) > FORM or contents.get("revision", 0) > migrations.newest():
        raise StorageError(
            f"{file} was written by a newer version: form {contents.get('form')}, revision {contents.get('revision')}; "
            f"this program knows {FORM} and {migrations.newest()}. Restore it with a newer yizhan."
        )
    if wrong := sorted(
        name for name in {*contents["members"], *found} if contents["members"].get(name) != found.get(name)
    ):
        raise _damaged(file, f"{wrong[0]} is missing or was changed")
    total = sum(member["size"] for member in found.values())
    return Backup(contents["revision"], contents["made_at"], contents["media"], total, SEALED_KEY in found)


def _write_member(folder: Path, member: tarfile.TarInfo, source: IO[bytes]) -> dict[str, Any]:
    path = folder / member.name
    if not _is_ours(member.name):
        raise ValueError(f"unexpected member {member.name}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := source.read(PIECE):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
    return {"size": size, "sha256": digest.hexdigest()}


def _is_ours(name: str) -> bool:
    first, *rest = name.split("/")
    if first == BLOBS:
        return len(rest) == 2 and all(part.isalnum() for part in rest)
    return name in (DATABASE, SEALED_KEY)


def _open_key(folder: Path, passphrase: str, has_key: bool) -> None:
    sealed = folder / SEALED_KEY
    if passphrase and not has_key:
        raise ConfigError("This backup holds no key. Restore it without a passphrase, and bring the key yourself.")
    if not has_key:
        return
    if not passphrase:
        raise ConfigError("The key in this backup is sealed. Give its passphrase: --passphrase-file FILE.")
    key = unseal(sealed.read_bytes(), passphrase)
    with os.fdopen(os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(key)
    sealed.unlink()


def _damaged(file: Path, what: str) -> StorageError:
    return StorageError(f"{file} is damaged: {what}. Nothing was restored. Take another backup.")


# --- disk ---


def _refused(what: str, error: OSError) -> StorageError:
    return StorageError(f"{what}: {error.strerror or error}. Make room or change the rights, and try again.")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)
