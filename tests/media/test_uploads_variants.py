"""What a need asks to be made first is made, placed, and known by what it was made of."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.end_to_end.accounts import QQ_USER, add_accounts
from tests.end_to_end.conftest import QUICK
from tests.media.support import picture
from yizhan.engine import Engine
from yizhan.model import Content, Handle, Image, Target, read_all
from yizhan.platforms.adapter import MediaNeed
from yizhan.testing import RunningSandbox

TARGET = Target("qqbot.main", "user", "someone")


class Placing:
    """The part of an adapter that uploads."""

    def __init__(self) -> None:
        self.asked: list[tuple[MediaNeed, bytes]] = []

    async def upload(self, need: MediaNeed, content: Content, target: Target, progress: Any = None) -> Handle:
        self.asked.append((need, await read_all(content)))
        return Handle(f"h{len(self.asked)}", need.scope)


@pytest.fixture
async def engine(tmp_path: Path) -> Any:
    engine = await Engine.open(tmp_path / "store", policy=QUICK)
    yield engine
    await engine.close()


async def test_the_adapter_is_given_the_variant_and_its_measures(engine: Engine) -> None:
    media = await engine.upload(picture("PNG", (400, 300)), "a.png")
    need = MediaNeed(media, "user", "cover", recipe="thumb;side=40")
    adapter: Any = Placing()

    handles = [await engine.handles.place("qqbot.main", need, TARGET, adapter) for _ in range(3)]
    ((given, data),) = adapter.asked

    assert {"h1"} == {handle.token for handle in handles}
    assert ("jpeg", 40, 30, len(data)) == (given.media.format, given.media.width, given.media.height, given.media.size)
    assert (40, 30) == Pillow.open(io.BytesIO(data)).size
    (row,) = await engine.handles.rows("qqbot.main")
    assert (media.sha256, "thumb;side=40") == (row["sha256"], row["recipe"])


async def test_the_same_media_as_they_are_and_made_into_something_are_two_uploads(engine: Engine) -> None:
    media = await engine.upload(picture("PNG", (400, 300)), "a.png")
    adapter: Any = Placing()

    for recipe in ("", "thumb;side=40", ""):
        await engine.handles.place("qqbot.main", MediaNeed(media, "user", "x", recipe=recipe), TARGET, adapter)

    assert 2 == len(adapter.asked)
    assert [media.sha256, True] == [adapter.asked[0][0].media.sha256, adapter.asked[1][0].media.format == "jpeg"]


async def test_an_upload_made_beforehand_is_sent_later(sandbox: RunningSandbox, engine: Engine) -> None:
    await add_accounts(engine, sandbox, ("qqbot",))
    taken: list[int] = []
    target = f"qqbot.main/user/{QQ_USER}"

    media = await engine.upload(picture("TIFF", (400, 300)), "a.tif", to=target, progress=taken.append)
    await engine.send(target, Image(media))

    assert media.size == sum(taken)
    assert 1 == sandbox.calls("uploadToUser")
    (post,) = sandbox.posts(target)
    assert post.blob is not None
    assert b"\xff\xd8\xff" == post.blob.head(3) or b"\x89PNG" == post.blob.head(4)
