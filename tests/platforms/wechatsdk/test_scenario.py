"""The document's own story: receive a file, download it, upload it once, send it to many."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platforms.wechatsdk.support import adapter_of, listening, media_of, send
from tests.support import serve
from yizhan.model import BytesContent, File, Forward, Message, Target
from yizhan.platforms.wechatsdk import PLATFORM

PLAN = b"yizhan test plan\n" + bytes(range(256)) * 60


@pytest.mark.parametrize("transport", ["websocket", "http", "tcp"])
async def test_a_received_file_is_downloaded_uploaded_once_and_sent_to_200_people(transport: str) -> None:
    async with serve(PLATFORM) as served, adapter_of(served, events=transport) as adapter, listening(adapter) as events:
        people = served.server.people("user", 200)
        blob = await served.world.blobs.add(PLAN)
        said = await served.server.say("wxid_alice", "bot", media=blob, kind="file", name="计划 plan.txt")

        event = await anext(events)
        assert event.message is not None
        (forward,) = event.message.segments
        assert isinstance(forward, Forward)
        data = b"".join([chunk async for chunk in adapter.open_reference(forward.reference)])
        file = File(media_of(data, name=forward.name), forward.name)
        handles: dict[Any, Any] = {"content": BytesContent(data)}
        ids = [
            await send(adapter, Message((file,)), Target("wechatsdk.main", "user", person), handles)
            for person in people
        ]

        assert (said, "计划 plan.txt", PLAN) == (event.id, forward.name, data)
        assert 1 == served.calls("cdn_upload")
        assert 200 == served.calls("forward_file") == len(set(ids))
        posts = list(served.world.select(platform="wechatsdk", call="forward_file"))
        assert people == [post.target for post in posts]
        assert {("计划 plan.txt", blob.sha256)} == {(p.name, p.blob.sha256) for p in posts if p.blob}
        assert [] == list(adapter.folder.root.iterdir())


@pytest.mark.parametrize("kind", ["file", "image", "video"])
async def test_a_received_message_is_sent_on_without_download_or_upload(kind: Any) -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        blob = await served.world.blobs.add(PLAN)
        await served.server.say("wxid_bob", "10001@chatroom", media=blob, kind=kind, name="a.bin")

        event = await anext(events)
        assert event.message is not None
        await send(adapter, event.message, Target("wechatsdk.main", "user", "wxid_alice"), {})

        (post,) = served.world.select(platform="wechatsdk", target="wxid_alice")
        assert (kind, blob.sha256) == (post.kind, post.blob and post.blob.sha256)
        assert 0 == served.calls("cdn_upload") + served.calls("cdn_download")
