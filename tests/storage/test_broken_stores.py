"""Stores that are broken, full, unreadable or not to be written: every one is an error in words, with a remedy."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from yizhan.cli import main
from yizhan.engine import Engine
from yizhan.errors import StorageError
from yizhan.storage import sqlite as sqlite_module
from yizhan.storage.ledger import Ledger
from yizhan.storage.vault import Vault

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that also another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="yizhan-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Be a user without the rights of root, where the tests run as root."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        yield
        os.seteuid(0)
    else:
        yield


async def make_store(store: Path) -> None:
    async with await Engine.open(store, sending=False) as engine:
        await engine.add_account("ilink.me")


def readable_only(store: Path) -> None:
    for path in (store, *store.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture
async def read_only_store(folder: Path) -> Path:
    await make_store(folder / "store")
    readable_only(folder / "store")
    return folder / "store"


async def test_a_store_that_can_only_be_read_is_listed(read_only_store: Path, as_nobody: None) -> None:
    async with await Engine.open(read_only_store, sending=False) as engine:
        assert [] == await engine.records.receipts()
        assert ["ilink.me"] == list(await engine.accounts())


async def test_a_write_to_a_store_that_can_only_be_read_is_refused_in_words(
    read_only_store: Path, as_nobody: None
) -> None:
    async with await Engine.open(read_only_store, sending=False) as engine:
        with pytest.raises(StorageError, match=r"yizhan\.db .*Give this user the right to write"):
            await engine.supervisor.outbox.bump_revision()


async def test_a_store_that_can_only_be_read_is_not_opened_for_sending(read_only_store: Path, as_nobody: None) -> None:
    with pytest.raises(StorageError, match=r"worker\.lock.*sending=False"):
        await Engine.open(read_only_store)


async def test_a_folder_that_cannot_be_written_is_no_place_for_a_new_store(folder: Path, as_nobody: None) -> None:
    folder_of_another = folder
    with pytest.raises(StorageError, match=r"Permission denied.*Give this user the right"):
        await Ledger.open(folder_of_another / "a.db")


async def test_a_full_disk_is_named_when_a_store_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_module.SqliteDriver, "connect", full)
    monkeypatch.setattr(sqlite_module.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))  # type: ignore[attr-defined]

    with pytest.raises(StorageError, match=r"a\.db cannot be opened: disk I/O error\. The disk is full: make room"):
        await Ledger.open(tmp_path / "a.db")


@pytest.mark.parametrize("damage", ["state = 'asleep'", "ids = '[{'", "ids = X'00'", "ids = '[7]'", "notes = X'00'"])
async def test_a_damaged_delivery_is_named_with_the_store_and_the_remedy(tmp_path: Path, damage: str) -> None:
    store = tmp_path / "store"
    async with await Engine.open(store, sending=False) as engine:
        await engine.contacts.put("@nobody", "qqbot.main/user/x")
    with sqlite3.connect(store / "yizhan.db") as connection:
        connection.execute(
            "INSERT INTO deliveries (seq, message, broadcast, account, kind, target, priority, state, created_at)"
            " VALUES (7, 7, 7, 'fake.me', 'user', 'a', 10, 'queued', 1)"
        )
        connection.execute(f"UPDATE deliveries SET {damage}")
    connection.close()

    async with await Engine.open(store, sending=False) as engine:
        with pytest.raises(StorageError, match=r"yizhan\.db is damaged: delivery d7 cannot be read.*Restore a copy"):
            await engine.records.receipts()


@pytest.mark.parametrize("value", [b"", b"short", b"x" * 40])
def test_a_damaged_secret_is_refused(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(StorageError, match="cannot be decrypted"):
        Vault.open(tmp_path / "key").unlock(value, "account a")


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YIZHAN_KEY", raising=False)
    (tmp_path / "key").mkdir()

    with pytest.raises(StorageError, match=r"key, cannot be used: Is a directory"):
        Vault.open(tmp_path / "key")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        ("UPDATE schema_revision SET revision = 9999", "Use a newer yizhan"),
        ("DELETE FROM schema_revision", "is damaged"),
        (None, "is missing"),
    ],
    ids=["newer", "damaged", "no key"],
)
def test_the_doctor_diagnoses_a_store_that_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, break_it: str | None, said: str
) -> None:
    import asyncio

    monkeypatch.delenv("YIZHAN_KEY", raising=False)
    store = tmp_path / "store"
    asyncio.run(make_store(store))
    if break_it is None:
        (store / "key").unlink()
    else:
        with sqlite3.connect(store / "yizhan.db") as connection:
            connection.execute(break_it)
        connection.close()

    assert 1 == main(["doctor", "--store", str(store), "--json"])

    assert said in capsys.readouterr().out


async def test_a_new_store_is_for_its_owner_alone_with_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with await Engine.open(tmp_path / "store", sending=False) as engine:
            await engine.upload(b"some words", name="a.txt")
            files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
            modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    finally:
        os.umask(before)

    assert 0o700 == (tmp_path / "store").stat().st_mode & 0o777
    assert {0o600} == set(modes.values()), modes
