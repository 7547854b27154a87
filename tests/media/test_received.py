"""Received media: fetched again after failures that pass, and refused when they are not as announced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.media.support import library_in, picture
from yizhan.errors import HandleExpired, NotAsAnnounced, Unavailable
from yizhan.media import received
from yizhan.media.library import Library
from yizhan.media.received import ATTEMPTS, Announced, receive
from yizhan.model import Forward

PNG = picture("PNG", (60, 60))
ERROR_PAGE = json.dumps({"retcode": -5503007, "retmsg": "download url has expired"}).encode()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(received, "FIRST_DELAY", 0.001)
    return library_in(tmp_path)


class Server:
    """Answers one fetch after the other; an exception is raised after half of the last good bytes."""

    def __init__(self, answers: Sequence[bytes | Exception]) -> None:
        self._answers = list(answers)
        self.fetched = 0

    async def fetch(self) -> AsyncIterator[bytes]:
        self.fetched += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            yield PNG[:50]
            raise answer
        yield answer


@pytest.mark.parametrize("error", [Unavailable("502"), Unavailable("reset")])
async def test_a_failure_that_passes_is_tried_again(library: Library, error: Exception) -> None:
    server = Server([error, error, PNG])

    media = await receive(library, server.fetch, Announced(), name="a.png")

    assert (hashlib.sha256(PNG).hexdigest(), "a.png", 3) == (media.sha256, media.name, server.fetched)


async def test_a_failure_that_stays_is_raised_after_some_attempts(library: Library) -> None:
    server = Server([Unavailable("502")])

    with pytest.raises(Unavailable):
        await receive(library, server.fetch, Announced())

    assert ATTEMPTS == server.fetched


async def test_a_refusal_is_not_tried_again(library: Library) -> None:
    server = Server([HandleExpired("gone")])

    with pytest.raises(HandleExpired):
        await receive(library, server.fetch, Announced())

    assert 1 == server.fetched


NOT_AS_ANNOUNCED = [
    (ERROR_PAGE, Announced(kind="image"), "txt, and not the image"),
    (ERROR_PAGE, Announced(kind="voice"), "txt, and not the voice"),
    (b"<!DOCTYPE html><html>expired</html>", Announced(kind="video"), "html, and not the video"),
    (ERROR_PAGE, Announced(383495, kind="image"), "383495 were announced"),
    (PNG[:80], Announced(len(PNG), kind="image"), f"80 bytes came, {len(PNG)} were announced"),
    (PNG + b"x", Announced(len(PNG)), "were announced"),
    (PNG, Announced(md5="0" * 32, kind="file"), "MD5"),
]


@pytest.mark.parametrize(("data", "announced", "says"), NOT_AS_ANNOUNCED)
async def test_other_bytes_than_announced_are_refused_and_not_kept(
    library: Library, data: bytes, announced: Announced, says: str
) -> None:
    server = Server([data])

    with pytest.raises(NotAsAnnounced, match=says):
        await receive(library, server.fetch, announced, name="p.png")

    assert [] == [blob async for blob in library.blobs.all()]
    assert [] == list(await library.index.all())


async def test_other_bytes_that_pass_are_fetched_again(library: Library) -> None:
    server = Server([ERROR_PAGE, PNG[:80], PNG])

    media = await receive(library, server.fetch, Announced(len(PNG), kind="image"))

    assert ("png", 3) == (media.format, server.fetched)


@pytest.mark.parametrize(
    ("data", "announced"),
    [
        (PNG, Announced(len(PNG), hashlib.md5(PNG).hexdigest(), "image")),
        (b"wxgf\x00\x01unknown", Announced(kind="image")),
        (ERROR_PAGE, Announced(len(ERROR_PAGE), kind="file")),
        (PNG, Announced(kind="video")),
    ],
)
async def test_bytes_as_announced_are_kept(library: Library, data: bytes, announced: Announced) -> None:
    media = await receive(library, Server([data]).fetch, announced)

    assert len(data) == media.size


@pytest.mark.parametrize(
    ("forward", "announced"),
    [
        (Forward("image", {"size": 5, "content_type": "image/png"}), Announced(5, kind="image")),
        (Forward("image", {"size": 5, "md5": "a"}), Announced(kind="image")),
        (Forward("sticker", {"size": 5}), Announced(kind="image")),
        (Forward("file", {"size": "7", "md5": "AB" * 16}), Announced(7, "ab" * 16, "file")),
        (Forward("file", {"file_size": "8"}), Announced(8, kind="file")),
        (Forward("file", {"size": None, "md5": None}), Announced(kind="file")),
        (Forward("file", {"size": "many", "md5": 5}), Announced(md5="5", kind="file")),
    ],
)
def test_a_reference_announces_binding_values(forward: Forward, announced: Announced) -> None:
    assert announced == Announced.by(forward)
