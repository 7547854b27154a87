"""Keeping the library in order without ever dropping what somebody waits for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.media.support import HandClock, MemoryIndex, files_in, library_in
from yizhan.media.blobs import open_blobs
from yizhan.media.housekeeping import Housekeeping, Pruned
from yizhan.media.index import SqlMediaIndex
from yizhan.media.library import Library
from yizhan.model import Media, State, Variant, read_all
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

HOUR = 3600.0


@pytest.fixture(params=["memory", "store"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    if request.param == "memory":
        yield library_in(tmp_path)
        return
    ledger = await Ledger.open(tmp_path / "yizhan.db")
    yield Library(open_blobs(tmp_path / "media"), SqlMediaIndex(ledger), HandClock())
    await ledger.close()


async def filled(library: Library, count: int = 4, size: int = 100) -> list[Media]:
    """Media of equal size, the first one unused for the longest time."""
    found = []
    for number in range(count):
        found.append(await library.add(bytes([number]) * size, name=f"{number}.bin"))
        library.clock.at += 10 * HOUR  # type: ignore[attr-defined]
    return found


def names(pruned: Pruned) -> list[str]:
    return [media.name for media in pruned.media]


async def test_the_least_recently_used_go_until_the_quota_is_kept(library: Library, tmp_path: Path) -> None:
    media = await filled(library)
    await library.add(media[0])
    library.clock.at += 10 * HOUR  # type: ignore[attr-defined]
    pruned = await Housekeeping(library).prune(250)

    assert (["1.bin", "2.bin"], 200, 200) == (names(pruned), pruned.bytes_freed, pruned.bytes_left)
    assert await library.find(media[0].sha256)
    assert not await library.find(media[1].sha256)
    assert not await library.blobs.exists(media[1].sha256)
    assert 2 == len(files_in(tmp_path / "media"))


async def test_a_dry_run_says_the_same_and_drops_nothing(library: Library) -> None:
    await filled(library)
    would = await Housekeeping(library).prune(250, dry_run=True)

    assert 4 == len(await library.index.all())
    assert would == await Housekeeping(library).prune(250)


async def test_media_used_a_moment_ago_stay_even_above_the_quota(library: Library) -> None:
    media = await filled(library, 2)
    await library.add(media[0])
    await library.add(media[1])
    pruned = await Housekeeping(library).prune(0)

    assert ([], 200) == (names(pruned), pruned.bytes_left)


async def test_a_library_below_its_quota_is_left_alone(library: Library) -> None:
    await filled(library)

    assert Pruned((), 0, 400) == await Housekeeping(library).prune(400)


async def queue(library: Library, media: Media, state: State) -> None:
    """Store a delivery in `state` of a message with `media`."""
    assert isinstance(library.index, SqlMediaIndex)
    insert = Statement(
        "insert",
        sqlite="""
        INSERT INTO deliveries (seq, message, broadcast, account, kind, target, priority, state, created_at)
        VALUES (:seq, 1, 0, 'qqbot.main', 'user', 'X', 0, :state, 0)
        """,
    )
    message = Statement("message", sqlite="INSERT INTO messages (id, digest, body, created_at) VALUES (1, 'x', '', 0)")
    named = Statement("named", sqlite="INSERT INTO message_media (message, sha256) VALUES (1, :sha256)")

    def work(connection: Connection) -> None:
        connection.execute(message)
        connection.execute(named, {"sha256": media.sha256})
        for seq, stands in ((1, state), (2, state), (3, State.SENT)):
            connection.execute(insert, {"seq": seq, "state": stands.value})

    await library.index._ledger.write(work)


@pytest.mark.parametrize("library", ["store"], indirect=True)
@pytest.mark.parametrize("state", [State.QUEUED, State.HELD, State.SENDING, State.UNKNOWN])
async def test_media_of_an_open_delivery_and_their_variants_are_never_dropped(library: Library, state: State) -> None:
    media = await filled(library)
    await library.index.add_variant(media[0].sha256, "voice;format=silk", Variant(media[2]))
    await queue(library, media[0], state)
    pruned = await Housekeeping(library).prune(0)
    usage = await Housekeeping(library).usage()

    assert ["1.bin", "3.bin"] == names(pruned)
    assert [("0.bin", 2), ("2.bin", 2)] == [(one.media.name, one.needed) for one in await library.index.all()]
    assert (2, 200, 2, 200) == (usage.count, usage.bytes, usage.needed_count, usage.needed_bytes)
    assert bytes(100) == await read_all(library.open(media[0]))


@pytest.mark.parametrize("library", ["store"], indirect=True)
@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.EXPIRED, State.CANCELLED])
async def test_media_of_settled_deliveries_only_may_go(library: Library, state: State) -> None:
    media = await filled(library, 1)
    await queue(library, media[0], state)

    assert ["0.bin"] == names(await Housekeeping(library).prune(0))


async def test_a_variant_whose_bytes_are_gone_is_no_longer_known(library: Library) -> None:
    source, made = await filled(library, 2)
    await library.index.add_variant(source.sha256, "thumb;side=64", Variant(made, ("frames 3 → 1",)))
    assert Variant(made, ("frames 3 → 1",)) == await library.index.variant(source.sha256, "thumb;side=64")

    await library.add(source)
    await Housekeeping(library).prune(150)
    assert None is await library.index.variant(source.sha256, "thumb;side=64")


async def test_use_between_looking_and_dropping_saves_media(tmp_path: Path) -> None:
    class Late(MemoryIndex):
        async def all(self):  # type: ignore[no-untyped-def]
            rows = [type(row)(**vars(row)) for row in await super().all()]
            for row in self.rows.values():
                row.used_at = clock.now()
            return rows

    clock = HandClock()
    library = Library(open_blobs(tmp_path), Late(), clock)
    media = await library.add(b"x")
    clock.at += 10 * HOUR

    assert () == (await Housekeeping(library).prune(0)).media
    assert b"x" == await read_all(library.open(media))


async def test_verify_names_changed_missing_and_stray_bytes(library: Library, tmp_path: Path) -> None:
    media = await filled(library, 3)
    path = tmp_path / "media" / media[0].sha256[:2] / media[0].sha256
    path.write_bytes(b"changed")
    (tmp_path / "media" / media[1].sha256[:2] / media[1].sha256).unlink()
    stray = tmp_path / "media" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    os.utime(stray, (1, 1))
    problems = {problem.name: problem.what async for problem in Housekeeping(library).verify()}

    assert {"0.bin", "1.bin", ""} == set(problems)
    assert "have changed" in problems["0.bin"]
    assert "holds no" in problems["1.bin"]
    assert "no entry" in problems[""]


async def test_tidying_removes_strays_and_unfinished_files_and_nothing_else(library: Library, tmp_path: Path) -> None:
    media = await filled(library, 2)
    old, fresh = (tmp_path / "media" / two / (two * 32) for two in ("ab", "cd"))
    for stray in (old, fresh):
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
    os.utime(old, (1, 1))
    (tmp_path / "media" / "incoming" / "new-left").write_bytes(b"half")
    for one in media:
        os.utime(tmp_path / "media" / one.sha256[:2] / one.sha256, (1, 1))

    assert 2 == await Housekeeping(library).tidy()
    assert fresh.exists()
    assert [100, 100] == [library.open(one).size for one in media]
