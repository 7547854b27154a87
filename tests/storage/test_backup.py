"""Backup and restore: the same store again, and refusals that leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest

from yizhan.engine import Engine
from yizhan.errors import ConfigError, StorageError
from yizhan.storage import backup as module
from yizhan.storage import migrations
from yizhan.storage.backup import restore_backup, write_backup
from yizhan.storage.sealed import seal, unseal

TARGET = "qqbot.main/user/A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("YIZHAN_KEY", raising=False)
    folder = tmp_path / "store"
    async with await Engine.open(folder, sending=False) as engine:
        await engine.add_account("qqbot.main", app_id="1", secret="very secret", receive="off")
        await engine.upload(b"some bytes", "notes.txt")
        await engine.submit(TARGET, "hello")
    return folder


async def state_of(folder: Path) -> tuple[int, list[str], list[str]]:
    """Return the deliveries, accounts and media of a store."""
    async with await Engine.open(folder, sending=False) as engine:
        counts = await engine.records.counts()
        media = [one.media.name for one in await engine.library.index.all()]
        for entry in await engine.library.index.all():
            assert not await engine.library.verify(entry.media.sha256)
        return sum(counts.values()), list(await engine.accounts()), media


def left_beside(store: Path) -> list[str]:
    return sorted(path.name for path in store.parent.iterdir())


async def test_a_restored_store_is_the_one_that_was_backed_up(store: Path, tmp_path: Path) -> None:
    made = write_backup(store, tmp_path / "b.tar", passphrase="open sesame")
    found = restore_backup(tmp_path / "b.tar", tmp_path / "again", passphrase="open sesame")

    assert made == found
    assert (1, ["qqbot.main"], ["notes.txt"]) == await state_of(tmp_path / "again")
    assert 0o600 == (tmp_path / "again" / "key").stat().st_mode & 0o777
    assert ["again", "b.tar", "store"] == left_beside(store)


async def test_without_a_passphrase_the_key_is_kept_apart(store: Path, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.tar")
    restore_backup(tmp_path / "b.tar", tmp_path / "again")

    assert not (tmp_path / "again" / "key").exists()
    assert (store / "key").read_bytes() not in (tmp_path / "b.tar").read_bytes()
    with pytest.raises(StorageError, match="is missing"):
        await state_of(tmp_path / "again")
    (tmp_path / "again" / "key").write_bytes((store / "key").read_bytes())
    assert (1, ["qqbot.main"], ["notes.txt"]) == await state_of(tmp_path / "again")


async def test_a_sealed_key_does_not_stand_in_the_file(store: Path, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.tar", passphrase="open sesame")

    assert (store / "key").read_bytes() not in (tmp_path / "b.tar").read_bytes()
    assert 0o600 == (tmp_path / "b.tar").stat().st_mode & 0o777


async def test_a_backup_is_consistent_while_another_connection_writes(store: Path, tmp_path: Path) -> None:
    ended, began = threading.Event(), threading.Event()

    def write() -> None:
        # Two rows in each transaction: a torn copy would hold an odd number of them.
        connection = sqlite3.connect(store / "yizhan.db", timeout=30, isolation_level=None)
        number = 0
        while not ended.is_set():
            number += 1
            connection.execute("BEGIN IMMEDIATE")
            for half in "ab":
                connection.execute("INSERT INTO counters (name, value) VALUES (?, 1)", (f"pair {number} {half}",))
            connection.execute("COMMIT")
            began.set()
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    began.wait()
    try:
        await asyncio.to_thread(write_backup, store, tmp_path / "b.tar", passphrase="x")
    finally:
        ended.set()
        writer.join()
    restore_backup(tmp_path / "b.tar", tmp_path / "again", passphrase="x")

    copy = sqlite3.connect(tmp_path / "again" / "yizhan.db")
    (rows,) = copy.execute("SELECT count(*) FROM counters WHERE name LIKE 'pair %'").fetchone()
    assert ("ok",) == copy.execute("PRAGMA integrity_check").fetchone()
    assert rows > 0
    assert 0 == rows % 2
    copy.close()


async def test_a_backup_replaces_no_file_and_a_restore_no_folder(store: Path, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        write_backup(store, tmp_path / "b.tar")
    assert "mine" == (tmp_path / "b.tar").read_text()

    write_backup(store, tmp_path / "c.tar")
    with pytest.raises(ConfigError, match="is not empty"):
        restore_backup(tmp_path / "c.tar", store)


async def test_an_empty_folder_may_be_restored_into(store: Path, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.tar", passphrase="x")
    (tmp_path / "again").mkdir()

    restore_backup(tmp_path / "b.tar", tmp_path / "again", passphrase="x")

    assert (1, ["qqbot.main"], ["notes.txt"]) == await state_of(tmp_path / "again")


@pytest.mark.parametrize(
    ("passphrase", "expected"),
    [("", "is sealed. Give its passphrase"), ("wrong", "does not open the key")],
)
async def test_a_wrong_passphrase_restores_nothing(store: Path, tmp_path: Path, passphrase: str, expected: str) -> None:
    write_backup(store, tmp_path / "b.tar", passphrase="right")

    with pytest.raises(ConfigError, match=expected):
        restore_backup(tmp_path / "b.tar", tmp_path / "again", passphrase=passphrase)

    assert ["b.tar", "store"] == left_beside(store)


async def test_a_passphrase_for_a_backup_without_a_key_is_refused(store: Path, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.tar")

    with pytest.raises(ConfigError, match="holds no key"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again", passphrase="x")


@pytest.mark.parametrize("kept", [0, 100, 1024, 40_000, -11_000, -600])
async def test_a_file_that_was_cut_short_restores_nothing(store: Path, tmp_path: Path, kept: int) -> None:
    write_backup(store, tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    torn = whole[:kept] if kept >= 0 else whole[: whole.rindex(b"contents.json") + 600 + kept // 100]
    (tmp_path / "torn.tar").write_bytes(torn)

    with pytest.raises(StorageError, match=r"is damaged: .* Nothing was restored"):
        restore_backup(tmp_path / "torn.tar", tmp_path / "again")

    assert ["b.tar", "store", "torn.tar"] == left_beside(store)


async def test_a_changed_byte_is_noticed(store: Path, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(whole.replace(b"some bytes", b"some bytez"))

    with pytest.raises(StorageError, match=r"blobs/.* is missing or was changed"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again")


@pytest.mark.parametrize("name", ["../evil", "/evil", "blobs/../../evil", "worker.lock", "blobs/aa/../x"])
def test_a_member_that_no_store_has_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))

    with pytest.raises(StorageError, match="is no backup"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again")

    assert ["b.tar"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_link_in_a_backup_is_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        link = tarfile.TarInfo("yizhan.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)

    with pytest.raises(StorageError, match="is no backup"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again")


async def test_a_backup_of_a_newer_version_is_refused_in_words(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_backup(store, tmp_path / "b.tar")
    monkeypatch.setattr(migrations, "newest", lambda: 1)

    with pytest.raises(StorageError, match="was written by a newer version"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again")


async def test_a_full_disk_leaves_no_half_backup(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)

    with pytest.raises(StorageError, match=r"cannot be written: No space left on device\. Make room"):
        write_backup(store, tmp_path / "b.tar")
    assert ["store"] == left_beside(store)


async def test_a_full_disk_leaves_no_half_store(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_backup(store, tmp_path / "b.tar")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write_member", full)

    with pytest.raises(StorageError, match=r"cannot be written: No space left on device"):
        restore_backup(tmp_path / "b.tar", tmp_path / "again")
    assert ["b.tar", "store"] == left_beside(store)


def test_a_missing_store_or_backup_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to back up"):
        write_backup(tmp_path / "none", tmp_path / "b.tar")
    with pytest.raises(ConfigError, match="There is no backup"):
        restore_backup(tmp_path / "none.tar", tmp_path / "again")
    assert [] == os.listdir(tmp_path)


def test_sealed_values_open_with_their_passphrase_alone() -> None:
    sealed = seal(b"key", "密码")

    assert b"key" == unseal(sealed, "密码")
    for changed, words in (
        (sealed, "other"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), "密码"),
        (b"", "密码"),
        (sealed[:20], "密码"),
    ):
        with pytest.raises(ConfigError, match="does not open"):
            unseal(changed, words)
