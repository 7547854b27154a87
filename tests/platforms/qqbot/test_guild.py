"""Guild channels, direct messages, stored images and buttons, from both ends."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.platforms.qqbot.support import (
    CHANNEL,
    GROUP,
    PNG,
    TO_CHANNEL,
    USER,
    adapter_for,
    bot_of,
    deliver,
    media_of,
    stop_clock,
)
from yizhan.errors import (
    ContentRefused,
    NotAllowed,
    OutcomeUnknown,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
)
from yizhan.model import BytesContent, Image, Message, Receipt, Reply, State, Target, Text


async def test_text_and_picture_arrive_in_one_message() -> None:
    async with bot_of() as (served, _):
        adapter = adapter_for(served)
        message_id = await served.server.say(USER, CHANNEL, text="hi")
        message = Message((Text("a < b"), Image(media_of(PNG))), Reply(message_id, 1))
        (sent,) = await deliver(adapter, message, TO_CHANNEL)
        await adapter.recall(sent, TO_CHANNEL, Receipt("1", "", State.SENT))

        post = served.world.posts[-1]
        assert ("image", "a < b", True) == (post.kind, post.text, post.recalled)
        assert sent.id.startswith("08")
        assert post.blob is not None
        assert PNG == post.blob.read()
        await adapter.close()


async def test_a_direct_message_goes_to_the_guild_id_of_its_conversation() -> None:
    async with bot_of() as (served, bot):
        dm = await bot.dms.create(USER, "1")
        sent = await bot.dms.post_message(dm.guild_id, content="hi", file_image=PNG)
        await bot.dms.delete_message(dm.guild_id, sent.id)

        (post,) = served.world.posts
        assert ("dm", dm.guild_id, "image", True) == (post.target_kind, post.target, post.kind, post.recalled)
        assert dm.create_time.isdigit()
        adapter = adapter_for(served)
        await deliver(adapter, Message((Text("again"),)), Target("qqbot.main", "dm", dm.guild_id))
        assert "again" == served.world.posts[-1].text
        await adapter.close()


async def test_active_messages_to_a_channel_count_by_second_and_day_and_answers_do_not() -> None:
    async with bot_of() as (served, bot):
        stop_clock(served)
        message_id = await served.server.say(USER, CHANNEL, text="hi")
        for _ in range(5):
            await bot.channels.post_message(CHANNEL, content="a")
        with pytest.raises(Throttled, match="304050"):
            await bot.channels.post_message(CHANNEL, content="a")
        for _ in range(15):
            served.world.clock.advance(1.1)
            await bot.channels.post_message(CHANNEL, content="a")
        served.world.clock.advance(1.1)
        with pytest.raises(Throttled, match="304045"):
            await bot.channels.post_message(CHANNEL, content="a")
        await bot.channels.post_message(CHANNEL, content="a", msg_id=message_id)
        served.world.clock.advance(300)

        with pytest.raises(WindowClosed, match="304027"):
            await bot.channels.post_message(CHANNEL, content="a", msg_id=message_id)


async def test_only_two_active_direct_messages_a_day_are_allowed() -> None:
    async with bot_of() as (_, bot):
        dm = await bot.dms.create(USER, "1")
        for _ in range(2):
            await bot.dms.post_message(dm.guild_id, content="a")

        with pytest.raises(Throttled, match="304049"):
            await bot.dms.post_message(dm.guild_id, content="a")


async def test_a_message_held_for_review_is_neither_sent_nor_failed() -> None:
    async with bot_of(rules={"guild.audit": True}) as (served, bot):
        with pytest.raises(OutcomeUnknown, match="304023") as caught:
            await bot.channels.post_message(CHANNEL, content="a")

        assert caught.value.fault is not None
        assert {"audit_id"} == caught.value.fault.data["message_audit"].keys()
        assert [] == served.world.posts


@pytest.mark.parametrize(("passes", "event"), [(True, "MESSAGE_AUDIT_PASS"), (False, "MESSAGE_AUDIT_REJECT")])
async def test_a_review_ends_with_an_event_and_only_a_passed_message_is_shown(passes: bool, event: str) -> None:
    async with bot_of(rules={"guild.audit": True, "guild.audit_passes": passes}) as (served, _):
        stop_clock(served)
        adapter = adapter_for(served)
        stream = adapter.events()
        heard = asyncio.ensure_future(anext(stream))
        with pytest.raises(OutcomeUnknown, match="304023") as caught:
            await deliver(adapter, Message((Text("a"), Image(media_of(PNG)))), TO_CHANNEL)
        assert [] == served.world.posts
        async with asyncio.timeout(30):
            while not heard.done():
                served.world.clock.advance(0.5)
                await asyncio.sleep(0.005)
        told = heard.result().raw

        assert event == told["t"]
        assert f"under review as {told['d']['audit_id']}" in str(caught.value)
        assert [told["d"].get("message_id")] * passes == [post.message_id for post in served.world.posts]
        assert CHANNEL == told["d"]["channel_id"]
        assert told["d"]["create_time"] < told["d"]["audit_time"]
        await stream.aclose()  # type: ignore[attr-defined]
        await adapter.close()


async def test_a_test_may_end_a_review() -> None:
    async with bot_of(rules={"guild.audit": True, "guild.audit_seconds": 3600.0}) as (served, bot):
        message_id = await served.server.say(USER, CHANNEL, text="hi")
        with pytest.raises(OutcomeUnknown, match="304024"):
            await bot.channels.post_message(CHANNEL, content="a", msg_id=message_id)
        audits = served.server.audits  # type: ignore[attr-defined]
        (audit_id,) = audits.held
        await audits.judge(audit_id, passes=True)
        with pytest.raises(LookupError):
            await audits.judge(audit_id, passes=True)

        assert "a" == served.world.posts[-1].text


async def test_a_bot_without_a_socket_cannot_send_to_channels_where_the_rule_requires_one() -> None:
    async with bot_of(rules={"guild.needs_gateway": True}) as (_, bot):
        with pytest.raises(Unavailable, match="304018"):
            await bot.channels.post_message(CHANNEL, content="a")


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"image": "https://example.com/a.png"}, ContentRefused, 304003),
        ({"file_image": b"not a picture"}, ContentRefused, 304010),
        ({"file_image": PNG + bytes(3000)}, ContentRefused, 304020),
        ({"content": ""}, Rejected, 50006),
        ({"content": "a", "msg_id": "nope"}, Rejected, 304026),
    ],
)
async def test_a_channel_refuses_segments_that_it_cannot_carry(
    fields: dict[str, Any], error: type[Exception], code: int
) -> None:
    async with bot_of(rules={"guild.image_max_bytes": 2000}) as (_, bot):
        with pytest.raises(error, match=str(code)):
            await bot.channels.post_message(CHANNEL, **fields)


async def test_an_event_of_another_place_is_not_answered_in_a_channel() -> None:
    async with bot_of() as (served, bot):
        elsewhere = await served.server.event_source.relate("FRIEND_ADD", USER)  # type: ignore[attr-defined]
        await served.server.say(USER, CHANNEL, text="hi")
        here = list(served.server.event_source.events)[-1]  # type: ignore[attr-defined]
        await bot.channels.post_message(CHANNEL, content="a", event_id=here)

        with pytest.raises(Rejected, match="304026"):
            await bot.channels.post_message(CHANNEL, content="a", event_id=elsewhere)


async def test_a_group_is_no_channel() -> None:
    async with bot_of() as (_, bot):
        with pytest.raises(TargetGone, match="频道不存在"):
            await bot.channels.post_message(GROUP, content="a")


async def test_recall_in_a_channel_has_its_own_codes() -> None:
    async with bot_of() as (served, bot):
        said = await served.server.say(USER, CHANNEL, text="hi")
        sent = await bot.channels.post_message(CHANNEL, content="a")
        with pytest.raises(NotAllowed, match="306004"):
            await bot.channels.delete_message(CHANNEL, said)
        with pytest.raises(Rejected, match="306002"):
            await bot.channels.delete_message(CHANNEL, "08nothing", hidetip=True)
        served.world.clock.advance(121)
        with pytest.raises(Rejected, match="306011"):
            await bot.channels.delete_message(CHANNEL, sent.id)


async def test_a_stored_image_is_listed_and_deleted() -> None:
    async with bot_of() as (_, bot):
        md5 = hashlib.md5(PNG).hexdigest()
        url = await bot.media_images.upload(BytesContent(PNG), file_name="a.png", content_type="image/png", md5=md5)
        listed = await bot.media_images.list()
        await bot.media_images.delete(listed.images[0].image_id)

        assert url.startswith("qqbot-media://image/v1/")
        assert (1, url) == (listed.total, listed.images[0].url)
        assert 0 == (await bot.media_images.list()).total
        with pytest.raises(Rejected, match="40035008"):
            await bot.media_images.delete(listed.images[0].image_id)


async def test_every_use_renews_the_life_of_a_stored_image() -> None:
    async with bot_of(rules={"images.ttl_seconds": 1000}) as (served, bot):
        md5 = hashlib.md5(PNG).hexdigest()
        url = await bot.media_images.upload(BytesContent(PNG), file_name="a.png", content_type="image/png", md5=md5)
        markdown = {"content": f"![a #1px #1px]({url})", "force_verify_image_resource": True}
        for _ in range(3):
            served.world.clock.advance(900)
            await bot.group.post_message(GROUP, markdown=markdown)
        served.world.clock.advance(1001)

        with pytest.raises(ContentRefused, match="40034141"):
            await bot.group.post_message(GROUP, markdown=markdown)
        assert 0 == (await bot.media_images.list()).total
        await bot.group.post_message(GROUP, markdown={"content": markdown["content"]})


async def test_force_verify_image_resource_fails_a_send_whose_picture_cannot_be_fetched() -> None:
    async with bot_of() as (served, bot):
        file_id = served.server.files.offer(await served.world.blobs.add(PNG))  # type: ignore[attr-defined]
        here, nowhere = f"![a]({served.url}/qqmedia/{file_id})", "![a](http://127.0.0.1:1/a.png)"
        await bot.c2c.post_message(USER, markdown={"content": here, "force_verify_image_resource": True})
        await bot.c2c.post_message(USER, markdown={"content": nowhere})

        with pytest.raises(ContentRefused, match="40034141"):
            await bot.c2c.post_message(USER, markdown={"content": here + nowhere, "force_verify_image_resource": True})


async def test_the_number_of_stored_images_is_limited() -> None:
    async with bot_of(rules={"images.count": 1}) as (_, bot):
        fields = {"file_name": "a.png", "content_type": "image/png", "md5": hashlib.md5(PNG).hexdigest()}
        await bot.media_images.upload(BytesContent(PNG), **fields)

        with pytest.raises(Rejected, match="40035007"):
            await bot.media_images.upload(BytesContent(PNG), **fields)


async def test_a_pressed_button_is_answered_once() -> None:
    async with bot_of() as (served, bot):
        interaction = await served.server.event_source.press(USER, GROUP, button_id="b1")  # type: ignore[attr-defined]
        await bot.answer_interaction(interaction, 0)

        with pytest.raises(Rejected, match="630003"):
            await bot.answer_interaction(interaction, 0)
        with pytest.raises(Rejected, match="630001"):
            await bot.answer_interaction(interaction, 9)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", "[图]", "{"])
async def test_a_caption_that_looks_like_json_stays_text(text: str) -> None:
    async with bot_of() as (served, bot):
        await bot.channels.post_message(CHANNEL, content=text, file_image=PNG)

        assert text == served.world.posts[-1].text
