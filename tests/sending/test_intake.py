"""A refused message copies no file, and the files that it had added are removed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.sending.test_path import PNG
from yizhan.engine import Engine
from yizhan.errors import MediaFormat, MediaTooLarge, Refused, Unsupported
from yizhan.model import File, Image, Native, Segment, Sticker, Target, Video
from yizhan.platforms.adapter import Limit
from yizhan.platforms.kit.media_rules import MediaRule

ALICE = "fake.me/user/alice"


def no_copying(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    async def add(*args: Any) -> Any:
        raise AssertionError("a file was copied")

    monkeypatch.setattr(engine.library, "_add", add)


async def rule(monkeypatch: pytest.MonkeyPatch, engine: Engine, **limits: Any) -> None:
    """Give the account of the fake platform a rule for files."""

    def media_rule(segment: Segment, target: Target) -> MediaRule | None:
        return MediaRule("file", source="rules of the test", **limits)

    monkeypatch.setattr(await engine.adapter("fake.me"), "media_rule", media_rule)


async def stored(engine: Engine) -> set[str]:
    """Return the digests of all media in the index and in the blob store."""
    blobs = {blob.name async for blob in engine.library.blobs.all()}
    return await engine.library.index.digests() | blobs


async def test_a_kind_that_the_target_cannot_take_is_refused_before_its_file_is_copied(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    no_copying(monkeypatch, engine)

    with pytest.raises(Unsupported, match="cannot take a Sticker"):
        await engine.send(ALICE, Sticker(tmp_path / "cat.png"))


@pytest.mark.parametrize("as_bytes", [True, False])
async def test_a_file_over_the_platforms_size_is_refused_before_it_is_copied(
    as_bytes: bool, engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await rule(monkeypatch, engine, max_bytes=1000)
    (tmp_path / "large.bin").write_bytes(b"\1" * 1001)
    no_copying(monkeypatch, engine)

    with pytest.raises(MediaTooLarge, match="over the 1000 bytes that go as a file"):
        await engine.send(ALICE, File(b"\1" * 1001 if as_bytes else tmp_path / "large.bin"))


async def test_a_file_of_another_kind_than_its_segment_is_refused_before_it_is_copied(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    no_copying(monkeypatch, engine)

    with pytest.raises(MediaFormat, match="is wanted as video"):
        await engine.send(ALICE, Video(tmp_path / "cat.png"))


async def test_a_missing_file_and_an_empty_one_are_refused_before_another_file_is_copied(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    no_copying(monkeypatch, engine)

    with pytest.raises(MediaFormat, match="There is no file"):
        await engine.send(ALICE, Image(PNG), File(tmp_path / "missing"))
    with pytest.raises(MediaFormat, match=r"is empty \(0 bytes\)"):
        await engine.send(ALICE, Image(PNG), File(tmp_path / "empty"))


async def test_media_of_the_wrong_kind_are_not_added_to_the_library(engine: Engine) -> None:
    with pytest.raises(MediaFormat):
        await engine.library.add(PNG, kind="video")

    assert set() == await stored(engine)


async def test_media_taken_in_for_a_call_that_is_then_refused_are_removed(engine: Engine, network: Network) -> None:
    network.limits = lambda message, target: [Limit("one", "target", "all", 1)]

    with pytest.raises(Unsupported):
        await engine.send(ALICE, Image(PNG), File(b"other"))
    with pytest.raises(Unsupported):
        await engine.plan(ALICE, File(b"another"), Native("call", {}))

    assert set() == await stored(engine)


async def test_media_that_the_library_had_before_a_refused_call_stay(engine: Engine, network: Network) -> None:
    network.limits = lambda message, target: [Limit("one", "target", "all", 1)]
    media = await engine.library.add(PNG)

    with pytest.raises(Unsupported):
        await engine.send(ALICE, Image(PNG), "text")

    assert {media.sha256} == await stored(engine)


async def test_media_that_another_call_used_meanwhile_stay(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance = engine.supervisor.acceptance
    compose_all = acceptance._compose_all

    async def slowly(*args: Any) -> Any:
        monkeypatch.setattr(acceptance, "_compose_all", compose_all)
        await engine.send(ALICE, Image(PNG))
        raise Refused("no")

    monkeypatch.setattr(acceptance, "_compose_all", slowly)
    with pytest.raises(Refused):
        await engine.send(ALICE, Image(PNG))

    assert 1 == len(await stored(engine))
    assert 1 == len(network.arrived)
