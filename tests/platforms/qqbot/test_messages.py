"""Messages at the simulated QQ: answers and their windows, quotas by the world's clock, wake-ups, streams, recall."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.platforms.qqbot.support import GROUP, PNG, TO_USER, USER, adapter_for, bot_of, deliver, stop_clock
from tests.support import serve
from yizhan.errors import (
    ContentRefused,
    Duplicate,
    HandleExpired,
    NotAllowed,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.http.router import Exchange
from yizhan.model import Forward, Message, Native, Reply, SendKey, Target, Text
from yizhan.platforms.qqbot import PLATFORM, wire
from yizhan.platforms.qqbot.server.event_source import Answerable
from yizhan.platforms.qqbot.wire import SEND_TO_GROUP, faults
from yizhan.wire import Fault, FaultCode, HttpResponse


async def test_answers_are_distinguished_by_their_number() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, GROUP, text="hi")
        await bot.group.post_message(GROUP, content="a", msg_id=message_id, msg_seq=0)
        # No number is number 1: two answers without one collide.
        await bot.group.post_message(GROUP, content="b", msg_id=message_id)
        for more in ({}, {"msg_seq": 1}, {"msg_seq": 0}):
            with pytest.raises(Duplicate, match="消息被去重，请检查请求msgseq"):
                await bot.group.post_message(GROUP, content="c", msg_id=message_id, **more)  # type: ignore[arg-type]

        assert ["a", "b"] == [post.text for post in served.world.posts if post.call != "say"]


async def test_active_messages_with_equal_numbers_are_no_duplicates() -> None:
    async with bot_of() as (served, bot):
        for _ in range(3):
            await bot.c2c.post_message(USER, content="same", msg_seq=1)

        assert 3 == len(served.world.posts)


@pytest.mark.parametrize(
    ("scene", "target", "to", "count", "seconds"),
    [
        ("c2c", USER, "bot", 4, 3600),
        ("group", GROUP, GROUP, 5, 300),
    ],
)
async def test_the_number_and_time_of_answers_to_a_message_are_limited(
    scene: str, target: str, to: str, count: int, seconds: int
) -> None:
    async with bot_of() as (served, bot):
        calls = getattr(bot, scene)
        first, second = [await served.server.say(USER, to, text="hi") for _ in range(2)]
        for number in range(count):
            await calls.post_message(target, content="a", msg_id=first, msg_seq=number)
        with pytest.raises(WindowClosed, match="40034128"):
            await calls.post_message(target, content="a", msg_id=first, msg_seq=count)
        served.world.clock.advance(seconds - 1)
        await calls.post_message(target, content="a", msg_id=second, msg_seq=1)
        served.world.clock.advance(2)

        with pytest.raises(WindowClosed, match="40034005"):
            await calls.post_message(target, content="a", msg_id=second, msg_seq=2)


async def test_a_message_is_answered_only_in_its_own_conversation() -> None:
    async with bot_of() as (served, bot):
        in_group = await served.server.say(USER, GROUP, text="hi")
        other = served.server.people("group", 1)[0]

        for calls, target in ((bot.c2c, USER), (bot.group, other)):
            with pytest.raises(Rejected, match="请求参数msg_id无效或越权"):
                await calls.post_message(target, content="a", msg_id=in_group)


async def test_a_refused_message_uses_up_no_quota_and_no_number() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        for _ in range(6):
            with pytest.raises(Rejected):
                await bot.c2c.post_message(USER, content="", msg_id=message_id, msg_seq=1)
        await bot.c2c.post_message(USER, content="a", msg_id=message_id, msg_seq=1)

        assert 1 == sum(post.call == "sendToUser" for post in served.world.posts)


async def test_checks_are_made_in_the_platforms_order() -> None:
    """Target, mute, the answered message, its time, its number of answers, the sequence number, the content."""
    async with bot_of() as (served, bot):
        server, group = served.server, served.world.network("qq").group(GROUP)
        old = Answerable("GROUP_AT_MESSAGE_CREATE", "group", GROUP, served.world.now() - 301, 5, {1})
        full = Answerable("GROUP_AT_MESSAGE_CREATE", "group", GROUP, served.world.now(), 5, {1})
        used = Answerable("GROUP_AT_MESSAGE_CREATE", "group", GROUP, served.world.now(), 4, {1})
        server.event_source.messages.update(old=old, full=full, used=used)  # type: ignore[attr-defined]
        codes = []

        async def send(target: str, msg_id: str, content: str = "") -> None:
            with pytest.raises(Exception) as caught:
                await bot.group.post_message(target, content=content, msg_type=0, msg_id=msg_id, msg_seq=1)
            codes.append(caught.value.fault.row.code)  # type: ignore[attr-defined]

        await send("nobody", "unknown")
        group.muted = True
        await send(GROUP, "unknown")
        group.muted = False
        await send(GROUP, "unknown")
        await send(GROUP, "old")
        await send(GROUP, "full")
        await send(GROUP, "used")
        used.seqs.clear()
        await send(GROUP, "used")

        assert [40034101, 40054002, 40034024, 40034005, 40034128, 40054005, 50006] == codes


@pytest.mark.parametrize(
    ("event", "openid", "code"),
    [
        ("FRIEND_ADD", USER, 0),
        ("C2C_MSG_RECEIVE", USER, 0),
        ("C2C_MSG_REJECT", USER, 40034027),
        ("GROUP_ADD_ROBOT", GROUP, 0),
        ("GROUP_MSG_RECEIVE", GROUP, 0),
        ("GROUP_MSG_REJECT", GROUP, 40034027),
    ],
)
async def test_some_events_can_be_answered(event: str, openid: str, code: int) -> None:
    async with bot_of() as (served, bot):
        event_id = await served.server.event_source.relate(event, openid)  # type: ignore[attr-defined]
        calls = bot.c2c if openid == USER else bot.group
        if code:
            with pytest.raises(Rejected, match=str(code)):
                await calls.post_message(openid, content="welcome", event_id=event_id)
        else:
            await calls.post_message(openid, content="welcome", event_id=event_id)
            with pytest.raises(Duplicate):
                await calls.post_message(openid, content="welcome", event_id=event_id)
            served.world.clock.advance(3601)
            with pytest.raises(WindowClosed, match="40034026"):
                await calls.post_message(openid, content="welcome", event_id=event_id, msg_seq=2)


async def test_a_user_who_refuses_active_messages_still_gets_answers() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        await served.server.event_source.relate("C2C_MSG_REJECT", USER)  # type: ignore[attr-defined]
        await served.server.event_source.relate("GROUP_MSG_REJECT", GROUP)  # type: ignore[attr-defined]
        with pytest.raises(NotAllowed, match="40054013"):
            await bot.c2c.post_message(USER, content="a")
        with pytest.raises(NotAllowed, match="主动消息失败, 无权限"):
            await bot.group.post_message(GROUP, content="a")
        await bot.c2c.post_message(USER, content="a", msg_id=message_id)
        await served.server.event_source.relate("C2C_MSG_RECEIVE", USER)  # type: ignore[attr-defined]
        await bot.c2c.post_message(USER, content="a")


async def test_a_former_friend_is_a_target_that_is_gone() -> None:
    async with bot_of() as (served, bot):
        await served.server.event_source.relate("FRIEND_DEL", USER)  # type: ignore[attr-defined]
        await served.server.event_source.relate("GROUP_DEL_ROBOT", GROUP)  # type: ignore[attr-defined]

        with pytest.raises(TargetGone, match="40054004"):
            await bot.c2c.post_message(USER, content="a")
        with pytest.raises(TargetGone, match="40054003"):
            await bot.group.post_message(GROUP, content="a")


async def test_quotas_follow_the_clock_of_the_world() -> None:
    async with bot_of() as (served, bot):
        stop_clock(served)
        users = served.server.people("user", 6)
        for user in users[:5]:
            await bot.c2c.post_message(user, content="a")
        with pytest.raises(Throttled, match="40034100") as caught:
            await bot.c2c.post_message(users[5], content="a")
        served.world.clock.advance(1.1)
        await bot.c2c.post_message(users[5], content="a")

        assert "target" == caught.value.concerns


async def test_a_target_gets_a_limited_number_of_messages_a_minute() -> None:
    async with bot_of() as (served, bot):
        stop_clock(served)
        for _ in range(20):
            await bot.group.post_message(GROUP, content="a")
        with pytest.raises(Throttled):
            await bot.group.post_message(GROUP, content="a")
        served.world.clock.advance(60)
        await bot.group.post_message(GROUP, content="a")


async def test_the_profile_of_2023_allows_four_active_messages_a_month() -> None:
    async with bot_of(profile="2023-11") as (served, bot):
        for _ in range(4):
            await bot.c2c.post_message(USER, content="a")
        with pytest.raises(Throttled, match="22009"):
            await bot.c2c.post_message(USER, content="a")
        served.world.clock.advance(30 * 86400)
        await bot.c2c.post_message(USER, content="a")


async def test_the_profile_of_2025_allows_no_active_messages() -> None:
    async with bot_of(profile="2025-04") as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        with pytest.raises(NotAllowed, match="40034102"):
            await bot.c2c.post_message(USER, content="a")
        await bot.c2c.post_message(USER, content="a", msg_id=message_id)


@pytest.mark.parametrize("profile", ["2025-04", "2023-11"])
async def test_old_profiles_take_no_plain_files_and_no_free_markdown(profile: str) -> None:
    async with bot_of(profile=profile) as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        with pytest.raises(Rejected, match="10000"):
            await bot.c2c.files(USER, file_type=4, file_data=b"x")
        with pytest.raises(Rejected, match="10000"):
            await bot.c2c.upload_prepare(USER, file_type=4, file_size=5, file_name="a", sha1="x")
        with pytest.raises(NotAllowed, match="50056"):
            await bot.c2c.post_message(USER, markdown={"content": "# a"}, msg_id=message_id)
        await bot.c2c.post_message(USER, markdown={"custom_template_id": "1"}, msg_id=message_id)


async def test_lifted_rules_lift_quotas_and_windows_but_not_duplicates() -> None:
    async with bot_of(rules={"limits": False}) as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        served.world.clock.advance(7000)
        for number in range(30):
            await bot.c2c.post_message(USER, content="a", msg_id=message_id, msg_seq=number)
            await bot.c2c.post_message(USER, content="a")
        with pytest.raises(Duplicate):
            await bot.c2c.post_message(USER, content="a", msg_id=message_id, msg_seq=7)


async def test_rules_are_read_at_every_call() -> None:
    async with bot_of() as (served, bot):
        await bot.c2c.post_message(USER, content="x" * 50)
        served.server.rules = served.server.rules.overridden({"text.max_chars": 40})  # type: ignore[attr-defined]

        with pytest.raises(ContentRefused, match="40054007"):
            await bot.c2c.post_message(USER, content="x" * 50)


async def test_a_wake_up_message_is_allowed_once_in_each_period() -> None:
    async with bot_of() as (served, bot):
        with pytest.raises(WindowClosed, match="40034122"):
            await bot.c2c.post_message(USER, content="a", is_wakeup=True)
        await served.server.say(USER, "bot", text="hi")
        sent = 0
        for _ in range(40):
            for _ in range(2):
                try:
                    await bot.c2c.post_message(USER, content="a", is_wakeup=True)
                    sent += 1
                except WindowClosed:
                    pass
            served.world.clock.advance(86400)
        assert 4 == sent
        await served.server.say(USER, "bot", text="hi again")
        await bot.c2c.post_message(USER, content="a", is_wakeup=True)


async def test_a_wake_up_message_cannot_be_an_answer() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")

        with pytest.raises(Rejected, match="50035"):
            await bot.c2c.post_message(USER, content="a", is_wakeup=True, msg_id=message_id)


async def test_a_typing_notice_leaves_no_post() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        for _ in range(9):
            await bot.c2c.typing(USER, message_id, 5)
        await bot.c2c.post_message(USER, content="a", msg_id=message_id)

        assert ["say", "sendToUser"] == [post.call for post in served.world.posts]


KINDS: list[tuple[dict[str, Any], str, str]] = [
    ({"content": "a"}, "text", "a"),
    ({"markdown": {"content": "# a"}}, "markdown", "# a"),
    ({"markdown": {"custom_template_id": "t", "params": []}}, "markdown", ""),
    ({"markdown": {"content": "# a"}, "keyboard": {"id": "1"}}, "markdown", "# a"),
    ({"ark": {"template_id": 23, "kv": []}}, "ark", ""),
]


@pytest.mark.parametrize(("fields", "kind", "text"), KINDS)
async def test_a_message_without_msg_type_gets_the_type_of_its_content(
    fields: dict[str, Any], kind: str, text: str
) -> None:
    async with bot_of() as (served, bot):
        await bot.call_json(SEND_TO_GROUP, GROUP, fields)

        (post,) = served.world.posts
        assert (kind, text) == (post.kind, post.text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://example.com/a", "https://example.com/a"),
        ("crawler.py is a file", "crawler.py"),
        ("运行1.sh即可", "1.sh"),
        ("见 README.md", "README.md"),
        ("www.qq.com", "www.qq.com"),
        ("看[这里](example.com/a)", "example.com/a)"),
    ],
)
async def test_addresses_are_refused_for_a_bot_that_has_none_listed(text: str, address: str) -> None:
    async with bot_of(rules={"text.urls_allowed": False}) as (_, bot):
        with pytest.raises(ContentRefused) as caught:
            await bot.c2c.post_message(USER, content=text)
        assert caught.value.fault is not None
        assert f"消息发送失败, 不允许发送url {address}" == caught.value.fault.message


@pytest.mark.parametrize(
    "text",
    ["nothing to see. Really.", "今天 36.5 度", "3.14", "好的。再见.", "v1.2.3", "等等...好", "e.g. this", "..."],
)
async def test_numbers_versions_and_dots_are_no_addresses(text: str) -> None:
    async with bot_of(rules={"text.urls_allowed": False}) as (_, bot):
        await bot.c2c.post_message(USER, content=text)


# --- streams ----------------------------------------------------------------------------------------------------------


async def test_a_stream_grows_one_message() -> None:
    async with bot_of() as (served, bot):
        message_id = await served.server.say(USER, "bot", text="hi")
        first = await bot.c2c.post_stream_message(
            USER, input_mode="append", input_state=1, index=0, content_raw="你", msg_id=message_id
        )
        more = {"stream_msg_id": first.id, "input_state": 1}
        await bot.c2c.post_stream_message(USER, input_mode="append", index=1, content_raw="好", **more)
        with pytest.raises(Rejected, match="40007") as rewritten:
            await bot.c2c.post_stream_message(USER, input_mode="replace", index=2, content_raw="再见", **more)
        assert rewritten.value.fault is not None
        assert (404, 40113003) == (rewritten.value.fault.http, rewritten.value.fault.row.also)
        last = await bot.c2c.post_stream_message(
            USER, input_mode="replace", index=2, content_raw="你好吗", **{**more, "input_state": 10}
        )
        with pytest.raises(Rejected):
            await bot.c2c.post_stream_message(USER, input_mode="append", index=3, content_raw="!", **more)

        assert ["你好吗"] == [post.text for post in served.world.posts if post.call == "streamToUser"]
        assert 4000 - 3 == last.remain_msg_len


# --- recall -----------------------------------------------------------------------------------------------------------


async def test_a_bot_recalls_its_own_messages_only() -> None:
    async with bot_of() as (served, bot):
        mine = (await bot.group.post_message(GROUP, content="a")).id
        said = await served.server.say(USER, GROUP, text="hi")
        other = served.server.people("group", 1)[0]
        with pytest.raises(NotAllowed, match="40062003"):
            await bot.group.delete_message(other, mine)
        with pytest.raises(Rejected, match="306009"):
            await bot.c2c.delete_message(USER, mine)
        with pytest.raises(NotAllowed, match="40062003"):
            await bot.group.delete_message(GROUP, said)
        served.world.network("qq").group(GROUP).extra["bot_admin"] = True
        await bot.group.delete_message(GROUP, said)
        await bot.group.delete_message(GROUP, mine)

        assert [True, True] == [post.recalled for post in served.world.posts]


# --- the adapter ------------------------------------------------------------------------------------------------------


async def test_an_answer_of_the_adapter_has_msg_id_and_msg_seq() -> None:
    async with bot_of() as (served, _):
        adapter = adapter_for(served)
        message_id = await served.server.say(USER, "bot", text="hi")
        event_id = await served.server.event_source.relate("FRIEND_ADD", USER)  # type: ignore[attr-defined]
        body = {"msg_type": 2, "markdown": {"content": "# a"}}
        await deliver(adapter, Message((Text("a"),), Reply(message_id, 1)), TO_USER, number=7)
        await deliver(adapter, Message((Native("messages", body),), Reply(message_id, 1)), TO_USER, number=8)
        await deliver(adapter, Message((Text("b"),), Reply(event_id, 1, "event")), TO_USER, number=3)

        messages = served.server.event_source.messages  # type: ignore[attr-defined]
        assert {7, 8} == messages[message_id].seqs
        assert {3} == served.server.event_source.events[event_id].seqs  # type: ignore[attr-defined]
        await adapter.close()


async def test_twenty_parallel_answers_have_different_numbers() -> None:
    async with bot_of(rules={"limits": False}) as (served, _):
        adapter = adapter_for(served)
        message_id = await served.server.say(USER, "bot", text="hi")
        message = Message((Text("a"),), Reply(message_id, 1))
        (part,) = adapter.compose(message, TO_USER)
        sent = await asyncio.gather(
            *(adapter.send(part, {}, TO_USER, SendKey(number, number), message) for number in range(1, 21))
        )

        assert 20 == len({one.id for one in sent})
        await adapter.close()


@pytest.mark.parametrize(("status", "error"), [(404, HandleExpired), (403, HandleExpired), (503, Unavailable)])
async def test_an_expired_link_and_an_unreachable_storage_are_different_errors(
    status: int, error: type[Exception]
) -> None:
    async with bot_of() as (served, _):

        async def refuse(exchange: Exchange) -> HttpResponse | None:
            return HttpResponse(status, (), b"no")

        served.before = refuse  # type: ignore[method-assign]
        adapter = adapter_for(served)
        with pytest.raises(error, match=str(status)):
            async for _ in adapter.open_reference({"url": f"{served.url}/qqmedia/1"}):
                pass
        await adapter.close()


async def test_media_that_are_forwarded_to_many_targets_are_fetched_once_for_each_scene() -> None:
    async with bot_of(rules={"limits": False, "handle.seconds": 600}) as (served, bot):
        await bot.me()
        adapter = adapter_for(served)
        file_id = served.server.files.offer(await served.world.blobs.add(PNG))  # type: ignore[attr-defined]
        message = Message((Forward("image", {"url": f"{served.url}/qqmedia/{file_id}"}),))
        users = [Target("qqbot.main", "user", user) for user in served.server.people("user", 5)]
        groups = [Target("qqbot.main", "group", group) for group in served.server.people("group", 5)]
        await asyncio.gather(*(deliver(adapter, message, target) for target in users + groups))
        assert (1, 1) == (served.calls("uploadToUser"), served.calls("uploadToGroup"))
        served.server.files.placed.clear()  # type: ignore[attr-defined]
        for target in users[:2]:
            await deliver(adapter, message, target)
        assert (2, 1) == (served.calls("uploadToUser"), served.calls("uploadToGroup"))
        served.world.clock.advance(550)
        await deliver(adapter, message, users[0])

        assert (3, 1) == (served.calls("uploadToUser"), served.calls("uploadToGroup"))
        assert [PNG] * 13 == [post.blob.read() for post in served.world.posts if post.blob]
        await adapter.close()


async def test_received_media_are_forwarded_without_a_download() -> None:
    async with bot_of() as (served, bot):
        await bot.me()
        adapter = adapter_for(served)
        blob = await served.world.blobs.add(PNG)
        stream = adapter.events()
        first = asyncio.ensure_future(anext(stream))
        await served.server.say(USER, "bot", media=blob, kind="image", name="a.png")
        event = await asyncio.wait_for(first, 30)
        assert event.message is not None
        await deliver(adapter, Message(event.message.segments), TO_USER)
        (reference,) = [segment.reference for segment in event.message.segments]  # type: ignore[union-attr]

        assert PNG == b"".join([piece async for piece in adapter.open_reference(reference)])
        assert [PNG, PNG] == [post.blob.read() for post in served.world.posts if post.blob]
        await stream.aclose()  # type: ignore[attr-defined]
        await adapter.close()


# --- keyboards, lengths, codes ----------------------------------------------------------------------------------------

KEYBOARD = {"content": {"rows": [{"buttons": [{"id": "1", "render_data": {"label": "好", "visited_label": "好了"}}]}]}}


@pytest.mark.parametrize("fields", [{"markdown": {"content": "**选**"}}, {"content": "选"}])
async def test_posts_show_the_buttons_that_were_sent(fields: dict[str, Any]) -> None:
    async with bot_of() as (served, bot):
        await bot.group.post_message(GROUP, keyboard=KEYBOARD, **fields)

        assert KEYBOARD == served.world.posts[-1].extra["keyboard"]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (faults.OVER_LENGTH, ContentRefused),
        (faults.ANSWER_NOT_MARKDOWN, NotAllowed),
        (faults.KEYBOARD_NOT_ALLOWED, NotAllowed),
    ],
)
async def test_a_refusal_under_http_500_is_a_refusal(row: FaultCode, error: type[Exception]) -> None:
    async with bot_of() as (served, bot):

        async def refuse(_: Any) -> Any:
            raise Fault(row)

        served.server.images.show = refuse  # type: ignore[attr-defined]
        assert 500 == row.http
        with pytest.raises(error, match=str(row.code)):
            await bot.group.post_message(GROUP, markdown={"content": "a"})


async def test_a_refusal_for_length_names_the_rule_that_cures_it() -> None:
    async with serve(PLATFORM, rules={"text.max_chars": 10}) as served:
        adapter = adapter_for(served, rules={"text.max_chars": 100})
        with pytest.raises(ContentRefused, match=r"text\.max_chars"):
            await deliver(adapter, Message((Text("一" * 50),)), TO_USER)
        await adapter.close()


async def test_long_text_is_cut_at_the_safe_limit() -> None:
    async with serve(PLATFORM) as served:
        adapter = adapter_for(served)
        text = "\n".join(f"第{number}行：今日行情平稳。" for number in range(500))
        await deliver(adapter, Message((Text(text),)), TO_USER)
        await adapter.close()

        assert all(len(post.text) <= 4000 for post in served.world.posts)
        assert text.replace("\n", "") == "".join(post.text for post in served.world.posts).replace("\n", "")


async def test_an_upload_names_srv_send_msg_where_the_pages_of_its_time_require_it() -> None:
    upload = {"file_type": 1, "file_data": base64.b64encode(PNG).decode()}
    for profile, code in (("2026-09", None), ("2025-04", 50035), ("2023-11", 50035)):
        async with bot_of(profile=profile) as (_, bot):
            if code is None:
                await bot.call_json(wire.UPLOAD_TO_USER, USER, upload)
                continue
            with pytest.raises(Rejected, match=str(code)):
                await bot.call_json(wire.UPLOAD_TO_USER, USER, upload)
            await bot.c2c.files(USER, file_type=1, file_data=PNG)


async def test_a_success_without_a_message_id_is_no_success() -> None:
    async with serve(PLATFORM) as served:

        async def nameless(exchange: Exchange) -> HttpResponse | None:
            if exchange.endpoint != "sendToUser":
                return None
            return HttpResponse(200, [("Content-Type", "application/json")], b'{"id":"","timestamp":1}')

        served.before = nameless  # type: ignore[method-assign]
        adapter = adapter_for(served)
        with pytest.raises(WireMismatch, match="no message id"):
            await deliver(adapter, Message((Text("a"),)), TO_USER)
        await adapter.close()
