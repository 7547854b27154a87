"""Bytes that change or vanish in the store: they never leave as if they were whole."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.support import library_in
from yizhan.errors import MediaDamaged
from yizhan.media.library import Library
from yizhan.media.variants import Variants
from yizhan.model import Media, Slice, read_all

DATA = random.Random(7).randbytes(3_500_000)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_in(tmp_path)


def blob_of(library: Library, media: Media) -> Path:
    return Path(library.blobs.folder) / media.sha256[:2] / media.sha256  # type: ignore[attr-defined]


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"EVIL")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "changed": overwrite,
    "truncated": lambda path: os.truncate(path, 1000),
    "emptied": lambda path: os.truncate(path, 0),
    "grown": lambda path: path.open("ab").write(b"x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_bytes_are_never_read_to_their_end(library: Library, damage: str) -> None:
    media = await library.add(DATA, "报告.bin")
    DAMAGES[damage](blob_of(library, media))

    came: list[bytes] = []

    async def read() -> None:
        async for chunk in library.open(media).chunks():
            came.append(chunk)

    with pytest.raises(MediaDamaged, match=r"报告\.bin .*add the file again"):
        await read()

    assert sum(map(len, came)) < len(DATA)
    assert "" != await library.verify(media.sha256)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_not_one_part_of_damaged_bytes_is_read(library: Library, damage: str) -> None:
    media = await library.add(DATA, "a.bin")
    content = library.open(media)
    assert DATA[100:200] == await read_all(content, 100, 200)
    DAMAGES[damage](blob_of(library, media))

    with pytest.raises(MediaDamaged, match=r"a\.bin"):
        await read_all(Slice(library.open(media), 0, 500_000))


async def test_sound_bytes_are_read_whole_and_in_part(library: Library, tmp_path: Path) -> None:
    media = await library.add(DATA)
    again = library_in(tmp_path)

    assert DATA == await read_all(again.open(media.sha256))
    assert DATA[3_000_000:] == await read_all(again.open(media.sha256), 3_000_000)
    assert b"" == await read_all(Slice(again.open(media.sha256), 5, 5))


async def test_adding_the_file_again_replaces_damaged_bytes(library: Library) -> None:
    media = await library.add(DATA, "a.bin")
    overwrite(blob_of(library, media))

    await library.add(DATA, "a.bin")

    assert DATA == await read_all(library.open(media))
    assert "" == await library.verify(media.sha256)


async def test_nothing_is_converted_from_damaged_bytes(library: Library) -> None:
    media = await library.add(DATA, "a.bin")
    overwrite(blob_of(library, media))
    variants = Variants(library)

    with pytest.raises(MediaDamaged, match=r"a\.bin"):
        await variants.variant(media, "image;formats=jpeg")
    await variants.close()
