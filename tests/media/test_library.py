"""Taking media in: any source, one pass, nothing half stored."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.media import support as make
from tests.media.support import HandClock, MemoryIndex, files_in, library_in, stream
from yizhan.errors import MediaFormat, MediaTooLarge, Refused, StorageError
from yizhan.media.blobs import open_blobs
from yizhan.media.index import SqlMediaIndex
from yizhan.media.library import Library
from yizhan.model import BytesContent, Media, read_all
from yizhan.storage.ledger import Ledger

PNG = make.picture("PNG")
LARGE = os.urandom(1 << 20) * 9 + b"end"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_in(tmp_path)


def sources(data: bytes, folder: Path) -> list[tuple[str, Any]]:
    path = folder / "图 1.png"
    path.write_bytes(data)
    return [
        ("str path", str(path)),
        ("path", path),
        ("bytes", data),
        ("bytearray", bytearray(data)),
        ("memoryview", memoryview(data)),
        ("file object", path.open("rb")),
        ("memory file", io.BytesIO(data)),
        ("stream", stream(data[:1], data[1:7], data[7:])),
        ("content", BytesContent(data)),
    ]


@pytest.mark.parametrize("data", [PNG, LARGE], ids=["small", "large"])
async def test_every_kind_of_source_gives_the_same_media(library: Library, tmp_path: Path, data: bytes) -> None:
    for what, source in sources(data, tmp_path):
        media = await library.add(source)

        assert hashlib.sha256(data).hexdigest() == media.sha256, what
        assert (hashlib.md5(data).hexdigest(), zlib.crc32(data), len(data)) == (media.md5, media.crc32, media.size)
        assert data == await read_all(library.open(media)), what

    assert 1 == len(await library.index.all())
    assert 1 == len(files_in(tmp_path / "media"))


async def test_the_name_is_that_of_the_file_unless_another_is_given(library: Library, tmp_path: Path) -> None:
    (tmp_path / "报告 🚀.png").write_bytes(PNG)

    assert "报告 🚀.png" == (await library.add(tmp_path / "报告 🚀.png")).name
    assert "x.png" == (await library.add(tmp_path / "报告 🚀.png", name="../x.png")).name
    assert "" == (await library.add(PNG)).name


async def test_kind_and_measures_come_from_the_content_not_the_name(library: Library, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PNG)
    media = await library.add(tmp_path / "photo.jpg")

    assert ("image", "png", "image/png", 64, 48) == (media.kind, media.format, media.mime, media.width, media.height)


async def test_anything_may_be_wanted_as_a_file(library: Library) -> None:
    assert "file" == (await library.add(PNG, kind="file")).kind
    assert "image" == (await library.add(PNG)).kind


async def test_bytes_of_another_kind_than_wanted_are_refused_with_the_remedy(library: Library) -> None:
    with pytest.raises(MediaFormat, match=r"wanted as video, but its content is png \(image\)\. Give an MP4"):
        await library.add(PNG, kind="video")


async def test_media_in_the_library_can_be_added_again(library: Library) -> None:
    media = await library.add(PNG, name="a.png")

    assert media == await library.add(media)
    assert "b.png" == (await library.add(media, name="b.png")).name
    with pytest.raises(Refused, match="holds no media"):
        await library.add(make.changed(media, sha256="0" * 64))


async def test_progress_adds_up_to_the_size(library: Library) -> None:
    steps: list[int] = []
    await library.add(LARGE, progress=steps.append)

    assert len(LARGE) == sum(steps)


def bad_sources(folder: Path) -> list[tuple[str, Any, str]]:
    (folder / "empty").write_bytes(b"")
    (folder / "dir").mkdir()
    (folder / "report.pdf").write_bytes(b"%PDF-1.7")
    os.mkfifo(folder / "pipe")
    closed = io.BytesIO(b"x")
    closed.close()
    return [
        ("empty file", folder / "empty", "empty"),
        ("empty bytes", b"", "empty"),
        ("empty stream", stream(), "empty"),
        ("folder", folder / "dir", "is a folder"),
        ("missing", folder / "nothing.png", "no file"),
        ("misspelt", folder / "reprot.pdf", "did you mean report.pdf"),
        ("missing folder", folder / "no" / "nothing.png", "does not exist either"),
        ("pipe", folder / "pipe", "not a regular file"),
        ("null byte", "a\0b", "cannot be opened"),
        ("too long", "x" * 5000, "cannot be opened"),
        ("text file", io.StringIO("text"), "binary mode"),
        ("text stream", stream("text"), "binary mode"),  # type: ignore[arg-type]
        ("closed", closed, "cannot be read"),
        ("number", 7, "cannot be read from int"),
        ("none", None, "cannot be read from NoneType"),
    ]


async def test_unreadable_sources_are_refused_with_cause_and_nothing_stored(library: Library, tmp_path: Path) -> None:
    for what, source, words in bad_sources(tmp_path):
        with pytest.raises(MediaFormat, match=words):
            await library.add(source)
        assert [] == files_in(tmp_path / "media"), what

    assert [] == await library.index.all()


async def test_a_file_that_may_not_be_read_is_refused(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"x")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MediaFormat, match="may not be read"):
        await library.add(tmp_path / "secret")


async def test_more_bytes_than_the_library_takes_are_refused_as_they_come(tmp_path: Path) -> None:
    library = library_in(tmp_path, max_bytes=5 << 20)
    asked = 0

    async def endless():  # type: ignore[no-untyped-def]
        nonlocal asked
        while True:
            asked += 1
            yield bytes(1 << 20)

    with pytest.raises(MediaTooLarge, match=str(5 << 20)):
        await library.add(endless())

    assert asked <= 6
    assert [] == files_in(tmp_path / "media")


@pytest.mark.parametrize("size", [10, 12 << 20])
async def test_a_stream_that_breaks_leaves_nothing(library: Library, tmp_path: Path, size: int) -> None:
    async def broken():  # type: ignore[no-untyped-def]
        yield bytes(size)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await library.add(broken())

    assert [] == files_in(tmp_path / "media")


async def test_a_cancelled_intake_leaves_nothing(library: Library, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def slow():  # type: ignore[no-untyped-def]
        for _ in range(8):
            yield bytes(1 << 20)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(library.add(slow()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [] == files_in(tmp_path / "media")


class _FullDisk(MemoryIndex):
    async def add(self, media: Media, at: float) -> None:
        raise StorageError("the store refused a write")


async def test_an_index_that_refuses_leaves_no_bytes_behind(tmp_path: Path) -> None:
    library = Library(open_blobs(tmp_path / "media"), _FullDisk(), HandClock())
    with pytest.raises(StorageError):
        await library.add(PNG)

    assert [] == files_in(tmp_path / "media")


async def test_a_full_disk_is_an_error_and_nothing_is_stored(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("yizhan.media.blobs.os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        await library.add(PNG)

    assert [] == files_in(tmp_path / "media")


async def test_the_same_bytes_at_once_are_kept_once(library: Library, tmp_path: Path) -> None:
    found = await asyncio.gather(*(library.add(stream(LARGE), name=f"{i}.bin") for i in range(5)))

    assert 1 == len({media.sha256 for media in found})
    assert [f"{i}.bin" for i in range(5)] == [media.name for media in found]
    assert 1 == len(files_in(tmp_path / "media"))


async def test_lost_bytes_come_back_when_the_file_is_added_again(library: Library) -> None:
    media = await library.add(PNG)
    await library.blobs.delete(media.sha256)
    await library.add(PNG)

    assert PNG == await read_all(library.open(media.sha256))


async def test_verify_tells_changed_and_missing_bytes(library: Library, tmp_path: Path) -> None:
    media = await library.add(PNG)
    assert "" == await library.verify(media.sha256)

    (file,) = files_in(tmp_path / "media")
    file.write_bytes(b"changed")
    assert "have changed" in await library.verify(media.sha256)

    file.unlink()
    assert "holds no" in await library.verify(media.sha256)


async def test_the_index_in_the_store_keeps_media_across_a_restart(tmp_path: Path) -> None:
    clock = HandClock()
    for _ in range(2):
        ledger = await Ledger.open(tmp_path / "yizhan.db")
        library = Library(open_blobs(tmp_path / "media"), SqlMediaIndex(ledger), clock)
        media = await library.add(PNG, name="a.png")
        clock.at += 100

        assert media == await library.get(media.sha256)
        await ledger.close()

    ledger = await Ledger.open(tmp_path / "yizhan.db")
    (held,) = await SqlMediaIndex(ledger).all()
    await ledger.close()

    assert (1_000_000.0, 1_000_100.0, 0) == (held.added_at, held.used_at, held.needed)


async def test_an_unknown_digest_is_refused(library: Library) -> None:
    with pytest.raises(Refused, match="holds no media"):
        await library.get("0" * 64)


async def test_two_nodes_that_add_the_same_medium_at_once_both_find_it(tmp_path: Path) -> None:
    ledgers = [await Ledger.open(tmp_path / "yizhan.db") for _ in range(2)]
    libraries = [Library(open_blobs(tmp_path / "media"), SqlMediaIndex(ledger), HandClock()) for ledger in ledgers]

    first, second = await asyncio.gather(*(library.add(PNG) for library in libraries))

    assert first == second
    await libraries[1].index.add(first, 2_000_000.0)
    (row,) = await libraries[0].index.all()
    assert 2_000_000.0 == row.used_at
    for ledger in ledgers:
        await ledger.close()
