"""Recorded requests of real clients of the gateway, replayed against our server and compared with our client's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from tests.support import PATIENCE, Served, serve
from yizhan.model import (
    ContactCard,
    EventKind,
    File,
    Forward,
    Handle,
    Image,
    Link,
    Media,
    Mention,
    Quote,
    Target,
    Text,
    message_of,
)
from yizhan.platforms.ohwxapi import PLATFORM, convert, wire
from yizhan.platforms.ohwxapi.server import Server
from yizhan.platforms.ohwxapi.server.cdn import Placed
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.wechat_xml import parse_card, parse_media
from yizhan.platforms.wechat_xml.cdn_id import object_of_cdn_id
from yizhan.wire import Endpoint, encode_request

DATA = Path(__file__).parent / "data"
ALL = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DATA.glob("*.json"))}
CALLS = [name for name, recording in ALL.items() if recording["request"]["method"] != "WEBSOCKET"]
COMMANDS = [name for name, recording in ALL.items() if recording.get("direction") == "command"]
PUSHES = [name for name, recording in ALL.items() if recording.get("direction") == "push"]
SELF = "wxid_yz0self0000001"
GROUP = "12345678901@chatroom"

ASSETS = {
    "plan.txt": (7777, b"yizhan test plan\n", 7, 1, "418265a694bc8d2bbc0d31d3814c72c2"),
    "photo.jpg": (68112, b"\xff\xd8\xff\xe0", 11, 2, "88652e28b4b48bc6e7048cc4bb876d40"),
    "voice.silk": (4102, b"\x02#!SILK_V3", 19, 5, "0686363be669e2a1ee2bb04ed162946d"),
}


def asset(name: str) -> bytes:
    """Head, then a period of 256 bytes, repeated and cut."""
    length, head, step, start, _ = ASSETS[name]
    period = bytes((i * step + start) % 256 for i in range(256))
    return (head + period * (length // 256 + 1))[:length]


@pytest.mark.parametrize("name", ASSETS)
def test_the_assets_are_those_of_the_recordings(name: str) -> None:
    assert ASSETS[name][4] == hashlib.md5(asset(name)).hexdigest()


# --- their requests, our server ---------------------------------------------------------------------------------------


@pytest.fixture
async def files() -> AsyncIterator[str]:
    """The address under which the media of the recordings is found."""

    async def give(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.Response(body=asset(name) if name in ASSETS else bytes(31_457_281))

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    (tmp_path / "out").mkdir()
    for name in ASSETS:
        (tmp_path / "out" / name).write_bytes(asset(name))
    options = ServerOptions(extra={"accounts": [SELF], "folders": [str(tmp_path)]})
    async with serve(PLATFORM, options=options) as made:
        network = made.world.network("wechat")
        for id, name in [("wxid_ada0000000002", "Ada"), ("wxid_ben0000000003", "Ben"), ("longdan_1998", "Dan")]:
            network.add_person(id, name)
        network.add_person("wxid_cyd0000000004", "Cyd", friends=False)
        members = ["wxid_ada0000000002", "wxid_ben0000000003", "longdan_1998"]
        network.add_group(GROUP, "Harbour Walkers", members, owner="wxid_ada0000000002")
        yield made


async def request_of(recording: dict[str, Any], files: str, served: Served) -> tuple[str, Any]:
    """The recorded request against our address: the hosts of files and what must exist before are ours."""
    request = recording["request"]
    text = json.dumps(request["body"]).replace("http://127.0.0.1:9000", files)
    body = json.loads(text)
    parameters = (body or {}).get("CgiRequest", {})
    if recording["operation"] == "cdn_download":
        blob = await served.world.blobs.add(asset("plan.txt" if parameters["FileType"] == 5 else "photo.jpg"))
        placed = Placed(parameters["FileId"], blob, "x", served.world.now())
        assert isinstance(served.server, Server)
        served.server.cdn._objects[object_of_cdn_id(placed.file_id)] = placed
    if recording["operation"] == "revoke":
        text_request = ALL["cmd522_text"]["request"]
        async with ClientSession() as session:
            url = served.url + text_request["path"]
            async with session.post(url, params=text_request["query"], json=text_request["body"]) as answer:
                sent = (await answer.json())["ResponseData"]
        parameters.update(NewMsgId=sent["NewMsgId"], ClientMsgId=sent["ClientMsgId"])
    return served.url + request["path"], body


@pytest.mark.parametrize("name", CALLS)
async def test_a_recorded_request_is_answered_as_recorded(name: str, served: Served, files: str) -> None:
    recording = ALL[name]
    url, body = await request_of(recording, files, served)
    request, wanted = recording["request"], recording["response"]

    async with ClientSession() as session:
        async with session.request(request["method"], url, params=request["query"], json=body) as answer:
            got = await answer.text()
            status, content_type = answer.status, answer.headers["Content-Type"]

    assert (wanted["status"], wanted["content_type"]) == (status, content_type)
    if isinstance(wanted["body"], str):
        assert re.search(r'<img src="data:image/png;base64,[\w+/=]{100,}"', got)
    else:
        assert [] == list(differences(wanted["body"], json.loads(got)))


def differences(wanted: Any, got: Any, path: str = "$") -> Iterator[str]:
    """Where `got` lacks something of `wanted`, has it in another order or form, or another value that matters."""
    if type(wanted) is not type(got) and not (isinstance(wanted, int) and isinstance(got, int)):
        yield f"{path}: {type(got).__name__}, recorded {type(wanted).__name__}"
    elif isinstance(wanted, dict):
        known = [key for key in got if key in wanted]
        if known != [key for key in wanted if key in got] or set(wanted) - set(got):
            yield f"{path}: {list(got)}, recorded {list(wanted)}"
        for key in known:
            yield from differences(wanted[key], got[key], f"{path}.{key}")
    elif isinstance(wanted, list):
        if wanted and got:
            yield from differences(wanted[0], got[0], f"{path}[0]")
    elif path.rpartition(".")[2] in ("Ret", "ErrMsg", "Md5", "FileSize", "EventName", "CurrentWxid", "MsgType"):
        if wanted != got:
            yield f"{path}: {got!r}, recorded {wanted!r}"
    elif isinstance(wanted, str) and wanted.lstrip().startswith("<appmsg"):
        if without_ids(wanted) != without_ids(got):
            yield f"{path}: {got}"
    elif isinstance(wanted, str) and wanted.startswith("<msg><img") and dict(shown(wanted)) != dict(shown(got)):
        yield f"{path}: {got}"


def without_ids(xml: str) -> str:
    return re.sub(r"<filekey>.*?</filekey>", "", re.sub("30570201[0-9a-f]+", "ID", xml))


def shown(xml: str) -> Iterator[tuple[str, str]]:
    for name, value in parse_media(xml).values.items():
        yield name, "" if value.startswith("3057") else value


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_recorded_command_over_the_socket_is_answered_as_recorded(
    name: str, served: Served, files: str
) -> None:
    recording = ALL[name]
    _, body = await request_of(recording, files, served)

    async with ClientSession() as session, session.ws_connect(served.url + recording["request"]["path"]) as socket:
        # Living clients keep the line alive with words that are no JSON.
        await socket.send_str("在吗")
        await socket.send_str(json.dumps(body))
        got = await socket.receive_str(timeout=PATIENCE)
        while "CgiBaseResponse" not in got:
            got = await socket.receive_str(timeout=PATIENCE)

    assert [] == list(differences(recording["response"]["body"], json.loads(got)))
    assert f'"ReqId":{body["ReqId"]},' in got
    assert got.startswith('{"CgiBaseResponse":{')


async def provoke(name: str, served: Served) -> None:
    """Play the act that the recorded push reports."""
    server, world = served.server, served.world
    assert isinstance(server, Server)
    match name:
        case "ws_msg_text_private":
            await server.say("wxid_ada0000000002", "bot", text="hello bot")
        case "ws_msg_text_group_mention":
            await server.say("wxid_ada0000000002", GROUP, text=f"@{SELF} Three or four o'clock?")
        case "ws_msg_voice":
            blob = await world.blobs.add(asset("voice.silk"))
            await server.say("wxid_ada0000000002", "bot", media=blob, kind="voice")
        case "ws_msg_file":
            blob = await world.blobs.add(asset("plan.txt"))
            await server.say("wxid_ada0000000002", "bot", media=blob, kind="file", name="plan.txt")
        case "ws_event_friend_request":
            await server.say("wxid_cyd0000000004", "bot", text="Hello, I am Cyd")
        case "ws_msg_own":
            await command(served, 522, {"ToUserName": GROUP, "Content": "typed by hand", "MsgType": 1})
        case "ws_msg_join_notice" | "ws_event_contact_change":
            await command(served, 120, {"ChatroomID": GROUP, "Wxid": ["wxid_cyd0000000004"]})


async def command(served: Served, number: int, parameters: dict[str, Any]) -> Any:
    body = {"CgiCmd": number, "CgiRequest": parameters}
    async with ClientSession() as session, session.post(f"{served.url}/v2/api?wxid={SELF}", json=body) as answer:
        return await answer.json()


@pytest.mark.parametrize("name", PUSHES)
async def test_events_are_pushed_as_recorded(name: str, served: Served) -> None:
    wanted = ALL[name]["request"]["body"]
    event = wanted["CurrentPacket"]["Data"]["EventName"]
    type_ = wanted["CurrentPacket"]["Data"].get("AddMsg", {}).get("MsgType")

    async with ClientSession() as session, session.ws_connect(f"{served.url}/ws") as socket:
        await provoke(name, served)
        while True:
            text = await socket.receive_str(timeout=PATIENCE)
            got = json.loads(text)
            data = got["CurrentPacket"]["Data"]
            if data["EventName"] == event and data.get("AddMsg", {}).get("MsgType") == type_:
                break

    assert [] == list(differences(wanted, got))
    assert ": " not in text.split('"Content"')[0]


# --- our requests, theirs ---------------------------------------------------------------------------------------------

ENDPOINTS = {e.name: e for e in vars(wire).values() if isinstance(e, Endpoint)}
BY_NUMBER = {(c.path, c.number): c for c in convert.COMMANDS.values()}
OTHERS = {
    "/v2/login/getqrcode": wire.GET_LOGIN_QR_CODE,
    "/v2/login/push": wire.PUSH_LOGIN,
    "/v2/wechatinfo": wire.GET_ACCOUNTS,
    "/v1/LuaApiCaller": wire.V1_SEND_MSG,
}


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("error_")])
def test_our_client_says_the_same_words(name: str) -> None:
    recorded = ALL[name]["request"]
    body = recorded["body"]
    if body and "CgiCmd" in body:
        order = BY_NUMBER[recorded["path"], body["CgiCmd"]]
        assert order.parameters is not None
        request = order.asking(SELF, msgspec.convert(body["CgiRequest"], order.parameters))
        http = encode_request(order, request)
    else:
        endpoint = OTHERS[recorded["path"]]
        http = encode_request(endpoint, msgspec.convert({**recorded["query"], **(body or {})}, endpoint.request))

    assert (recorded["method"], recorded["path"], recorded["query"]) == (http.method, http.path, dict(http.query))
    assert body == (json.loads(b"".join(http.body)) if http.body else None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", COMMANDS)
def test_our_client_says_the_same_words_over_the_socket(name: str) -> None:
    body = ALL[name]["request"]["body"]
    path = wire.path_of(body["CgiCmd"], body["CgiRequest"])
    order = BY_NUMBER[path, body["CgiCmd"]]
    assert order.parameters is not None

    text = wire.socket_command(order, body["ReqId"], SELF, msgspec.convert(body["CgiRequest"], order.parameters))

    assert body == json.loads(text)


def composed(content: Any, to: str, token: str = "") -> dict[str, Any]:
    """The `CgiRequest` that our client makes of a message."""
    target = Target("ohwxapi.main", "group" if to.endswith("@chatroom") else "user", to)
    (part,) = convert.compose(message_of(*content), target, PLATFORM.rules())
    parameters = convert.complete(part.body, token, None)
    return dict(json.loads(msgspec.json.encode(parameters)))


def recorded(name: str) -> dict[str, Any]:
    return dict(ALL[name]["request"]["body"]["CgiRequest"])


def test_text_is_composed_as_recorded() -> None:
    assert recorded("cmd522_text") == composed(["hello from yizhan"], "filehelper")


def test_mentions_are_composed_as_recorded() -> None:
    content = [Mention("wxid_ada0000000002", "Ada"), Mention("wxid_ben0000000003", "Ben"), "the plan is in the files"]

    got = composed(content, GROUP)

    assert recorded("cmd522_text_mention") == {**got, "Content": got["Content"].replace("\u2005", " ")}


@pytest.mark.parametrize("name", ["cmd222_file_from_upload", "cmd222_file_from_upload_second_recipient"])
def test_the_answer_of_an_upload_is_passed_on_as_recorded(name: str) -> None:
    md5 = ASSETS["plan.txt"][4]
    media = Media("a" * 64, md5, 0, 7777, "file", "text/plain", "txt", name="meeting plan.txt")
    handle = Handle(ALL["cdnupload_file"]["response"]["body"]["ResponseData"], "account")
    assert recorded(name) == composed([File(media)], recorded(name)["ToUserName"], handle.token)


def test_an_uploaded_picture_is_sent_as_recorded() -> None:
    media = Media("a" * 64, ASSETS["photo.jpg"][4], 0, 68112, "image", "image/jpeg", "jpeg")
    xml = ALL["cdnupload_image"]["response"]["body"]["ResponseData"]

    assert recorded("cmd110_image_xml") == composed([Image(media)], "wxid_ben0000000003", xml)


def test_a_received_file_is_sent_on_as_recorded() -> None:
    received = ALL["ws_msg_file"]["request"]["body"]["CurrentPacket"]["Data"]["AddMsg"]["Content"]
    reference = {"platform": "ohwxapi", "type": 49, "xml": received, "id": "1"}

    got = composed([Forward("file", reference, "plan.txt")], GROUP)

    assert {"ToUserName": GROUP, "AppMsgXml": parse_card(received).xml, "MsgType": 49} == got
    assert got["AppMsgXml"] in received


def test_a_link_is_composed_with_the_recorded_elements() -> None:
    link = Link(
        "https://news.example.org/a?id=17&src=card",
        "Bridge opens to walkers",
        "The east bank path is 4 km long & step-free.",
        "https://news.example.org/t/17.jpg",
    )

    got = composed([link], "wxid_ada0000000002")

    wanted = recorded("cmd222_link")
    assert tags(wanted["AppMsgXml"]) == tags(got["AppMsgXml"])
    assert (link,) == parse_card(got["AppMsgXml"]).segments() == parse_card(wanted["AppMsgXml"]).segments()
    assert {**wanted, "AppMsgXml": ""} == {**got, "AppMsgXml": ""}


def test_a_quote_is_composed_with_the_recorded_elements() -> None:
    quote = Quote("5786467363533418463", "Three or four o'clock?", "wxid_ada0000000002", "Ada", at=1721549700.0)

    got = composed([quote, "Agreed, let us meet at three."], GROUP)["AppMsgXml"]

    wanted = recorded("cmd222_quote")["AppMsgXml"]
    assert set(tags(wanted)) == set(tags(got))
    assert parse_card(wanted).segments() == parse_card(got).segments()


def test_a_contact_card_is_composed_with_the_recorded_attributes() -> None:
    got = composed([ContactCard("wxid_ben0000000003", "Ben", "ben_wx")], "wxid_ada0000000002")

    wanted = recorded("cmd522_card")
    assert list(wanted) == list(got)
    assert re.findall(r" (\w+)=", wanted["Content"]) == re.findall(r" (\w+)=", got["Content"])


def test_a_received_contact_card_is_sent_on_byte_for_byte() -> None:
    xml = recorded("cmd522_card")["Content"]

    assert recorded("cmd522_card") == composed([ContactCard("x", xml=xml)], "wxid_ada0000000002")


def tags(xml: str) -> list[str]:
    return re.findall(r"<(\w+)", xml)


# --- their pushes, our events -----------------------------------------------------------------------------------------


def event(name: str) -> Any:
    raw = ALL[name]["request"]["body"]
    push = wire.read_push(json.dumps(raw))
    assert push is not None
    return convert.parse(push, raw, "ohwxapi.main", SELF, 1721550100.0)


ADA = Target("ohwxapi.main", "user", "wxid_ada0000000002")
CYD = Target("ohwxapi.main", "user", "wxid_cyd0000000004")
IN_GROUP = Target("ohwxapi.main", "group", GROUP)


@pytest.mark.parametrize(
    ("name", "kind", "target", "sender"),
    [
        ("ws_msg_text_private", EventKind.MESSAGE, ADA, ADA.id),
        ("ws_msg_text_group_mention", EventKind.MESSAGE, IN_GROUP, ADA.id),
        ("ws_msg_own", EventKind.SENT, IN_GROUP, SELF),
        ("ws_msg_file", EventKind.MESSAGE, ADA, ADA.id),
        ("ws_msg_voice", EventKind.MESSAGE, ADA, ADA.id),
        ("ws_msg_join_notice", EventKind.OTHER, IN_GROUP, ""),
        ("ws_event_contact_change", EventKind.OTHER, IN_GROUP, ""),
        ("ws_event_friend_request", EventKind.FRIEND_REQUESTED, CYD, CYD.id),
    ],
)
def test_recorded_pushes_are_read(name: str, kind: EventKind, target: Target | None, sender: str) -> None:
    got = event(name)

    assert (kind, target, sender) == (got.kind, got.target, got.sender)


def test_the_parts_of_recorded_messages_are_read() -> None:
    private, mention, file, voice = map(
        event, ["ws_msg_text_private", "ws_msg_text_group_mention", "ws_msg_file", "ws_msg_voice"]
    )

    assert ("6405875917972922813", 1721550001.0) == (private.id, private.at)
    assert (Text("hello bot"),) == private.message.segments
    assert (Mention(SELF, "Yizhan Bot", own=True), Text("Three or four o'clock?")) == mention.message.segments
    assert "Ada" == mention.sender_name
    assert ("file", "plan.txt") == (file.message.segments[0].kind, file.message.segments[0].name)
    assert "voice" == voice.message.segments[0].kind


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ws_msg_file", {"FileType": 5, "AesKey": "418265a694bc8d2bbc0d31d3814c72c2"}),
        ("ws_msg_voice", {"FileType": 128, "MsgId": 1032541876}),
    ],
)
def test_recorded_references_become_downloads(name: str, wanted: dict[str, Any]) -> None:
    asked = convert.download_of(event(name).message.segments[0].reference)

    got = json.loads(msgspec.json.encode(asked))
    assert wanted == {key: got[key] for key in wanted}
    assert got.get("FileId", got.get("VoiceXml"))
