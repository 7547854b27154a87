"""Received content as segments: mentions, emoji, quotes, cards, voices; members, reactions and pressed buttons."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.platforms.qqbot.support import CHANNEL, GROUP, USER
from yizhan.model import Card, CardLine, Event, EventKind, Forward, Mention, Quote, Segment, Target, Text
from yizhan.platforms.qqbot.convert import Own, parse
from yizhan.platforms.qqbot.convert.markup import segments_of
from yizhan.platforms.qqbot.wire.events import Mentioned
from yizhan.platforms.qqbot.wire.gateway import Frame

NOBODY = Own()
AT = "2026-09-20T10:00:00+08:00"
BOT = {"id": "BOT1", "member_openid": "BOT1", "username": "机器人", "bot": True, "is_you": True, "scope": "single"}
RED = {"id": "MEM2", "member_openid": "MEM2", "username": "小红", "bot": False, "is_you": False}
EVERYONE = {"id": "all", "username": "全体成员", "scope": "all"}
PHOTO = {
    "content_type": "image/jpeg",
    "filename": "a.jpg",
    "size": 10,
    "url": "https://x/a.jpg",
    "width": 4,
    "height": 3,
}


def event_of(t: str, d: dict[str, Any], own: Own = NOBODY) -> Event:
    event = parse(Frame(0, d, 1, t, f"{t}:1"), "qqbot.main", 5.0, own)
    assert event is not None
    return event


def in_group(content: str = "", **more: Any) -> dict[str, Any]:
    author = {"id": "MEM1", "member_openid": "MEM1", "username": "小明"}
    return {"id": "M1", "author": author, "content": content, "group_openid": GROUP, "timestamp": AT, **more}


def one_to_one(content: str = "", **more: Any) -> dict[str, Any]:
    return {"id": "M1", "author": {"id": USER, "user_openid": USER}, "content": content, "timestamp": AT, **more}


def quoting(ref: str, *elements: dict[str, Any]) -> dict[str, Any]:
    scene = {"source": "default", "ext": [f"ref_msg_idx={ref}"]}
    return one_to_one("这是什么", message_type=103, message_scene=scene, msg_elements=list(elements))


def segments_in(d: dict[str, Any], t: str = "C2C_MESSAGE_CREATE") -> tuple[Segment, ...]:
    message = event_of(t, d).message
    assert message is not None
    return message.segments


def face(text: str, type: int = 1, id: str = "13") -> str:
    ext = base64.b64encode(json.dumps({"text": text}).encode()).decode()
    return f'<faceType={type},faceId="{id}",ext="{ext}">'


# --- mentions ---


@pytest.mark.parametrize(
    ("t", "content", "mentions", "mentioned", "segments"),
    [
        ("GROUP_MESSAGE_CREATE", "<@BOT1> /help", [BOT], True, [Mention("BOT1", "机器人", own=True), Text(" /help")]),
        ("GROUP_MESSAGE_CREATE", "/help", [], False, [Text("/help")]),
        (
            "GROUP_MESSAGE_CREATE",
            "请问 <@MEM2> 在吗",
            [RED],
            False,
            [Text("请问 "), Mention("MEM2", "小红"), Text(" 在吗")],
        ),
        ("GROUP_MESSAGE_CREATE", "<@all> 开会", [EVERYONE], True, [Mention("all", "全体成员"), Text(" 开会")]),
        ("GROUP_AT_MESSAGE_CREATE", " /help", [], True, [Text("/help")]),
    ],
)
def test_mentions_in_a_group_are_segments_and_say_whether_the_bot_is_meant(
    t: str, content: str, mentions: list[Any], mentioned: bool, segments: list[Segment]
) -> None:
    event = event_of(t, in_group(content, mentions=mentions))

    assert event.message is not None
    assert tuple(segments) == event.message.segments
    assert mentioned == event.mentioned


def test_the_own_mention_can_be_left_out_of_a_command() -> None:
    message = event_of("GROUP_MESSAGE_CREATE", in_group("<@BOT1> /help", mentions=[BOT])).message

    assert message is not None
    assert "/help" == message.without_own_mention().text


def test_a_channel_mentions_the_bot_by_its_own_id() -> None:
    d = {
        "id": "08aa",
        "author": {"id": "1", "username": "a"},
        "channel_id": CHANNEL,
        "guild_id": "9",
        "content": "<@!5777> &lt;3 <emoji:4> <@!22>",
        "timestamp": AT,
        "mentions": [{"id": "5777", "username": "bot", "bot": True}, {"id": "22", "username": "b", "bot": True}],
    }
    event = event_of("AT_MESSAGE_CREATE", d, Own("5777"))

    assert event.message is not None
    assert (Mention("5777", "bot", own=True), Text(" <3 [得意] "), Mention("22", "b")) == event.message.segments
    assert event.mentioned


def test_a_reply_to_a_message_of_the_bot_addresses_it() -> None:
    scene = {"ext": ["ref_msg_idx=REFIDX_mine"]}
    d = in_group(
        "好的", message_type=103, message_scene=scene, msg_elements=[{"msg_idx": "REFIDX_mine", "content": "a"}]
    )

    assert event_of("GROUP_MESSAGE_CREATE", d, Own(references=["REFIDX_mine"])).mentioned
    assert not event_of("GROUP_MESSAGE_CREATE", d).mentioned


# --- emoji ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"好{face('呲牙')}的", "好[呲牙]的"),
        (face("[满头问号]", 6, "0"), "[满头问号]"),
        (face("/微笑"), "[微笑]"),
        ('<faceType=1,faceId="14",ext="!!">', "[微笑]"),
        ('<faceType=1,faceId="99999",ext="">', "[99999]"),
        ("1 < 2 <@> <faceType>", "1 < 2 <@> <faceType>"),
    ],
)
def test_emoji_markup_becomes_words(text: str, words: str) -> None:
    assert [Text(words)] == segments_of(text)


def test_mentions_that_were_sent_by_bots_are_read_in_their_present_form() -> None:
    found = segments_of('<qqbot-at-user id="MEM2" /><qqbot-at-everyone />', [Mentioned("MEM2", username="小红")])

    assert [Mention("MEM2", "小红"), Mention("all", "全体成员")] == found


# --- quotes ---


def test_a_quote_brings_its_media_and_they_can_be_saved() -> None:
    element = {"msg_idx": "REFIDX_old", "content": "两张照片", "attachments": [PHOTO, PHOTO | {"filename": "b.jpg"}]}
    quote, text = segments_in(quoting("REFIDX_old", element))

    assert isinstance(quote, Quote)
    assert ("REFIDX_old", "两张照片") == (quote.message_id, quote.text)
    assert [("image", "a.jpg", 10), ("image", "b.jpg", 10)] == [(m.kind, m.name, m.size) for m in quote.media]
    assert Text("这是什么") == text


def test_the_quoted_element_is_the_one_that_the_message_names() -> None:
    other, named = {"msg_idx": "REFIDX_A", "content": "另一条"}, {"msg_idx": "REFIDX_B", "content": "被引用的这条"}

    assert Quote("REFIDX_B", "被引用的这条") == segments_in(quoting("REFIDX_B", other, named))[0]
    assert Quote("REFIDX_C") == segments_in(quoting("REFIDX_C", other, named))[0]
    assert Quote("REFIDX_C", "另一条") == segments_in(quoting("REFIDX_C", other))[0]


def test_a_quote_without_content_or_with_broken_content_is_kept() -> None:
    assert (Quote("REFIDX_p"), Text("这是什么")) == segments_in(quoting("REFIDX_p"))
    assert (Quote("REFIDX_p"), Text("这是什么")) == segments_in(quoting("REFIDX_p", {"attachments": [{"url": 3}]}))


def test_a_quote_in_a_channel_names_the_quoted_message() -> None:
    d = {"id": "08aa", "author": {"id": "1"}, "channel_id": CHANNEL, "guild_id": "9", "content": "是", "timestamp": AT}

    segments = segments_in({**d, "message_reference": {"message_id": "08bb"}}, "AT_MESSAGE_CREATE")
    assert (Quote("08bb"), Text("是")) == segments


# --- cards and media ---


def test_a_chat_record_has_its_lines_and_files() -> None:
    elements = [
        {"author": {"username": "小明"}, "content": "早", "timestamp": AT},
        {"author": {"username": "小红"}, "content": "", "attachments": [PHOTO]},
    ]
    (card,) = segments_in(one_to_one(message_type=102, msg_elements=elements))

    assert isinstance(card, Card)
    assert "chat_record" == card.kind
    assert CardLine("早", "小明", 1789869600.0) == card.lines[0]
    assert card.lines[1].media is not None
    assert "image" == card.lines[1].media.kind


def test_a_voice_has_its_transcript_and_size() -> None:
    voice = {
        "content_type": "voice",
        "filename": "rec.amr",
        "size": 1234,
        "url": "x/rec.amr",
        "asr_refer_text": "三点开会",
    }
    (forward,) = segments_in(one_to_one(attachments=[voice]))

    assert isinstance(forward, Forward)
    assert ("voice", "rec.amr", 1234, "三点开会") == (forward.kind, forward.name, forward.size, forward.transcript)


# --- members, reactions, buttons ---


@pytest.mark.parametrize(
    ("t", "kind"), [("GROUP_MEMBER_ADD", EventKind.MEMBER_JOINED), ("GROUP_MEMBER_REMOVE", EventKind.MEMBER_LEFT)]
)
def test_members_who_come_and_go_are_events_with_group_and_person(t: str, kind: EventKind) -> None:
    d = {"group_openid": GROUP, "member_openid": "NEW1", "op_member_openid": "MEM1", "timestamp": "1789869600"}
    event = event_of(t, d)

    assert (kind, 1789869600.0) == (event.kind, event.at)
    assert (Target("qqbot.main", "group", GROUP), "NEW1", "NEW1") == (event.target, event.person, event.sender)


def test_a_member_of_a_guild_has_a_name() -> None:
    d = {"guild_id": "9", "user": {"id": "22", "username": "b"}, "nick": "小红", "joined_at": AT}
    event = event_of("GUILD_MEMBER_ADD", d)

    assert (EventKind.MEMBER_JOINED, "22", "小红") == (event.kind, event.person, event.person_name)


@pytest.mark.parametrize(("emoji", "shown"), [({"id": "4", "type": 1}, "[得意]"), ({"id": "128077", "type": 2}, "👍")])
def test_a_reaction_names_person_message_and_emoji(emoji: dict[str, Any], shown: str) -> None:
    target = {"id": "08aa", "type": "ReactionTargetType_MSG"}
    d = {"user_id": "22", "guild_id": "9", "channel_id": CHANNEL, "target": target, "emoji": emoji}
    event = event_of("MESSAGE_REACTION_ADD", d)

    assert (EventKind.REACTION, "22", "08aa", shown) == (event.kind, event.person, event.about, event.data)
    assert Target("qqbot.main", "channel", CHANNEL) == event.target


def test_a_pressed_button_brings_its_data_message_and_person() -> None:
    resolved = {"button_id": "1", "button_data": "/ok", "message_id": "ROBOT1.0_x"}
    d = {"id": "i1", "type": 11, "chat_type": 1, "group_openid": GROUP, "group_member_openid": "MEM1", "timestamp": AT}
    event = event_of("INTERACTION_CREATE", {**d, "data": {"type": 11, "resolved": resolved}})

    assert (EventKind.BUTTON_PRESSED, "MEM1") == (event.kind, event.person)
    assert ("/ok", "ROBOT1.0_x") == (event.data, event.about)
    assert event.reply is not None
    assert ("INTERACTION_CREATE:1", "event") == (event.reply.id, event.reply.kind)


def test_other_interactions_are_no_pressed_buttons() -> None:
    d = {"id": "i1", "type": 13, "chat_type": 2, "user_openid": USER, "timestamp": AT}

    assert EventKind.OTHER is event_of("INTERACTION_CREATE", d).kind
