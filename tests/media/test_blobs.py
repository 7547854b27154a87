"""The blob store: a folder, and anything obstore knows."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media.support import files_in, stream
from yizhan.errors import ConfigError, StorageError
from yizhan.media import staging
from yizhan.media.blobs import Blobs, open_blobs
from yizhan.media.staging import DIRECT, DirectWriter, staged, sweep
from yizhan.model import read_all

DATA = bytes(range(256)) * 10_000
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "memory", "file url"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    where = {"folder": str(tmp_path / "b"), "memory": "memory:///", "file url": f"file://{tmp_path}/a%20b"}
    return open_blobs(where[request.param], staging=tmp_path / "staging")


async def put(blobs: Blobs, data: bytes = DATA) -> str:
    name = hashlib.sha256(data).hexdigest()
    await blobs.put(name, stream(data[:1000], data[1000:]))
    return name


async def test_stored_bytes_are_read_back_whole_and_by_range(blobs: Blobs) -> None:
    await put(blobs)
    content = blobs.open(NAME)

    assert len(DATA) == content.size
    assert DATA == await read_all(content)
    assert DATA[5:1_500_000] == await read_all(content, 5, 1_500_000)
    assert DATA[-10:] == await read_all(content, len(DATA) - 10, len(DATA) + 50)
    assert b"" == await read_all(content, 7, 7)
    async with blobs.local(NAME) as path:
        assert DATA == path.read_bytes()


async def test_pieces_are_at_most_a_mebibyte(blobs: Blobs) -> None:
    await put(blobs)

    assert [1 << 20, 1 << 20, len(DATA) - (2 << 20)] == [len(piece) async for piece in blobs.open(NAME).chunks()]


async def test_a_kept_file_moves_in_and_leaves_nothing_behind(blobs: Blobs) -> None:
    with staged(blobs.staging) as file:
        file.write(DATA)
        await blobs.keep(Path(file.name), NAME)

    assert await blobs.exists(NAME)
    assert [] == list(blobs.staging.iterdir())
    assert [(NAME, len(DATA))] == [(stored.name, stored.size) async for stored in blobs.all()]


async def test_keeping_the_same_bytes_twice_keeps_them_once(blobs: Blobs) -> None:
    await asyncio.gather(put(blobs), put(blobs), put(blobs))

    assert [NAME] == [stored.name async for stored in blobs.all()]


async def test_deleting_a_missing_blob_is_no_error(blobs: Blobs) -> None:
    await put(blobs)
    await blobs.delete(NAME)
    await blobs.delete(NAME)

    assert not await blobs.exists(NAME)
    with pytest.raises(StorageError, match="holds no"):
        await read_all(blobs.open(NAME))


async def test_a_stream_that_breaks_stores_nothing(blobs: Blobs) -> None:
    async def broken():  # type: ignore[no-untyped-def]
        yield DATA
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await blobs.put(NAME, broken())

    assert not await blobs.exists(NAME)
    assert [] == list(blobs.staging.iterdir())


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "ABCDEF0123", "a/b", "x" * 64])
async def test_only_digests_are_names(blobs: Blobs, name: str) -> None:
    with pytest.raises(StorageError, match="not a digest"):
        blobs.open(name)


async def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    blobs = open_blobs(tmp_path)
    await put(blobs)
    content = blobs.open(NAME)
    os.truncate(tmp_path / NAME[:2] / NAME, 1000)

    with pytest.raises(StorageError, match="shorter"):
        await read_all(content)


def test_an_unknown_scheme_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        open_blobs("nosuch://bucket/x")


def test_a_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigError, match="cannot be made"):
        open_blobs(tmp_path / "file" / "media")


CRASH = """
import os, sys
from pathlib import Path
from yizhan.media.staging import staged
with staged(Path(sys.argv[1])) as file:
    file.write(b"half")
    print("written", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_files_of_a_killed_process_are_swept_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], check=False, stdout=subprocess.DEVNULL)
    with staged(tmp_path) as living:
        assert 2 == len(files_in(tmp_path))

        assert 1 == sweep(tmp_path)
        assert [Path(living.name)] == files_in(tmp_path)


@pytest.mark.parametrize("size", [0, 1, DIRECT - 1, DIRECT, DIRECT + 1, 3 * DIRECT + 4097])
@pytest.mark.parametrize("chunk", [1 << 16, DIRECT, DIRECT + 13])
@pytest.mark.parametrize("refuses", [False, True])
def test_written_past_the_cache_or_not_the_bytes_are_the_same(
    tmp_path: Path, size: int, chunk: int, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if refuses:
        monkeypatch.setattr(staging, "_set_direct", lambda _file, _on: False)
    data = (DATA * 4)[:size]
    with staged(tmp_path) as file:
        writer = DirectWriter(file)
        for at in range(0, size, chunk):
            writer.write(data[at : at + chunk])
        writer.finish()

        assert data == Path(file.name).read_bytes()


def test_a_file_system_that_takes_no_direct_writes_is_written_in_the_ordinary_way(tmp_path: Path) -> None:
    class Refusing:
        def __init__(self) -> None:
            self.data = bytearray()
            self.refused = 0

        def write(self, view: memoryview) -> int:
            if not self.refused:
                self.refused += 1
                raise OSError(22, "Invalid argument")
            self.data += view
            return len(view)

    file = Refusing()
    writer = DirectWriter(file)  # type: ignore[arg-type]
    writer._direct = True
    data = (DATA * 2)[: DIRECT + 5]
    writer.write(data)
    writer.finish()

    assert (1, data) == (file.refused, bytes(file.data))
