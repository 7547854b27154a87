"""Messages to calls, and pushes to events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.platforms.wechatsdk.support import media_of
from yizhan.errors import (
    MediaFormat,
    MediaTooLarge,
    Unsupported,
)
from yizhan.model import (
    ChannelVideo,
    ContactCard,
    File,
    Forward,
    Image,
    Link,
    Media,
    Mention,
    Message,
    MiniProgram,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.kit.limits import limits_of
from yizhan.platforms.kit.media_rules import choose, rule_of
from yizhan.platforms.wechatsdk import PLATFORM, convert, wire

RULES = PLATFORM.rules()
BOB = Target("wechatsdk.main", "user", "wxid_bob")
GROUP = Target("wechatsdk.main", "group", "10001@chatroom")
PNG, GIF = b"\x89PNG\r\n\x1a\n" + bytes(50), b"GIF89a" + bytes(50)
SILK = b"\x02#!SILK_V3" + b"\x02\x00ab" * 50


@pytest.mark.parametrize(
    ("segments", "target", "calls"),
    [
        ((Text("a"), Text("b")), BOB, ["send_text"]),
        ((Text("a"), Mention("wxid_bob", "Bob"), Text("b")), GROUP, ["send_text"]),
        (
            (Text("a"), Image(media_of(PNG, "image", "png")), Text("b")),
            BOB,
            ["send_text", "forward_image", "send_text"],
        ),
        ((Quote("1", "x", "wxid_bob"), Text("a"), Mention("all")), GROUP, ["send_quote"]),
        ((Video(media_of(b"v", "video", "mp4")),), BOB, ["forward_video"]),
        ((Voice(media_of(SILK, "voice", "silk")),), BOB, ["forward_voice"]),
        ((File(media_of(b"f")),), GROUP, ["forward_file"]),
        ((Sticker(media_of(GIF, "image", "gif")),), BOB, ["send_sticker"]),
        ((Sticker(md5="ab" * 16),), BOB, ["send_known_sticker"]),
        ((Link("http://a.b/", "t"),), BOB, ["send_link"]),
        ((MiniProgram("wx1", "gh_1@app", "t"),), BOB, ["send_xml"]),
        ((MiniProgram("wx1", "gh_1@app", "t", media=media_of(PNG, "image", "png")),), BOB, ["send_xml"]),
        ((ChannelVideo("1", "n"),), BOB, ["send_channel_video"]),
        ((ContactCard("wxid_a"),), BOB, ["send_card"]),
        ((ContactCard("gh_a"),), BOB, ["send_official_card"]),
        ((ContactCard("v2_a@finder"),), BOB, ["send_channel_card"]),
        ((ContactCard("a@openim"),), BOB, ["send_enterprise_card"]),
        ((Native("pat", {"userName": "wxid_bob"}),), GROUP, ["pat"]),
        ((Native("10009", {"msgContent": "x"}),), GROUP, ["send_text"]),
    ],
)
def test_every_segment_has_its_call(segments: Any, target: Target, calls: list[str]) -> None:
    assert calls == [part.call for part in convert.compose(Message(segments), target, RULES)]


def fit_and_compose(message: Message, target: Target) -> None:
    """Fit media before they are composed, as the engine does it."""
    for segment in message.segments:
        rule = rule_of(segment, RULES)
        if rule is not None and isinstance(given := getattr(segment, "media", None), Media):
            choose(given, replace(rule, as_file=False))
    convert.compose(message, target, RULES)


@pytest.mark.parametrize(
    ("segments", "target", "error", "words"),
    [
        ((Mention("wxid_bob"),), BOB, Unsupported, "group only"),
        ((Quote("1"),), BOB, Unsupported, "Put a text"),
        ((Quote("1"), Text("x")), GROUP, Unsupported, "sender"),
        ((Link("javascript:x", "t"),), BOB, Unsupported, "http"),
        ((MiniProgram("", "", "t"),), BOB, Unsupported, "appid"),
        ((MiniProgram("wx1", "gh_1@app", "t", media=media_of(b"x", "file", "pdf")),), BOB, MediaFormat, "cover"),
        ((ChannelVideo("", ""),), BOB, Unsupported, "object_id"),
        ((Sticker(),), BOB, Unsupported, "md5"),
        ((Sticker(md5="d41d8cd9"),), BOB, Unsupported, "32 hex digits"),
        ((ChannelVideo("export_1", "n"),), BOB, Unsupported, "decimal"),
        ((Native("sned_text", {}),), BOB, Unsupported, "Did you mean send_text"),
        ((Native("send_text", {"msgContnt": "x"}),), BOB, Unsupported, "Did you mean msgContent"),
        ((Native("send_text", {"msgContent": 5}),), BOB, Unsupported, "does not take"),
        ((Native("send_text", {"msgContent": "x", "bAsync": True}),), BOB, Unsupported, "bAsync"),
        ((Forward("image", {"platform": "ohwxapi"}),), BOB, Unsupported, "only media received"),
        ((Forward("image", {"platform": "wechatsdk", "type": 3}),), BOB, Unsupported, "cannot be read"),
        ((Forward("x", {"platform": "wechatsdk", "type": "y"}),), BOB, Unsupported, "cannot be read"),
        ((Image(media_of(b"x", "file", "pdf")),), BOB, MediaFormat, "image.formats"),
        ((Voice(media_of(b"x", "file", "pdf")),), BOB, MediaFormat, "taken are silk"),
        ((Voice(media_of(b"x", "voice", "silk", duration_ms=60_001)),), BOB, MediaTooLarge, "60 s"),
        ((Sticker(media_of(b"x", "file", "pdf")),), BOB, MediaFormat, "taken are gif"),
        ((File(msgspec.structs.replace(media_of(b"x"), size=2 << 30)),), BOB, MediaTooLarge, "file.max_bytes"),
        ((File("a path"),), BOB, MediaFormat, "library"),
        ((Text("x"),), Target("wechatsdk.main", "channel", "1"), Unsupported, "users and groups"),
    ],
)
def test_a_segment_that_the_wire_cannot_carry_is_refused_with_the_remedy(
    segments: Any, target: Target, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        fit_and_compose(Message(segments), target)


@pytest.mark.parametrize(("size", "file_type"), [(26214399, 5), (26214400, 7), (26214401, 7)])
def test_files_of_25_mb_and_above_are_of_another_type(size: int, file_type: int) -> None:
    media = msgspec.structs.replace(media_of(b"x"), size=size)
    (part,) = convert.compose(Message((File(media, "a.zip"),)), BOB, RULES)
    placed = convert.kept_of(wire.Uploaded("30" * 20, "ab" * 16), convert.file_type_of(part.needs[0], RULES))

    assert file_type == convert.file_type_of(part.needs[0], RULES)
    request = convert.complete(part.body, placed)
    assert isinstance(request, wire.ForwardFile)
    assert file_type == request.fileType
    assert 5 == convert.file_type_of(part.needs[0], PLATFORM.rules("2024-05"))


def test_measures_that_the_upload_did_not_take_come_from_the_media() -> None:
    media = media_of(b"v", "video", "mp4", duration_ms=2600, width=320, height=240)
    (part,) = convert.compose(Message((Video(media),)), BOB, RULES)
    told = {"videoseconds": "0", "thumbheight": "", "thumbwidth": "160"}

    request = convert.complete(part.body, convert.kept_of(wire.Uploaded("30" * 20, "ab" * 16, **told), 4))

    assert isinstance(request, wire.ForwardVideo)
    assert ("3", "240", "160") == (request.videoseconds, request.thumbheight, request.thumbwidth)


@pytest.mark.parametrize(
    "segment",
    [Video(media_of(b"v", "video", "mp4")), Voice(media_of(b"s", "voice", "silk")), MiniProgram("wx1", "gh_1", "t")],
)
def test_unknown_measures_are_left_out(segment: Segment) -> None:
    if isinstance(segment, MiniProgram):
        segment = msgspec.structs.replace(segment, media=media_of(b"c", "image", "jpeg"))
    (part,) = convert.compose(Message((segment,)), BOB, RULES)

    request = convert.complete(part.body, convert.kept_of(wire.Uploaded("30" * 20, "ab" * 16), 4))
    told = msgspec.to_builtins(request)
    measures = ("videoseconds", "voiceduration", "thumbwidth", "thumbheight")

    assert {""} == {told.get(name, "") for name in measures}
    assert "cdnthumbwidth" not in str(told.get("content"))


def test_parts_with_the_same_file_share_one_need_under_any_name() -> None:
    media = media_of(b"f", name="a.txt")
    parts = [convert.compose(Message((File(media, name),)), t, RULES)[0] for name in "xy" for t in (BOB, GROUP)]

    assert 1 == len({part.needs for part in parts})
    assert {"account"} == {part.needs[0].scope for part in parts}


def test_a_pace_is_a_limit_of_the_account() -> None:
    message = Message((Text("x"),))
    (limit,) = limits_of(message, PLATFORM.rules("2024-08-paced"))

    assert ("account", 20, 60.0) == (limit.scope, limit.count, limit.per_seconds)
    assert [] == limits_of(message, RULES)
    assert [] == limits_of(message, PLATFORM.rules("2024-08-paced", {"limits": False}))


def test_a_mini_program_has_every_element_that_readers_of_cards_look_up() -> None:
    (part,) = convert.compose(Message((MiniProgram("wx1", "gh_1@app", "t"),)), BOB, RULES)

    # A puppet bridge takes each of them apart without asking whether it is there.
    for name in ("appid", "weappiconurl", "pagepath", "shareId", "username"):
        assert f"<{name}>" in part.body.request.content
    assert "<cdnthumburl>" in part.body.request.content


def test_an_asynchronous_result_is_distinguished_from_the_echo_of_the_message() -> None:
    data = {"msgSvrID": 7000000000000000001, "szMsgSvrID": "7000000000000000001", "talker": "wxid_bob"}
    (result,), (echo,) = (
        convert.parse({"pushType": kind, "pushTime": 1, "data": {**data, **more}}, "wechatsdk.main", 1.0)
        for kind, more in ((wire.PUSH_ASYNC, {"asyncUserData": "job"}), (wire.PUSH_OWN, {"content": "hi"}))
    )

    assert "job" == result.context["asyncUserData"]
    assert result.id != echo.id
