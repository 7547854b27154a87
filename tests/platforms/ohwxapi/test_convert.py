"""Messages to commands and pushes to events: the pure parts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from yizhan.errors import (
    LoginNeeded,
    MediaFormat,
    MediaTooLarge,
    OutcomeUnknown,
    Refused,
    Rejected,
    Unsupported,
    WireMismatch,
)
from yizhan.model import (
    ChannelVideo,
    ContactCard,
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Media,
    Mention,
    MiniProgram,
    Native,
    Quote,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
    message_of,
)
from yizhan.platforms.kit.media_rules import choose
from yizhan.platforms.ohwxapi import PLATFORM, convert, wire
from yizhan.platforms.ohwxapi.client.download import Base64Field
from yizhan.platforms.ohwxapi.client.line import socket_url
from yizhan.platforms.ohwxapi.wire import EventName
from yizhan.platforms.wechat_xml import as_received, compose_channel_video, compose_link, compose_quote
from yizhan.wire import Fault, HttpResponse, decode_response

ALICE = Target("ohwxapi.main", "user", "wxid_alice")
GROUP = Target("ohwxapi.main", "group", "10001@chatroom")
RULES = PLATFORM.rules()


def media(kind: Any, format: str, size: int = 10, duration_ms: int = 0) -> Media:
    return Media("a" * 64, "b" * 32, 0, size, kind, "x/y", format, duration_ms=duration_ms, name=f"a.{format}")


def compose(*content: Any, target: Target = ALICE) -> list[Any]:
    message = message_of(*content)
    for segment in message.segments:
        # As the engine does it: media are fitted before they are composed.
        rule = convert.media_rule(segment, RULES)
        if rule is not None and isinstance(given := getattr(segment, "media", None), Media):
            choose(given, replace(rule, as_file=False))
    return list(convert.compose(message, target, RULES))


def test_a_size_without_a_limit_must_still_fit_into_a_frame() -> None:
    rules, large = PLATFORM.rules(None, {"file.max_bytes": 0}), message_of(File(media("file", "pdf", 31_000_000)))

    assert convert.compose(large, ALICE, rules)
    with pytest.raises(MediaTooLarge, match=r"socket\.max_bytes"):
        convert.compose(large, ALICE, rules, over_socket=True)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ([Voice(media("file", "pdf"))], MediaFormat, "voice.formats"),
        ([Voice(media("voice", "silk", duration_ms=61_000))], MediaTooLarge, "60 s"),
        ([Video(media("file", "pdf"))], MediaFormat, "mp4"),
        ([Image(media("file", "pdf"))], MediaFormat, "as a file"),
        ([File(media("file", "pdf", 30_000_001))], MediaTooLarge, "file.max_bytes"),
        ([File(media("image", "png", 30_000_001))], MediaTooLarge, "30000000"),
        ([Mention("wxid_bob", "Bob"), "hi"], Unsupported, "group only"),
        ([Quote("1", "a")], Unsupported, "right after"),
        ([Sticker(md5="short")], Unsupported, "32 hex"),
        ([Link("ftp://x/y", "t")], Unsupported, "http"),
        ([MiniProgram("", "", "t")], Unsupported, "appid"),
        ([ChannelVideo("x", "y")], Unsupported, "objectId"),
        ([Forward("voice", {"platform": "ohwxapi", "type": 34, "xml": "<msg/>"})], Unsupported, "Save it"),
        ([Forward("file", {"platform": "ohwxapi", "type": 49, "xml": "<!DOCTYPE a>"})], Unsupported, "Save"),
        ([Forward("file", {"platform": "ilink", "type": 49, "xml": "<a/>"})], Unsupported, "Save it"),
        ([Native("SendMessage", {})], Unsupported, "Did you mean SendMsg"),
        ([Native("SendMsg", {"Content": 5})], Unsupported, "Content"),
        ([Native("SendMsg", {"Content": "a", "Contents": "b"})], Unsupported, "no field 'Contents'"),
    ],
)
def test_a_segment_that_cannot_be_sent_is_refused_with_the_remedy(
    content: Any, error: type[Refused], says: str
) -> None:
    with pytest.raises(error, match=says):
        compose(*content)


def test_other_kinds_of_targets_do_not_exist() -> None:
    with pytest.raises(Unsupported, match="users and groups"):
        compose("hi", target=Target("ohwxapi.main", "channel", "1"))


def test_limits_are_lifted_together() -> None:
    rules = PLATFORM.rules(overrides={"limits": False})
    content = [File(media("file", "pdf", 40_000_000)), Voice(media("voice", "silk", duration_ms=90_000)), "x" * 5000]

    assert 3 == len(convert.compose(message_of(*content), ALICE, rules))


def test_text_and_mentions_side_by_side_are_one_command() -> None:
    (part,) = compose("a ", Mention("wxid_bob", "Bob"), "b", target=GROUP)

    assert (
        wire.SendMsg(ToUserName=GROUP.id, Content="a @Bob\u2005b", MsgType=1, AtUsers="wxid_bob")
        == part.body.parameters
    )


def test_long_text_is_cut_where_a_line_ends() -> None:
    text = "x" * 1500 + "\n" + "y" * 1500 + " " + "z" * 3000

    pieces = [part.body.parameters.Content for part in compose(text)]

    assert ["x" * 1500, "y" * 1500, "z" * 2000, "z" * 1000] == pieces


def test_nothing_else_shares_a_part() -> None:
    parts = compose("a", Image(media("image", "png")), "b", Quote("1", "q"), "c", File(media("file", "pdf")))

    assert ["SendMsg", "SendImage", "SendMsg", "SendAppMsg", "SendAppMsg"] == [part.call for part in parts]
    assert [False] * 5 == [part.repeatable for part in parts]


def test_a_note_tells_that_a_cover_was_left_out() -> None:
    plain = MiniProgram("wx1", "gh_1@app", "t")
    (with_cover,) = compose(msgspec.structs.replace(plain, media=media("image", "png")))
    (without,) = compose(plain)

    assert ("", ()) == (without.note, without.needs)
    assert "cover is left out" in with_cover.note
    assert without.body.parameters == with_cover.body.parameters


def test_the_same_file_under_two_names_needs_one_handle() -> None:
    first, second = compose(File(media("file", "pdf"), name="one.pdf"), File(media("file", "pdf"), name="two.pdf"))

    assert first.needs == second.needs
    assert "account" == first.needs[0].scope


@pytest.mark.parametrize(
    ("name", "title", "extension"),
    [
        ("plan.txt", "plan.txt", "txt"),
        ("Neu & alt.PDF", "Neu &amp; alt.PDF", "pdf"),
        ("no extension", "no extension", "txt"),
    ],
)
def test_a_card_is_renamed_without_touching_anything_else(name: str, title: str, extension: str) -> None:
    inside = "<title>plan.txt</title><type>6</type><appattach><fileext>txt</fileext></appattach>"
    card = f'<appmsg appid=""  sdkver="0">{inside}</appmsg>'

    got = convert.renamed(card, name)

    assert card.replace("plan.txt", title).replace("<fileext>txt", f"<fileext>{extension}") == got


def test_a_name_cannot_break_out_of_the_card() -> None:
    card = "<appmsg><title>a</title><type>6</type></appmsg>"

    got = convert.renamed(card, r"</title><type>2000</type>\g<0>")

    assert got.count("<type>") == 1


# --- pushes -----------------------------------------------------------------------------------------------------------


def push(message: dict[str, Any]) -> Any:
    frame = {
        "CurrentPacket": {"Data": {"AddMsg": message, "EventName": "ON_EVENT_MSG_NEW"}},
        "CurrentWxid": "wxid_sandbox",
    }
    read = wire.read_push(json.dumps(frame))
    assert read is not None
    return convert.parse(read, frame, "ohwxapi.main", "wxid_sandbox", 5.0)


def hears(type: int, content: str, **more: Any) -> Any:
    message = {"FromUserName": "wxid_alice", "MsgType": type, "Content": content, "NewMsgId": 7, "CreateTime": 3}
    return push({**message, **more})


VIDEO = ChannelVideo("143", "88_0", nickname="Harbour", username="v2@finder", description="boats", cover_url="http://c")
LINK = Link("https://example.org", "T", "d", "https://example.org/t.jpg")


@pytest.mark.parametrize(
    ("type", "content", "segments"),
    [
        (49, as_received(compose_link(LINK), "wxid_alice"), (LINK,)),
        (49, as_received(compose_channel_video(VIDEO)), (VIDEO,)),
        (
            49,
            as_received(compose_quote("yes", Quote("9", "really?", "wxid_bob", "Bob"))),
            (Quote("9", "really?", "wxid_bob", "Bob"), Text("yes")),
        ),
        (49, "<broken", (Text("<broken"),)),
        (48, '<msg><location x="1" y="2" label="1 Road" poiname="Park"/></msg>', (Text("Park\n1 Road"),)),
        (
            42,
            '<msg username="wxid_bob" nickname="Bob"/>',
            (ContactCard("wxid_bob", "Bob", "", '<msg username="wxid_bob" nickname="Bob"/>'),),
        ),
        (1, "plain", (Text("plain"),)),
        (9999, "what is this", (Text("what is this"),)),
    ],
)
def test_received_content_becomes_segments(type: int, content: str, segments: Any) -> None:
    assert segments == hears(type, content).message.segments


@pytest.mark.parametrize(
    ("content", "source", "segments"),
    [
        ("@Bob\u2005hi", "<atuserlist>wxid_bob</atuserlist>", (Mention("wxid_bob", "Bob"), Text("hi"))),
        ("a @B b\u2005c", "<atuserlist><![CDATA[,w]]></atuserlist>", (Text("a "), Mention("w", "B b"), Text("c"))),
        ("@所有人 ok", "<atuserlist>notify@all</atuserlist>", (Mention("all", "所有人"), Text("ok"))),
        ("no at here", "<atuserlist>wxid_bob</atuserlist>", (Text("no at here"),)),
        ("mail a@b.c", "", (Text("mail a@b.c"),)),
        ("@Bob", "<atuserlist>wxid_bob</atuserlist>", (Mention("wxid_bob", "Bob"),)),
    ],
)
def test_mentions_are_found_in_the_text(content: str, source: str, segments: Any) -> None:
    assert segments == hears(1, content, MsgSource=source).message.segments


def test_a_withdrawal_names_the_message() -> None:
    xml = (
        "<sysmsg type='revokemsg'><revokemsg><newmsgid>730</newmsgid><replacemsg>gone</replacemsg></revokemsg></sysmsg>"
    )

    event = hears(10002, xml)

    assert (EventKind.RECALL, "730", "gone") == (event.kind, event.reply.id, event.message.text)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"EventName": EventName.CHATROOM_INVITE, "FromUserName": GROUP.id}, EventKind.GROUP_ADDED),
        ({"EventName": EventName.ACCOUNT_OFFLINE, "Reason": "kicked"}, EventKind.LOGIN_LOST),
        ({"EventName": EventName.PAT_MSG, "ChatUserName": GROUP.id, "Template": "${a} 拍了拍我"}, EventKind.OTHER),
        ({"EventName": EventName.FRIEND_REQ, "Content": "<broken"}, EventKind.OTHER),
        ({"EventName": "ON_EVENT_NEVER_SEEN", "Surprise": 1}, EventKind.OTHER),
    ],
)
def test_other_events_have_a_kind(data: dict[str, Any], kind: EventKind) -> None:
    frame = {"CurrentPacket": {"Data": data}}
    read = wire.read_push(json.dumps(frame))
    assert read is not None

    assert kind == convert.parse(read, frame, "ohwxapi.main", "me", 5.0).kind


def test_fields_may_be_null_and_an_id_may_be_missing() -> None:
    unknown = dict.fromkeys(("MsgSource", "PushContent", "ActionUserName", "ActionNickName", "NewMsgIdExt"))
    events = []
    for words in ("one", "two", "two"):
        added = {"MsgType": 10000, "FromUserName": GROUP.id, "Content": words, "CreateTime": 7, "NewMsgId": 0}
        frame = {
            "CurrentPacket": {
                "WebConnId": None,
                "Data": {"AddMsg": {**added, **unknown}, "EventName": EventName.MSG_NEW},
            }
        }
        read = wire.read_push(json.dumps(frame))
        assert read is not None
        events.append(convert.parse(read, frame, "ohwxapi.main", "me", 5.0))

    assert [(Text("one"),), (Text("two"),), (Text("two"),)] == [e.message.segments for e in events if e.message]
    assert events[0].id != events[1].id == events[2].id


@pytest.mark.parametrize("text", ["", "在吗", "5", "[]", "{}", '{"CurrentPacket":5}', "[" * 9999, '{"ReqId":5}'])
def test_frames_that_are_neither_push_nor_answer_are_nothing(text: str) -> None:
    assert (None, None) == (wire.read_push(text), wire.read_answer_id(text))


@pytest.mark.parametrize(
    "text", ['{"CgiBaseResponse":{},"ReqId":5,"ResponseData":""}', '{"ReqId":"5","CgiBaseResponse":{}}']
)
def test_an_answer_is_known_by_its_id(text: str) -> None:
    assert 5 == wire.read_answer_id(text)


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"type": 3, "xml": "<msg><img/></msg>"},
        {"type": 49, "xml": "<appmsg><type>5</type></appmsg>"},
        {"type": 47, "xml": "<msg><emoji/></msg>"},
        {"type": 3, "xml": "<broken"},
    ],
)
def test_references_to_nothing_are_refused(reference: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        convert.download_of(reference)


# --- answers ----------------------------------------------------------------------------------------------------------


def read(body: Any, *, status: int = 200, command: Any = wire.SEND_MSG, type: str = "application/json") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_response(command, HttpResponse(status, [("Content-Type", type)], data))


@pytest.mark.parametrize(
    ("body", "means", "code"),
    [
        ({"CgiBaseResponse": {"Ret": -1, "ErrMsg": "x"}}, OutcomeUnknown, "-1"),
        ({"CgiBaseResponse": {"Ret": -2, "ErrMsg": "check the xml"}}, Rejected, "-2"),
        ({"CgiBaseResponse": {"Ret": "-2", "ErrMsg": "account offline"}}, LoginNeeded, "-2"),
        ({"CgiBaseResponse": {"Ret": -7, "ErrMsg": None}, "ResponseData": None}, Rejected, "-7"),
        ({"ErrMsg": "err"}, LoginNeeded, "-2"),
    ],
)
def test_failures_are_distinguished_by_number_and_text(body: Any, means: Any, code: str) -> None:
    with pytest.raises(Fault) as caught:
        read(body)

    assert (means, code) == (caught.value.row.means, str(caught.value.row.code))


@pytest.mark.parametrize(("status", "means"), [(502, OutcomeUnknown), (500, OutcomeUnknown), (404, Rejected)])
def test_an_answer_of_a_proxy_is_read_by_its_status(status: int, means: Any) -> None:
    with pytest.raises(Fault) as caught:
        read(b"<html>oops</html>", status=status, type="text/html")

    assert means is caught.value.row.means


@pytest.mark.parametrize("body", [b"", b"hello", [], {}, {"CgiBaseResponse": 5}, {"Ret": 0}])
def test_answers_of_another_form_are_reported(body: Any) -> None:
    with pytest.raises(WireMismatch):
        read(body)


def test_an_answer_without_data_is_read_leniently() -> None:
    assert wire.Sent() == read({"CgiBaseResponse": {"Ret": 0, "ErrMsg": ""}, "ResponseData": None, "More": 1})


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (("http://127.0.0.1:8898", "", "w", ""), "ws://127.0.0.1:8898/ws"),
        (("https://h/", "", "w/1", "5 5"), "wss://h/ws/w%2F1/5%205"),
        (("http://h", "wss://other/ws", "w", "5"), "wss://other/ws"),
    ],
)
def test_the_socket_is_next_to_the_gateway_by_default(settings: Any, wanted: str) -> None:
    assert wanted == socket_url(*settings)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    "field",
    ["aGVsbG8gd29ybGQ/Pz8+", r"aGVsbG8gd29ybGQ\/Pz8+", r"aGVsbG8gd29ybGQ\/Pz8\u002b", "aGVsbG8gd29ybGQ/Pz8\\u002B"],
)
async def test_a_file_is_decoded_while_its_answer_arrives(size: int, field: str) -> None:
    text = f'{{"CgiBaseResponse":{{}},"ResponseData":{{"FileSize":14, "FileBase64" : "{field}","Md5":"x"}}}}'.encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    reader = Base64Field()
    got = b"".join([piece async for piece in reader.bytes_in(pieces())])

    assert b"hello world???>" == got
    assert "" == msgspec.json.decode(reader.rest)["ResponseData"]["FileBase64"]


@pytest.mark.parametrize(
    "text", [b'{"FileBase64":"AAAA', b'{"FileBase64":"A!!A"}', b'{"FileBase64":"AAA"}', b"x" * (2 << 20)]
)
async def test_a_file_that_ends_in_the_middle_is_an_error(text: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield text

    with pytest.raises(ValueError):
        [piece async for piece in Base64Field().bytes_in(pieces())]
