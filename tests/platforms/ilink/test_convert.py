"""iLink: messages to items, and received messages to events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from yizhan.errors import MediaFormat, MediaTooLarge, Refused, Unsupported
from yizhan.model import (
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Media,
    Mention,
    Message,
    Native,
    Quote,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.model.split import split_text
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.convert import AS_FILE, Placed, compose, filled, limits, media_rule, parse
from yizhan.platforms.kit.media_rules import choose

USER = Target("ilink.main", "user", "o9cq80abc@im.wechat")
RULES = PLATFORM.rules()
KEY = "00112233445566778899aabbccddeeff"
LONG_KEY = "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY="


def media(kind: Any = "image", size: int = 640, format: str = "png", name: str = "") -> Media:
    return Media("ab" * 32, "cd" * 16, 1, size, kind, f"{kind}/{format}", format, name=name)


def items(*segments: Any) -> list[dict[str, Any]]:
    parts = compose(Message(segments), USER, RULES)
    return [msgspec.to_builtins(part.body.item_list[0]) for part in parts]


def test_text_is_one_item() -> None:
    assert [{"type": 1, "text_item": {"text": "hello"}}] == items(Text("hel"), Text("lo"))


def test_media_are_written_exactly_as_the_official_client_writes_them() -> None:
    (part,) = compose(Message((Image(media()),)), USER, RULES)

    assert {
        "type": 2,
        "image_item": {
            "media": {"encrypt_query_param": "p", "aes_key": LONG_KEY, "encrypt_type": 1},
            "mid_size": 656,
        },
    } == msgspec.to_builtins(filled(part.body.item_list[0], Placed("p", KEY)))


def test_a_video_has_its_ciphertext_size_and_a_file_its_plain_size_as_text() -> None:
    assert [{"type": 5, "video_item": {"video_size": 1008}}] == items(Video(media("video", 1000, "mp4")))
    assert [{"type": 4, "file_item": {"file_name": "报告.pdf", "len": "1000"}}] == items(
        File(media("file", 1000, "pdf", "x.pdf"), "报告.pdf")
    )
    assert [{"type": 4, "file_item": {"file_name": "x.pdf", "len": "7"}}] == items(File(media("file", 7, "", "x.pdf")))


def test_a_voice_goes_as_a_file_and_says_so() -> None:
    (part,) = compose(Message((Voice(media("voice", 10, "silk")),)), USER, RULES)

    assert "voice.silk" == part.body.item_list[0].file_item.file_name
    assert AS_FILE == part.note
    assert "file" == part.needs[0].use


@pytest.mark.parametrize(
    ("segments", "types"),
    [
        ((Text("caption"), Image(media())), [1, 2]),
        ((Image(media()), Text("caption")), [1, 2]),
        ((Image(media()), Text("a"), Text("b")), [1, 2]),
        ((Image(media()), Text("a"), Image(media())), [2, 1, 2]),
        ((Text("a"), Image(media()), Text("b")), [1, 2, 1]),
        ((Image(media()), Text("  ")), [2]),
    ],
)
def test_a_caption_goes_before_its_media(segments: Any, types: list[int]) -> None:
    assert types == [item["type"] for item in items(*segments)]


def test_every_part_may_be_repeated_under_its_key() -> None:
    parts = compose(Message((Text("x" * 5000), Image(media()))), USER, RULES)

    assert [True] * 4 == [part.repeatable for part in parts]


def test_uploads_are_kept_for_one_recipient_unless_the_rules_say_otherwise() -> None:
    wide = PLATFORM.rules(None, {"handle.scope": "account"})
    message = Message((Image(media()),))

    assert str(USER) == compose(message, USER, RULES)[0].needs[0].scope
    assert "account" == compose(message, USER, wide)[0].needs[0].scope


def fit_and_compose(segment: Any) -> None:
    """Compose as the engine does, by the media rule first."""
    rule = media_rule(segment, RULES)
    if rule is not None:
        choose(segment.media, replace(rule, as_file=False))
    compose(Message((segment,)), USER, RULES)


@pytest.mark.parametrize(
    ("segment", "error", "words"),
    [
        (Link("https://example.com", "t"), Unsupported, "address as text"),
        (Sticker(media()), Unsupported, "as an image"),
        (Quote("1"), Unsupported, "Repeat the words"),
        (Mention("all"), Unsupported, "no groups"),
        (Image(media("file", 5, "pdf")), MediaFormat, "cannot go as image"),
        (Image(media(size=0)), MediaFormat, "too small: 1 bytes"),
        (File(media("file", 104857601, "zip")), MediaTooLarge, r"104857600 bytes .*file.max_bytes, rules 2026-11"),
        (Forward("image", {"xml": "<msg/>"}), Unsupported, "did not come in over iLink"),
        (Forward("link", {"param": "p", "key": KEY}), Unsupported, "Save it"),
        (Native("post", {}), Unsupported, "sendmessage"),
        (Native("sendmessage", {"item_list": []}), Unsupported, "exactly one item"),
        (Native("sendmessage", {"item_list": [{"type": 1}], "new": 1}), Unsupported, "does not know"),
        (Native("sendmessage", {"item_list": 3}), Unsupported, "does not fit"),
        (Text("  "), Refused, "nothing but blank text"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, (str, type)) else None,
)
def test_content_without_a_counterpart_is_refused_with_a_remedy(segment: Any, error: type[Refused], words: str) -> None:
    with pytest.raises(error, match=words):
        fit_and_compose(segment)


def test_there_are_no_groups() -> None:
    with pytest.raises(Unsupported, match="iLink reaches users"):
        compose(Message((Text("x"),)), Target("ilink.main", "group", "g"), RULES)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("short", ["short"]),
        ("one two three", ["one two", "three"]),
        ("line one\nline", ["line one", "line"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("中文中文中文", ["中文中文", "中文"]),
        ("   \n  ", []),
        ("end     ", ["end     "]),
    ],
)
def test_long_text_is_split_where_a_reader_would_split_it(text: str, pieces: list[str]) -> None:
    assert pieces == split_text(text, 10, 12)


def test_split_text_loses_nothing_and_keeps_to_both_limits() -> None:
    text = "好🎉a" * 5000

    pieces = split_text(text, 4000, 16384)

    assert text == "".join(pieces)
    assert 4000 >= max(map(len, pieces))
    assert 16384 >= max(len(piece.encode()) for piece in pieces)


def test_the_window_counts_from_the_last_inbound_message() -> None:
    (limit,) = limits({"at": 1000.0, "context_token": "x", "bot": "b"}, RULES)

    assert ("target", 10, 1000.0, 87400.0, "hold") == (limit.scope, limit.count, limit.since, limit.until, limit.ends)


@pytest.mark.parametrize(
    ("context", "rules"),
    [({}, RULES), ({"at": 1.0}, PLATFORM.rules(None, {"limits": False}))],
)
def test_without_a_known_message_the_platform_decides(context: Any, rules: Any) -> None:
    assert () == limits(context, rules)


def inbound(*item_list: Any, **more: Any) -> dict[str, Any]:
    return {
        "seq": 7,
        "message_id": 7495426660285223688,
        "from_user_id": USER.id,
        "to_user_id": "0a1b2c3d4e5f@im.bot",
        "client_id": "mmassistant_bypmsg_inbox_3c",
        "create_time_ms": 1795288547993,
        "message_type": 1,
        "message_state": 2,
        "item_list": list(item_list),
        "context_token": "AARzJWAFsecret",
        **more,
    }


def test_an_inbound_text_becomes_an_event() -> None:
    event = parse(inbound({"type": 1, "text_item": {"text": "hi [发呆]"}}), "ilink.main", 2e9)

    assert ("7495426660285223688", EventKind.MESSAGE, USER) == (event.id, event.kind, event.target)
    assert 1795288547.993 == event.at
    assert event.message is not None
    assert "hi [发呆]" == event.message.text
    assert {"context_token": "AARzJWAFsecret", "bot": "0a1b2c3d4e5f@im.bot"} == event.context
    assert "secret" not in str(event.raw)
    assert event.reply is None


def test_a_platform_whose_clock_is_ahead_opens_the_window_now() -> None:
    event = parse(inbound({"type": 1, "text_item": {"text": "hi"}}), "ilink.main", 1795288500.0)

    assert 1795288500.0 == event.at


def test_every_item_of_a_message_is_taken() -> None:
    event = parse(
        inbound(
            {"type": 1, "text_item": {"text": "two"}},
            {"type": 2, "image_item": {"aeskey": KEY, "media": {"encrypt_query_param": "p"}, "mid_size": 9}},
            {"type": 99},
        ),
        "ilink.main",
        5.0,
    )

    assert event.message is not None
    assert (
        Text("two"),
        Forward("image", {"type": "image", "param": "p", "key": KEY, "size": 9}),
        Native("sendmessage", {"item_list": [{"type": 99}]}),
    ) == event.message.segments


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ({"aeskey": KEY, "media": {"encrypt_query_param": "p", "aes_key": "ABEiM0RVZneImaq7zN3uAA=="}}, KEY),
        ({"media": {"encrypt_query_param": "p", "aes_key": "ABEiM0RVZneImaq7zN3u/w=="}}, KEY),
        ({"aeskey": "nonsense", "media": {"encrypt_query_param": "p", "aes_key": LONG_KEY}}, KEY),
        ({"media": {"encrypt_query_param": "p"}}, None),
        ({"media": {"encrypt_query_param": "p", "aes_key": "?"}}, None),
    ],
)
def test_the_hex_key_of_a_picture_wins(image: Any, key: str | None) -> None:
    event = parse(inbound({"type": 2, "image_item": image}), "ilink.main", 5.0)

    assert event.message is not None
    (segment,) = event.message.segments
    assert isinstance(segment, Forward)
    assert key == segment.reference.get("key")


def test_a_voice_comes_with_its_transcription() -> None:
    voice = {"media": {"encrypt_query_param": "p", "aes_key": LONG_KEY}, "playtime": 2380, "text": "transcript"}
    event = parse(inbound({"type": 3, "voice_item": voice}), "ilink.main", 5.0)

    assert event.message is not None
    assert "transcript" == event.message.text
    assert "voice" == event.message.segments[0].kind  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("报告.pdf", "报告.pdf"), ("../../etc/passwd", "passwd"), (None, "file"), ("a\u202efdp.exe", "afdp.exe")],
)
def test_a_files_name_cannot_lead_elsewhere(name: str | None, shown: str) -> None:
    file = {"media": {"encrypt_query_param": "p", "aes_key": LONG_KEY}, "file_name": name, "len": "12"}
    event = parse(inbound({"type": 4, "file_item": file}), "ilink.main", 5.0)

    assert event.message is not None
    (segment,) = event.message.segments
    assert isinstance(segment, Forward)
    assert (shown, 12) == (segment.name, segment.reference["size"])


def test_a_quote_names_the_quoted_message_by_its_id() -> None:
    item = {
        "type": 1,
        "text_item": {"text": "this one"},
        "ref_msg": {"message_item": {"type": 0, "msg_id": "7504206488704563208"}},
    }
    event = parse(inbound(item), "ilink.main", 5.0)

    assert event.message is not None
    assert (Quote("7504206488704563208"), Text("this one")) == event.message.segments


def test_a_quote_holds_the_quoted_media_and_the_time() -> None:
    quoted = {
        "type": 4,
        "msg_id": "7504206488704563208",
        "create_time_ms": 1795288547993,
        "file_item": {"media": {"encrypt_query_param": "p"}, "file_name": "报告.pdf", "len": "12"},
    }
    item = {"type": 1, "text_item": {"text": "this one"}, "ref_msg": {"message_item": quoted}}
    event = parse(inbound(item), "ilink.main", 5.0)

    assert event.message is not None
    quote = event.message.segments[0]
    assert isinstance(quote, Quote)
    assert ("7504206488704563208", 1795288547.993) == (quote.message_id, quote.at)
    (media,) = quote.media
    assert ("file", "报告.pdf", 12) == (media.kind, media.name, media.reference["size"])


@pytest.mark.parametrize("kind", [{}, {"type": 8}])
def test_a_quote_that_tells_its_time_alone_is_a_quote(kind: dict[str, int]) -> None:
    quoted = {**kind, "create_time_ms": 1795288547993}
    item = {"type": 1, "text_item": {"text": "and this?"}, "ref_msg": {"message_item": quoted}}
    event = parse(inbound(item), "ilink.main", 5.0)

    assert event.message is not None
    assert (Quote(at=1795288547.993), Text("and this?")) == event.message.segments


def test_a_quoted_voice_has_its_transcription() -> None:
    quoted = {"type": 3, "voice_item": {"media": {"encrypt_query_param": "p"}, "text": "five o'clock"}}
    item = {"type": 1, "text_item": {"text": "too late"}, "ref_msg": {"message_item": quoted}}
    event = parse(inbound(item), "ilink.main", 5.0)

    assert event.message is not None
    quote = event.message.segments[0]
    assert isinstance(quote, Quote)
    assert ("five o'clock", ["voice"]) == (quote.text, [media.kind for media in quote.media])


@pytest.mark.parametrize(
    ("named", "mentioned"), [([], False), (["0a1b2c3d4e5f@im.bot"], True), (["other@im.bot"], False), (None, False)]
)
def test_a_message_that_names_the_bot_mentions_it(named: Any, mentioned: bool) -> None:
    item = {"type": 1, "text_item": {"text": "hi"}, "at_bot_username_list": named}

    assert mentioned is parse(inbound(item), "ilink.main", 5.0).mentioned


@pytest.mark.parametrize(
    "raw",
    [
        None,
        5,
        "text",
        [],
        {},
        {"item_list": "x"},
        {"item_list": [None]},
        {"item_list": [{"type": 4, "file_item": {"len": "9" * 5000}}]},
        {"item_list": [{"type": 2, "image_item": {"media": []}}]},
        {"from_user_id": None, "item_list": None, "message_id": None},
        {"create_time_ms": "soon"},
    ],
)
def test_an_odd_message_is_an_event_and_never_an_error(raw: Any) -> None:
    event = parse(raw, "ilink.main", 5.0)

    assert event.id
    assert EventKind.OTHER == event.kind or event.at == 5.0


def test_the_bots_own_echo_is_not_a_message_of_the_person() -> None:
    event = parse(inbound(message_type=2, from_user_id="b@im.bot", to_user_id=USER.id), "ilink.main", 5.0)

    assert (EventKind.SENT, USER, {}) == (event.kind, event.target, event.context)


@pytest.mark.parametrize("kind", ["image", "video", "file"])
def test_received_media_are_sent_on_by_reference(kind: str) -> None:
    forward = Forward(kind, {"type": kind, "param": "p+/=", "key": KEY, "size": 640}, "x.bin")

    (part,) = compose(Message((forward,)), USER, RULES)

    payload = next(v for k, v in msgspec.to_builtins(part.body.item_list[0]).items() if k.endswith("_item"))
    assert () == part.needs
    assert {"encrypt_query_param": "p+/=", "aes_key": LONG_KEY, "encrypt_type": 1} == payload["media"]


def test_a_native_item_is_sent_unchanged() -> None:
    item = {"type": 11, "tool_call_start_item": {"tool_name": "search", "tool_call_id": "1"}}
    (part,) = compose(Message((Native("sendmessage", {"item_list": [item], "run_id": "r"}),)), USER, RULES)

    assert (
        wire.WeixinMessage(
            item_list=[wire.MessageItem(type=11, tool_call_start_item=wire.ToolCallItem("search", "1"))], run_id="r"
        )
        == part.body
    )
