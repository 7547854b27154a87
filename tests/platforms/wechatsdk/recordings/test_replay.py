"""Requests of the vendor's pages and of real clients, replayed against our server and compared with our client's."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from tests.support import Served, serve
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
    Message,
    MiniProgram,
    Quote,
    Sticker,
    Target,
    Text,
)
from yizhan.platforms.wechat_xml import parse_card
from yizhan.platforms.wechatsdk import PLATFORM, convert, wire
from yizhan.platforms.wechatsdk.server import Server
from yizhan.wire import Endpoint, HttpRequest, decode_request, encode_request

DATA = Path(__file__).parent / "data"
ALL = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(DATA.glob("*.json"))}
PUSHES = [name for name, recording in ALL.items() if recording.get("direction") == "push"]
CALLS = [name for name in ALL if name not in PUSHES]
SELF, ADA, GROUP = "wxid_yz0self0000001", "wxid_ada0000000002", "12345678901@chatroom"
BY_NUMBER = {e.constants["type"]: e for e in vars(wire).values() if isinstance(e, Endpoint)}

ASSETS = {
    "plan.txt": (7777, b"yizhan test plan\n", 7, 1, "418265a694bc8d2bbc0d31d3814c72c2"),
    "photo.jpg": (68112, b"\xff\xd8\xff\xe0", 11, 2, "88652e28b4b48bc6e7048cc4bb876d40"),
    "cover.jpg": (18320, b"\xff\xd8\xff\xe0", 13, 3, "c5d2fde61d934ab37710aa3f66ae0bdf"),
    "clip.mp4": (912000, b"\x00\x00\x00\x18ftypmp42", 17, 4, "d8dfcc4a8b6dfa78e88e44e689ea80dd"),
    "voice.silk": (4102, b"\x02#!SILK_V3", 19, 5, "0686363be669e2a1ee2bb04ed162946d"),
    "sticker.gif": (20480, b"GIF89a", 23, 6, "a6795022ef742710ed69f1c1fcfaaabf"),
    "atlas.zip": (26214401, b"PK\x03\x04", 29, 7, "6185bc9fd06c81be2ff30d2208ee3adc"),
}
UPLOADED = {
    "3057020100044b30490201000204c9476ca3": ("plan.txt", wire.CDN_FILE),
    "3057020100044b3049020100020430ffddd8": ("photo.jpg", wire.CDN_IMAGE),
    "3057020100044b30490201000204fc56718f": ("atlas.zip", wire.CDN_LARGE_FILE),
    "3057020100044b3049020100020486681d98": ("voice.silk", wire.CDN_VOICE),
}
"""The kinds of recorded ids, by their beginning."""


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
async def served() -> AsyncIterator[Served]:
    async with serve(PLATFORM) as made:
        network = made.world.network("wechat")
        for id, name in [(ADA, "Ada"), ("wxid_ben0000000003", "Ben"), ("longdan_1998", "Dan")]:
            network.add_person(id, name)
        network.add_person("wxid_cyd0000000004", "Cyd", friends=False)
        network.add_group(GROUP, "Harbour Walkers", [ADA, "wxid_ben0000000003", "longdan_1998"], owner=ADA)
        server = made.server
        assert isinstance(server, Server)
        server.account.profile.userName = SELF
        server.account.profile.nickName = "Yizhan Bot"
        yield made


async def prepare(name: str, body: Any, served: Served) -> None:
    """Prepare the state that the recorded call needs: files, uploads, an earlier message, a key, a state."""
    server = served.server
    assert isinstance(server, Server)
    if not isinstance(body, dict):
        return
    for field in ("filePath", "emojiPath"):
        if field in body:
            place = server.folders.drive / "yizhan/out" / body[field].rpartition("\\")[2]
            place.parent.mkdir(parents=True)
            place.write_bytes(asset(place.name))
    for begins, (source, file_type) in UPLOADED.items():
        if str(body.get("fileid", "")).startswith(begins):
            blob = await served.world.blobs.add(asset(source))
            stored = await server.cdn.put(blob, body["aeskey"], file_type, body["fileid"])
            stored.answer.rawfilekey = body.get("rawfilekey", stored.answer.rawfilekey)
    if body["type"] == 58:
        served.world.post(
            network="wechat", platform="wechatsdk", call="send_text", account=SELF, sender=SELF, target="filehelper",
            target_kind="user", kind="text", message_id=str(body["msgSvrID"]),
        )  # fmt: skip
    if name == "type0000_login_qrcode":
        server.account.logged_in = False
    if name == "error_10004_licence_expired":
        server.rules = server.rules.overridden({"licence.expired": True})
    if "secretKey" in body:
        server.account.secret = body["secretKey"]
    if body["type"] == 1002:
        server.pushes.register(wire.BY_HTTP, "http://127.0.0.1:9/x")


@pytest.mark.parametrize("name", CALLS)
async def test_a_recorded_request_is_answered_as_recorded(name: str, served: Served) -> None:
    recording = ALL[name]
    request, wanted = recording["request"], recording["response"]
    await prepare(name, request["body"], served)
    body = request["body"] if isinstance(request["body"], str) else json.dumps(request["body"])

    async with ClientSession() as session:
        headers = {"Content-Type": request["content_type"]}
        async with session.post(served.url + request["path"], data=body, headers=headers) as answer:
            got = json.loads(await answer.text())

    assert (wanted["status"], wanted["content_type"]) == (answer.status, answer.headers["Content-Type"])
    assert [] == list(differences(wanted["body"], got))


# Values that are random, belong to an identity of the recordings, or are texts.
FREE = frozenset(
    {
        "msgSvrID",
        "szMsgSvrID",
        "cookie",
        "fileid",
        "filekey",
        "rawfilekey",
        "pid",
        "pushTime",
        "desc",
        "description",
        "uuid",
        "alias",
        "smallHeadImgUrl",
        "bigHeadImgUrl",
        "signature",
        "encryptUserName",
        "remark",
        "chatroomUserName",
        "announcement",
        "chatroomAdminUserNames",
        "members",
        "nation",
        "createTime",
        "createtime",
        "chatroomMemberInfoVerion",
        "count",
        "userNames",
        "labelIds",
        "sex",
        "userFlag",
        "fullpy",
        "simplepy",
    }
)


def differences(wanted: Any, got: Any, path: str = "$", free: bool = False) -> Iterator[str]:
    """Where `got` lacks something of `wanted`, has it in another form, or another value that matters."""
    if type(wanted) is not type(got):
        yield f"{path}: {type(got).__name__}, recorded {type(wanted).__name__}"
    elif isinstance(wanted, dict):
        yield from (f"{path}.{key} is missing" for key in wanted if key not in got)
        for key in wanted.keys() & got.keys():
            yield from differences(wanted[key], got[key], f"{path}.{key}", free or key in FREE)
    elif isinstance(wanted, list):
        if wanted and not got and not free:
            yield f"{path} is empty"
        for one, other in zip(wanted[:2], got[:2], strict=False):
            yield from differences(one, other, f"{path}[]", True)
    elif wanted != got and not free:
        yield f"{path}: {got!r}, recorded {wanted!r}"


# --- their requests, our words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("error_1000")])
def test_our_structs_write_a_recorded_request_field_by_field(name: str) -> None:
    body = ALL[name]["request"]["body"]
    endpoint = BY_NUMBER[body["type"]]

    request = decode_request(endpoint, HttpRequest("POST", wire.PATH, body=(json.dumps(body).encode(),)))
    written = json.loads(b"".join(p for p in encode_request(endpoint, request).body if isinstance(p, bytes)))

    optional = {"insertToDatabase": True, "version": 0, "fileType": 5, "msgType": 33}
    assert body == {**{k: v for k, v in optional.items() if k in body and k not in written}, **written}
    assert ALL[name]["operation"] == endpoint.name


def media(name: str, kind: Any, format: str) -> Media:
    data = asset(name)
    return Media(
        hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), zlib.crc32(data), len(data), kind, "", format,
        name=name,
    )  # fmt: skip


def upload_of(name: str) -> str:
    uploaded = msgspec.convert(ALL[name]["response"]["body"]["data"]["data"], wire.Uploaded)
    return convert.kept_of(uploaded, ALL[name]["request"]["body"]["fileType"])


LINK = Link(
    "https://news.example.org/a?id=17&src=card",
    "Bridge opens to walkers",
    "The east bank path is 4 km long & step-free.",
    "https://news.example.org/t/17.jpg",
)
PROGRAM = MiniProgram(
    "wx00112233445566aa",
    "gh_0a1b2c3d4e5f@app",
    "Order two coffees together",
    "pages/order/index.html?table=7&from=share",
    display_name="Corner Coffee",
    icon_url="https://img.example.org/coffee.png",
)
QUOTE = Quote("5920495697907087759", "Three or four o'clock?", ADA)
NONCE = "8800000000000000001_0_20_2_1_1721550000000000_a0b1c2d3"


@pytest.mark.parametrize(
    ("name", "segments", "upload"),
    [
        ("type10009_text", (Text("hello from yizhan"),), ""),
        ("type10009_text_mention", (Mention(ADA, "Ada"), Text("the plan is in the files")), ""),
        ("type10098_forward_file", (File(media("plan.txt", "file", "txt"), "111.txt"),), "type0007_cdn_upload_file"),
        (
            "type10098_forward_file_second_recipient",
            (File(media("plan.txt", "file", "txt")),),
            "type0007_cdn_upload_file",
        ),
        ("type10097_forward_image", (Image(media("photo.jpg", "image", "jpeg")),), "type0007_cdn_upload_image"),
        ("type10037_card", (ContactCard("wxid_ben0000000003"),), ""),
        ("type10108_channel_card", (ContactCard("v2_0600002310aabbccddeeff00112233445566778899@finder"),), ""),
        ("type10109_channel_video", (ChannelVideo("14300000000000000001", NONCE),), ""),
        ("type10056_quote", (QUOTE, Text("Agreed, let us meet at three.")), ""),
        ("type10092_link", (LINK,), ""),
        ("type10053_mini_program", (PROGRAM,), ""),
        ("type10011_sticker", (Sticker(media("sticker.gif", "image", "gif")),), "path"),
    ],
)
def test_our_client_sends_the_recorded_requests(name: str, segments: Any, upload: str) -> None:
    recorded = dict(ALL[name]["request"]["body"])
    kind = "group" if recorded["userName"].endswith("@chatroom") else "user"
    (part,) = convert.compose(Message(segments), Target("wechatsdk.main", kind, recorded["userName"]), PLATFORM.rules())
    token = json.dumps({"path": recorded["emojiPath"]}) if upload == "path" else upload_of(upload) if upload else ""
    request = convert.complete(part.body, token)
    said = json.loads(b"".join(p for p in encode_request(part.body.endpoint, request).body if isinstance(p, bytes)))

    # Left out by us where it is the documented default.
    for field, default in (("insertToDatabase", True), ("fileType", 5), ("msgType", 33)):
        assert recorded.pop(field, default) == said.pop(field, default)
    if "<appmsg" in str(said.get("content")):
        ours, theirs = parse_card(said.pop("content")), parse_card(recorded.pop("content"))
        assert (theirs.type, theirs.segments()) == (ours.type, ours.segments())
        assert [c.tag for c in theirs.root if c.tag in {o.tag for o in ours.root}] == [
            c.tag for c in ours.root if c.tag in {o.tag for o in theirs.root}
        ]
    assert recorded == said


async def test_our_upload_and_download_are_the_recorded_ones(served: Served, tmp_path: Path) -> None:
    recorded = ALL["type0007_cdn_upload_file"]["request"]["body"]
    request = wire.Upload(filePath=recorded["filePath"], aeskey=ASSETS["plan.txt"][4], fileType=5)
    asked = ALL["type0088_cdn_download_file"]["request"]["body"]
    download = convert.download_of(
        {"fileid": asked["fileid"], "aeskey": asked["aeskey"], "fileType": 5}, asked["savePath"]
    )

    assert recorded == json.loads(encode_request(wire.CDN_UPLOAD, request).body[0])  # type: ignore[arg-type]
    assert asked == json.loads(encode_request(wire.CDN_DOWNLOAD, download).body[0])  # type: ignore[arg-type]


# --- their pushes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUSHES)
def test_a_recorded_push_becomes_an_event(name: str) -> None:
    body = ALL[name]["request"]["body"]

    (event,) = convert.parse(body, "wechatsdk.main", 1.0)

    assert _EVENTS[name] == (event.kind, event.target and event.target.id, event.sender)
    assert event.at in (float(body["pushTime"]), float(body["data"].get("createtime", 0)))
    if "szMsgSvrID" in body["data"]:
        assert body["data"]["szMsgSvrID"] == event.id.removeprefix("push0:")


_EVENTS: dict[str, tuple[EventKind, str | None, str]] = {
    "push0_async_result": (EventKind.SENT, None, ""),
    "push1_file_group": (EventKind.MESSAGE, GROUP, ADA),
    "push1_file_private": (EventKind.MESSAGE, ADA, ADA),
    "push1_friend_request": (EventKind.FRIEND_REQUESTED, "wxid_cyd0000000004", "wxid_cyd0000000004"),
    "push1_mini_program": (EventKind.MESSAGE, ADA, ADA),
    "push1_quote": (EventKind.MESSAGE, GROUP, ADA),
    "push1_text_private": (EventKind.MESSAGE, ADA, ADA),
    "push2_login_scanned": (EventKind.OTHER, None, ""),
    "push2_login_waiting": (EventKind.OTHER, None, ""),
    "push3_logout": (EventKind.LOGIN_LOST, None, ""),
    "push4_own_message": (EventKind.SENT, ADA, ""),
}


def test_recorded_cards_are_parsed_by_their_type() -> None:
    def segments(name: str) -> Any:
        (event,) = convert.parse(ALL[name]["request"]["body"], "wechatsdk.main", 1.0)
        message = event.message
        assert message is not None
        return message.segments

    (file,) = segments("push1_file_group")
    assert isinstance(file, Forward)
    assert ("plan.txt", 7777, wire.CDN_FILE) == (file.name, file.reference["size"], file.reference["fileType"])
    (program,) = segments("push1_mini_program")
    assert PROGRAM == msgspec.structs.replace(program, thumb_url="")
    quote = Quote("5245109014869740841", "the plan is in the files", SELF, "Yizhan Bot", at=1721549700.0)
    assert (quote, Text("thanks")) == segments("push1_quote")


@pytest.fixture
async def heard() -> AsyncIterator[tuple[str, list[Any]]]:
    """A receiver of pushes over HTTP, and the pushes."""
    pushes: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        pushes.append(await request.json())
        return web.json_response({"success": "true"})

    app = web.Application()
    app.router.add_post("/wechatSDK", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/wechatSDK", pushes
    await runner.cleanup()


async def test_our_pushes_have_everything_that_was_recorded(served: Served, heard: Any) -> None:
    server = served.server
    assert isinstance(server, Server)
    url, pushes = heard
    await server.webhook(url)
    blob = await served.world.blobs.add(asset("plan.txt"))
    await server.say(ADA, "bot", text="hello bot")
    await server.say(ADA, "bot", media=blob, kind="file", name="plan.txt")
    await server.say(ADA, GROUP, media=blob, kind="file", name="plan.txt")
    server.event_source.request_friendship("wxid_cyd0000000004", "Hello, I am Cyd")
    server.event_source.write_by_hand(ADA, "typed by hand")
    async with ClientSession() as session:
        upload = {"type": 10009, "userName": ADA, "msgContent": "x", "bAsync": True, "asyncUserData": "job-17"}
        await (await session.post(served.url + "/api/", json=upload)).read()
        await (await session.post(served.url + "/api/", json={"type": 81})).read()
        await (await session.post(served.url + "/api/", json={"type": 0})).read()
    names = [
        "push1_text_private",
        "push1_file_private",
        "push1_file_group",
        "push1_friend_request",
        "push4_own_message",
        "push0_async_result",
        "push3_logout",
        "push2_login_waiting",
        "push2_login_scanned",
    ]
    for _ in range(2000):
        if len(pushes) >= 11:
            break
        await served.world.clock.sleep(0.005)

    lacking = [
        f"{name}: {line}"
        for name, push in zip(names, pushes, strict=False)
        for line in differences(ALL[name]["request"]["body"], push, free=True)
    ]
    assert [] == lacking
    assert [1, 1, 1, 1, 4, 0, 3, 2, 2, 2, 2] == [push["pushType"] for push in pushes]
    assert "job-17" == pushes[5]["asyncUserData"] == pushes[5]["data"]["asyncUserData"]
