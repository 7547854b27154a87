"""Messages to parts and limits, and pushes to events: pure, in tables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platforms.qqbot.support import CHANNEL, GROUP, TO_CHANNEL, TO_GROUP, TO_USER, USER, media_of
from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.model import (
    Card,
    ContactCard,
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Mention,
    Message,
    Native,
    Quote,
    Reply,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.convert import GuildBody, LinkMessage, NativeBody, compose, limits, parse
from yizhan.platforms.qqbot.wire.gateway import Frame
from yizhan.platforms.qqbot.wire.messages import SendMessage

RULES = PLATFORM.rules()
PICTURE = media_of(b"p" * 100)
CLIP = media_of(b"v" * 100, "video", "mp4", "a.mp4")
SPEECH = media_of(b"s" * 100, "voice", "silk", "a.silk")
PAPER = media_of(b"f" * 100, "file", "pdf", "报告.pdf")
TO_DM = Target("qqbot.main", "dm", "77")


def shapes(target: Target, *segments: Segment, reply: Reply | None = None) -> list[tuple[Any, ...]]:
    """Type, text and use of every part."""
    found: list[tuple[Any, ...]] = []
    for part in compose(Message(segments, reply), target, RULES):
        use = part.needs[0].use if part.needs else ""
        body = part.body.message if isinstance(part.body, (GuildBody, LinkMessage)) else part.body
        found.append((getattr(body, "msg_type", None), getattr(body, "content", None), use))
    return found


COMPOSED = [
    ((Text("a"), Text("b")), [(0, "ab", "")]),
    ((Image(PICTURE),), [(7, None, "1")]),
    ((Text("看"), Image(PICTURE)), [(7, "看", "1")]),
    ((Image(PICTURE), Text("看")), [(7, "看", "1")]),
    ((Text("a"), Image(PICTURE), Text("b")), [(7, "a", "1"), (0, "b", "")]),
    ((Text("a"), Image(PICTURE), Text("b"), Image(PICTURE)), [(7, "a", "1"), (7, "b", "1")]),
    ((Text("a"), Video(CLIP)), [(0, "a", ""), (7, None, "2")]),
    ((Video(CLIP), Text("a")), [(7, None, "2"), (0, "a", "")]),
    ((Voice(SPEECH),), [(7, None, "3")]),
    ((File(PAPER),), [(7, None, "4:报告.pdf")]),
    ((File(PAPER, "季度.pdf"),), [(7, None, "4:季度.pdf")]),
    ((File(PICTURE, "a.png"),), [(7, None, "4:a.png")]),
    ((Sticker(PICTURE),), [(7, None, "1")]),
    ((Text("  "), Image(PICTURE)), [(7, None, "1")]),
]


@pytest.mark.parametrize(("segments", "expected"), COMPOSED)
def test_segments_become_parts(segments: tuple[Segment, ...], expected: list[Any]) -> None:
    assert expected == shapes(TO_USER, *segments)
    assert expected == shapes(TO_GROUP, *segments)


def test_equal_media_share_one_upload_within_a_scene_and_none_across() -> None:
    def need(target: Target, name: str = "") -> Any:
        return compose(Message((Image(PICTURE, name),)), target, RULES)[0].needs[0]

    other_group = Target("qqbot.main", "group", "another")

    assert need(TO_GROUP) == need(other_group)
    assert need(TO_GROUP) != need(TO_USER)


def test_mentions_are_written_as_markup_in_groups_and_channels() -> None:
    assert [(0, '<qqbot-at-user id="M1" /> hi', "")] == shapes(TO_GROUP, Mention("M1"), Text(" hi"))
    assert [(None, "<qqbot-at-everyone /> a &lt; b", "")] == shapes(TO_CHANNEL, Mention("all"), Text(" a < b"))
    for target, who in ((TO_USER, "M1"), (TO_GROUP, "all"), (TO_DM, "M1")):
        with pytest.raises(Unsupported):
            shapes(target, Mention(who), Text("hi"))


def test_a_mention_cannot_break_out_of_its_markup() -> None:
    ((_, content, _),) = shapes(TO_GROUP, Mention('x" /><evil'))

    assert '<qqbot-at-user id="x&quot; /&gt;&lt;evil" />' == content


def test_a_quote_goes_with_the_first_part() -> None:
    parts = compose(Message((Quote("REFIDX_1"), Text("a"), Video(CLIP))), TO_USER, RULES)

    references = [part.body.message_reference for part in parts]
    assert "REFIDX_1" == references[0].message_id
    assert references[1] is None


def test_a_native_body_is_sent_unchanged() -> None:
    body = {"msg_type": 2, "markdown": {"content": "# a"}, "new_field": 1}
    text, native = compose(Message((Text("a"), Native("messages", body))), TO_GROUP, RULES)

    assert isinstance(text.body, SendMessage)
    assert NativeBody("sendToGroup", body) == native.body
    with pytest.raises(Unsupported, match=r"Did you mean messages"):
        compose(Message((Native("mesages", body),)), TO_GROUP, RULES)


def test_received_media_are_forwarded_by_their_link() -> None:
    (part,) = compose(Message((Text("看"), Forward("image", {"url": "http://x/a"}, "a.png"))), TO_USER, RULES)

    assert isinstance(part.body, LinkMessage)
    assert (1, "http://x/a", "a.png", "看") == (
        part.body.file_type,
        part.body.url,
        part.body.name,
        part.body.message.content,
    )
    assert () == part.needs


def test_a_channel_takes_a_picture_inside_its_message() -> None:
    (part,) = compose(Message((Text("a"), Image(PICTURE))), TO_CHANNEL, RULES)

    assert isinstance(part.body, GuildBody)
    assert ("a", PICTURE, "sendToChannel") == (part.body.message.content, part.body.image, part.call)


@pytest.mark.parametrize(
    ("reply", "target", "repeatable"),
    [(None, TO_USER, False), (Reply("m", 1), TO_USER, True), (Reply("m", 1), TO_CHANNEL, False)],
)
def test_only_answers_with_a_number_are_repeatable(reply: Reply | None, target: Target, repeatable: bool) -> None:
    (part,) = compose(Message((Text("a"),), reply), target, RULES)

    assert repeatable == part.repeatable


REFUSED = [
    (TO_USER, Link("https://a", "t"), Unsupported, "Send it as text"),
    (TO_USER, ContactCard("x"), Unsupported, "as text"),
    (TO_USER, Sticker(md5="0"), Unsupported, "picture itself"),
    (TO_CHANNEL, Video(CLIP), Unsupported, "choose a group or a user"),
    (TO_DM, File(PAPER), Unsupported, "pictures only"),
    (Target("qqbot.main", "room", "1"), Text("a"), Unsupported, "user, group, channel, dm"),
    (TO_USER, Text("  "), Unsupported, "nothing to send"),
    (TO_USER, Forward("link", {"url": "x"}), Unsupported, "forwarded link"),
    (TO_USER, Forward("image", {}), Unsupported, "forwarded image"),
    (TO_USER, Voice(media_of(b"x", "voice", "amr", "a.amr")), MediaFormat, "silk, mp3, wav, ogg"),
    (TO_USER, Image(media_of(b"x", "image", "", "a.xyz")), MediaFormat, "not recognized"),
    (TO_USER, Image(media_of(b"", "image", "png")), MediaFormat, "empty"),
]


@pytest.mark.parametrize(("target", "segment", "error", "words"), REFUSED)
def test_a_segment_that_cannot_be_carried_is_refused_with_a_remedy(
    target: Target, segment: Segment, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        shapes(target, segment)


def test_the_size_limits_of_media_are_those_of_the_rules() -> None:
    rules = PLATFORM.rules(overrides={"image.soft_bytes": 50, "image.max_bytes": 99})

    with pytest.raises(MediaTooLarge, match=r"image\.max_bytes, profile 2026-09"):
        compose(Message((Image(PICTURE),)), TO_USER, rules)
    (part,) = compose(Message((Image(PICTURE),)), TO_USER, PLATFORM.rules(overrides={"image.soft_bytes": 50}))
    assert "plain file" in part.note
    assert "1:a.png" == part.needs[0].use


@pytest.mark.parametrize(
    ("name", "carried"),
    [
        ("季度报告（终）.pdf", "季度报告（终）.pdf"),
        ("AC/DC - 曲.mp3", "AC_DC - 曲.mp3"),
        ("报告:终稿?.pdf", "报告_终稿_.pdf"),
        ("汉" * 100 + ".gz", "汉" * 65 + ".gz"),
    ],
)
def test_a_file_name_that_has_to_change_is_noted(name: str, carried: str) -> None:
    (part,) = compose(Message((File(PAPER, name),)), TO_USER, RULES)

    assert f"4:{carried}" == part.needs[0].use
    assert (name != carried) == ("was changed to" in part.note)


def test_an_old_profile_has_the_limits_of_its_time() -> None:
    rules = PLATFORM.rules("2023-11")

    with pytest.raises(MediaFormat, match="profile 2023-11"):
        compose(Message((Voice(media_of(b"x", "voice", "mp3")),)), TO_USER, rules)
    for segment in (File(media_of(b"x", "file", "pdf")), Forward("file", {"url": "https://x/a"})):
        with pytest.raises(Unsupported, match=r"file\.allowed, profile 2023-11"):
            compose(Message((segment,)), TO_USER, rules)


def test_an_answer_has_a_window_and_a_number() -> None:
    limit, rate = limits(Message((Text("a"),), Reply("m", 1000)), TO_GROUP, RULES)

    assert ("reply", 5, 1000, 1300, "fail") == (limit.scope, limit.count, limit.since, limit.until, limit.ends)
    assert ("rates.sendToGroup", "account", 100, 1.25) == (rate.name, rate.scope, rate.count, rate.per_seconds)


def test_a_channel_counts_answers_and_active_messages_together() -> None:
    answer = limits(Message((Text("a"),), Reply("m", 1000)), TO_CHANNEL, RULES)
    active = limits(Message((Text("a"),)), TO_CHANNEL, RULES)

    assert [5, 5] == [one.count for one in [*answer, *active] if one.group == "any.channel"]
    assert {"active.channel.target_per_day", "any.channel.target_per_second", "rates.sendToChannel"} == {
        one.name for one in active
    }


def test_active_messages_have_quotas_by_account_and_target() -> None:
    found = {limit.name: (limit.scope, limit.count) for limit in limits(Message((Text("a"),)), TO_USER, RULES)}

    assert {
        "active.user.account_per_second": ("account", 5),
        "active.user.account_per_minute": ("account", 30),
        "active.user.target_per_minute": ("target", 20),
        "active.user.target_per_day": ("target", 1000),
        "rates.sendToUser": ("account", 100),
    } == found


def test_lifted_rules_have_no_limits() -> None:
    assert [] == limits(Message((Text("a"),)), TO_USER, PLATFORM.rules(overrides={"limits": False}))


@pytest.mark.parametrize(("profile", "user", "group"), [("2026-09", 4, 5), ("2025-04", 5, 5), ("2026-01", 4, 5)])
def test_the_number_of_answers_follows_the_profile(profile: str, user: int, group: int) -> None:
    rules = PLATFORM.rules(profile)

    assert (user, group) == (rules["passive.user.count"], rules["passive.group.count"])


# --- events -----------------------------------------------------------------------------------------------------------

AT = "2026-11-22T03:16:14+08:00"
SECONDS = 1795288574


def event_of(t: str, d: Any, id: str = "X:1") -> Any:
    return parse(Frame(0, d, 1, t, id), "qqbot.main", 5.0)


def test_a_message_of_a_user_is_answered_by_its_id() -> None:
    d = {
        "id": "ROBOT1.0_a",
        "author": {"user_openid": USER},
        "content": "hi",
        "timestamp": AT,
        "message_scene": {"ext": ["msg_idx=REFIDX_9", "odd"]},
    }
    event = event_of("C2C_MESSAGE_CREATE", d)

    assert (EventKind.MESSAGE, "ROBOT1.0_a", SECONDS, TO_USER) == (event.kind, event.id, event.at, event.target)
    assert Reply("ROBOT1.0_a", SECONDS) == event.reply
    assert {"ref_idx": "REFIDX_9"} == event.context
    assert "hi" == event.message.text


def test_the_space_after_a_stripped_mention_is_removed() -> None:
    d = {"id": "1", "author": {"member_openid": "M"}, "group_openid": GROUP, "content": " /ping", "timestamp": AT}
    event = event_of("GROUP_AT_MESSAGE_CREATE", d)

    assert (TO_GROUP, "M", "/ping") == (event.target, event.sender, event.message.text)


def test_attachments_are_references() -> None:
    d = {
        "id": "1",
        "author": {"user_openid": USER},
        "content": "",
        "timestamp": AT,
        "attachments": [
            {
                "content_type": "image/jpeg",
                "url": "multimedia.nt.qq.com.cn/download?a=1",
                "filename": "a.jpg",
                "size": 5,
            },
            {"content_type": "voice", "url": "https://x/v", "voice_wav_url": "https://x/w", "content": ""},
            {"content_type": "file", "url": "https://x/f", "filename": "报告.pdf", "width": None},
        ],
    }
    picture, voice, paper = event_of("C2C_MESSAGE_CREATE", d).message.segments

    assert ("image", "a.jpg", "https://multimedia.nt.qq.com.cn/download?a=1") == (
        picture.kind,
        picture.name,
        picture.reference["url"],
    )
    assert ("voice", "https://x/w") == (voice.kind, voice.reference["voice_wav_url"])
    assert ("file", "报告.pdf") == (paper.kind, paper.name)


def test_a_received_quote_names_the_quoted_message() -> None:
    d = {
        "id": "1",
        "author": {"user_openid": USER},
        "content": "why?",
        "timestamp": AT,
        "message_type": 103,
        "message_scene": {"source": "default", "ext": ["ref_msg_idx=REFIDX_2"]},
        "msg_elements": [{"msg_idx": "REFIDX_2", "author": {"id": "M", "username": "n"}, "content": "so"}],
    }
    quote, text = event_of("C2C_MESSAGE_CREATE", d).message.segments

    assert (Quote("REFIDX_2", "so", "M", "n"), Text("why?")) == (quote, text)


@pytest.mark.parametrize(
    "fields",
    [{"desc": "摘要", "url": "https://x"}, [{"key": "desc", "value": "摘要"}, {"key": "url", "value": "https://x"}]],
)
def test_a_received_card_has_its_words(fields: Any) -> None:
    card = {"prompt": "[分享] 一篇文章", "ark_type": "share", "ark_name": "com.x", "fields": fields}
    d = {"id": "1", "author": {"user_openid": USER}, "content": "", "timestamp": AT, "message_type": 3}

    event = event_of("C2C_MESSAGE_CREATE", {**d, "ark_data": card})

    assert (Card("[分享] 一篇文章", "摘要", "https://x", "com.x"),) == event.message.segments


def test_the_text_of_a_channel_is_unescaped() -> None:
    d = {"id": "08", "author": {"id": "1"}, "channel_id": CHANNEL, "guild_id": "9", "content": "a &lt; b &amp;amp;"}
    event = event_of("AT_MESSAGE_CREATE", d)

    assert (TO_CHANNEL, "a < b &amp;", 5.0) == (event.target, event.message.text, event.at)


def test_a_direct_message_is_answered_in_its_guild() -> None:
    d = {"id": "08", "author": {"id": "1"}, "channel_id": "6", "guild_id": "77", "content": "a"}

    assert TO_DM == event_of("DIRECT_MESSAGE_CREATE", d).target


RELATIONS = [
    ("FRIEND_ADD", EventKind.FRIEND_ADDED, True),
    ("FRIEND_DEL", EventKind.FRIEND_REMOVED, False),
    ("C2C_MSG_RECEIVE", EventKind.ACTIVE_ALLOWED, True),
    ("C2C_MSG_REJECT", EventKind.ACTIVE_REFUSED, False),
    ("GROUP_ADD_ROBOT", EventKind.GROUP_ADDED, True),
    ("GROUP_DEL_ROBOT", EventKind.GROUP_REMOVED, False),
    ("GROUP_MSG_RECEIVE", EventKind.ACTIVE_ALLOWED, True),
    ("GROUP_MSG_REJECT", EventKind.ACTIVE_REFUSED, False),
]


@pytest.mark.parametrize(("t", "kind", "answerable"), RELATIONS)
def test_relations_are_events_some_of_which_can_be_answered(t: str, kind: EventKind, answerable: bool) -> None:
    event = event_of(t, {"openid": USER, "group_openid": GROUP, "op_member_openid": "M", "timestamp": "1000"}, f"{t}:7")

    assert (kind, 1000, f"{t}:7") == (event.kind, event.at, event.id)
    assert (Reply(f"{t}:7", 1000, "event") if answerable else None) == event.reply


@pytest.mark.parametrize(
    "d", [None, [], 5, {}, {"id": 1}, {"id": "1", "author": "x"}, {"author": {"user_openid": None}}, {"content": {}}]
)
def test_an_unreadable_event_arrives_as_other(d: Any) -> None:
    event = event_of("C2C_MESSAGE_CREATE", d)

    assert (EventKind.OTHER, "X:1", 5.0) == (event.kind, event.id, event.at)


def test_ready_and_resumed_are_no_events() -> None:
    assert event_of("READY", {}) is None
    assert event_of("RESUMED", "") is None
