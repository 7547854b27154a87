"""The key beside the store."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from yizhan.engine import Engine
from yizhan.errors import ConfigError, StorageError
from yizhan.storage.vault import KEY_VARIABLE, Vault


def test_concurrent_first_opens_make_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with ThreadPoolExecutor(16) as pool:
        vaults = list(pool.map(lambda _: Vault.open(tmp_path / "key"), range(64)))

    locked = vaults[0].lock(b"secret", "what")

    assert {b"secret"} == {vault.unlock(locked, "what") for vault in vaults}
    assert ["key"] == [file.name for file in tmp_path.iterdir()]
    assert 0o600 == stat.S_IMODE((tmp_path / "key").stat().st_mode)


def test_a_malformed_key_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    (tmp_path / "key").write_text("nonsense!")

    with pytest.raises(ConfigError, match="does not hold a key"):
        Vault.open(tmp_path / "key")


async def test_a_store_with_a_missing_key_is_refused_and_gets_no_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    async with await Engine.open(tmp_path / "store"):
        pass
    key = (tmp_path / "store" / "key").rename(tmp_path / "elsewhere")

    with pytest.raises(StorageError, match=r"is missing.* Restore the file or set YIZHAN_KEY"):
        await Engine.open(tmp_path / "store")

    assert not (tmp_path / "store" / "key").exists()
    monkeypatch.setenv(KEY_VARIABLE, key.read_text())
    async with await Engine.open(tmp_path / "store"):
        pass
