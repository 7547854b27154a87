"""A video's cover on iLink: only where the rules ask for it, under the same key; the video goes without one, too."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image as Pillow

from tests.end_to_end.conftest import QUICK
from tests.media.support import film
from yizhan.engine import Engine
from yizhan.model import State, Video
from yizhan.testing import RunningSandbox


async def send(sandbox: RunningSandbox, folder: Path, **rules: object) -> dict[str, object]:
    """Send a video and return the item that the platform got."""
    engine = await Engine.open(folder / "store", clock=sandbox.clock, policy=QUICK)
    try:
        await engine.add_account("ilink.main", base_url=sandbox.url, rules=rules)
        await engine.login("ilink.main", lambda step: None)
        adapter = await engine.adapter("ilink.main")
        person = adapter.calls.session.user_id  # type: ignore[attr-defined]
        receipt = await engine.send(f"ilink.main/user/{person}", Video(film(size=(160, 90)), "a.mp4"))
    finally:
        await engine.close()
    assert State.SENT is receipt.state
    (request,) = sandbox.requests("sendmessage", platform="ilink")
    item: dict[str, object] = request.body["msg"]["item_list"][0]["video_item"]
    return item


async def test_a_video_goes_without_a_cover_as_the_official_client_sends_it(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    item = await send(sandbox, tmp_path)

    assert {"media", "video_size"} == set(item)
    assert 1 == sandbox.calls("cdn_upload", platform="ilink")


async def test_a_cover_is_sent_with_the_video_where_the_rules_ask_for_it(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    item = await send(sandbox, tmp_path, **{"video.cover_side": 80})
    pictures = [blob.read() for blob in sandbox.world.blobs._known.values() if blob.head(3) == b"\xff\xd8\xff"]

    assert (80, 45) == (item["thumb_width"], item["thumb_height"])
    assert item["thumb_media"]["aes_key"] == item["media"]["aes_key"]  # type: ignore[index]
    assert 2 == sandbox.calls("cdn_upload", platform="ilink")
    assert [(80, 45)] == [Pillow.open(io.BytesIO(picture)).size for picture in pictures]


async def test_a_cover_without_an_upload_address_is_left_out(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yizhan.platforms.ilink.client.calls import Calls

    plain = Calls.get_upload_url

    async def without(self: Calls, request: object) -> object:
        place = await plain(self, request)  # type: ignore[arg-type]
        place.thumb_upload_param = place.thumb_upload_full_url = None
        return place

    monkeypatch.setattr(Calls, "get_upload_url", without)
    item = await send(sandbox, tmp_path, **{"video.cover_side": 80})

    assert {"media", "video_size"} == set(item)
