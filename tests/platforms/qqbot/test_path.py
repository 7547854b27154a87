"""The QQ bot's two ends over a socket: upload once, send to many, answers, recall."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.platforms.qqbot.support import (
    GROUP,
    PNG,
    TO_CHANNEL,
    TO_GROUP,
    TO_USER,
    USER,
    adapter_for,
    deliver,
    media_of,
)
from tests.support import Served, serve
from yizhan.errors import Duplicate, HandleExpired, Rejected, WindowClosed
from yizhan.model import BytesContent, File, Image, Message, Receipt, Reply, SendKey, State, Target, Text
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Adapter


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(PLATFORM) as served:
        yield served


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[Adapter]:
    adapter = adapter_for(served)
    yield adapter
    await adapter.close()


async def test_text_arrives(served: Served, adapter: Adapter) -> None:
    (sent,) = await deliver(adapter, Message((Text("你好"),)), TO_USER)

    (post,) = served.world.posts
    assert (sent.id, "你好", USER, "sendToUser") == (post.message_id, post.text, post.target, post.call)
    assert sent.extra["ref_idx"].startswith("REFIDX_")


async def test_one_upload_serves_many_groups_but_no_user(served: Served, adapter: Adapter) -> None:
    groups = [Target("qqbot.main", "group", openid) for openid in served.server.people("group", 5)]
    message = Message((Image(media_of(PNG)),))
    (part,) = adapter.compose(message, groups[0])
    handles = {part.needs[0]: await adapter.upload(part.needs[0], BytesContent(PNG), groups[0])}

    for group in groups:
        (part,) = adapter.compose(message, group)
        await adapter.send(part, handles, group, SendKey(1, 1), message)

    assert 1 == served.calls("uploadToGroup")
    assert [PNG] * 5 == [post.blob.read() for post in served.world.posts if post.blob]
    (to_user,) = adapter.compose(message, TO_USER)
    wrong = {to_user.needs[0]: next(iter(handles.values()))}
    with pytest.raises(HandleExpired):
        await adapter.send(to_user, wrong, TO_USER, SendKey(1, 1), message)


async def test_a_caption_travels_with_the_picture(served: Served, adapter: Adapter) -> None:
    await deliver(adapter, Message((Text("看"), Image(media_of(PNG)))), TO_USER)

    (post,) = served.world.posts
    assert ("image", "看", PNG) == (post.kind, post.text, post.blob.read() if post.blob else b"")


async def test_a_large_file_goes_in_chunks_and_keeps_its_name(served: Served, adapter: Adapter) -> None:
    data = bytes(range(256)) * 4 * 11_000
    message = Message((File(media_of(data, "file", "", "报告 1.bin")),))

    await deliver(adapter, message, TO_GROUP, data)

    (post,) = served.world.posts
    assert ("file", "报告 1.bin", data) == (post.kind, post.name, post.blob.read() if post.blob else b"")
    assert (1, 3, 3, 1) == tuple(
        served.calls(name) for name in ("prepareForGroup", "putPart", "finishPartForGroup", "uploadToGroup")
    )


async def test_a_repeated_answer_is_a_duplicate(served: Served, adapter: Adapter) -> None:
    message_id = await served.server.say(USER, "bot", text="hi")
    answer = Message((Text("ho"),), Reply(message_id, served.world.now()))
    await deliver(adapter, answer, TO_USER, number=1)

    with pytest.raises(Duplicate):
        await deliver(adapter, answer, TO_USER, number=1)


async def test_the_window_of_an_answer_closes_by_the_clock_of_the_world(served: Served, adapter: Adapter) -> None:
    message_id = await served.server.say(USER, GROUP, text="hi")
    answer = Message((Text("ho"),), Reply(message_id, served.world.now()))
    await deliver(adapter, answer, TO_GROUP, number=1)
    served.world.clock.advance(301)

    with pytest.raises(WindowClosed):
        await deliver(adapter, answer, TO_GROUP, number=2)


async def test_recall_ends_after_two_minutes(served: Served, adapter: Adapter) -> None:
    receipt = Receipt("1", str(TO_USER), State.SENT)
    (first,) = await deliver(adapter, Message((Text("a"),)), TO_USER)
    (second,) = await deliver(adapter, Message((Text("b"),)), TO_USER)
    await adapter.recall(first, TO_USER, receipt)
    served.world.clock.advance(121)

    with pytest.raises(Rejected, match="40064004"):
        await adapter.recall(second, TO_USER, receipt)
    assert [True, False] == [post.recalled for post in served.world.posts]


async def test_a_channel_takes_text_and_picture_in_one_message(served: Served, adapter: Adapter) -> None:
    await deliver(adapter, Message((Text("a < b & c"), Image(media_of(PNG)))), TO_CHANNEL)

    (post,) = served.world.posts
    assert ("image", "a < b & c", PNG) == (post.kind, post.text, post.blob.read() if post.blob else b"")
