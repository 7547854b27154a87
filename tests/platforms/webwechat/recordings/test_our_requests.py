"""The requests of our client, compared field by field with those of published clients."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.platforms.webwechat.recordings.replay import FILES, load
from tests.support import context, serve
from yizhan.http.router import Exchange
from yizhan.model import (
    BytesContent,
    Content,
    File,
    Forward,
    Image,
    Media,
    Receipt,
    SendKey,
    State,
    Sticker,
    Target,
    Text,
    Video,
    message_of,
)
from yizhan.platforms.webwechat import PLATFORM, wire
from yizhan.platforms.webwechat.client import Adapter

ALLOWED = {
    # The browser bundle sends these; the recorded clients leave some of them out.
    "webwxsendmsgimg": {"Msg.Content", "lang", "pass_ticket"},
    "webwxsendvideomsg": {"Msg.Content", "lang", "pass_ticket"},
    "webwxsendmsg": {"lang", "pass_ticket"},
    "webwxrevokemsg": {"lang", "pass_ticket"},
    "webwxinit": {"lang"},
    "webwxgetcontact": {"lang", "pass_ticket"},
    "webwxstatusnotify": {"lang", "pass_ticket"},
    "webwxsync": {"lang"},
    "webwxupdatechatroom": {"pass_ticket"},
    "webwxsendappmsg": {"Msg.Signature", "lang", "pass_ticket"},
    "webwxsendemoticon": {"lang", "pass_ticket"},
    "webwxoplog": {"lang"},
    # The documentation has it; the recorded clients leave it out.
    "jslogin": {"_"},
}
NAMED_OTHERWISE = {"MsgID", "msgid", "filename", "encryfilename", "List.EncryChatRoomId", "List.ChatRoomId"}
"""Read in any of these spellings; ours are the ones of the documentation."""


def media(data: bytes, kind: Any, format: str, mime: str, name: str) -> Media:
    return Media(
        hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest(), 0, len(data), kind, mime, format, name=name
    )


PICTURE = b"\x89PNG picture"
CLIP = b"\0\0\0\x18ftypisom clip"
GIF = b"GIF89a gif"
SMALL = "中文文件名\n".encode()
BIG = bytes(1_300_000)


@pytest.fixture
async def ours() -> Any:
    """Every call of our client, once: operation → exchange, as the recordings name operations."""
    contents: dict[str, Content] = {}

    def made(data: bytes, *more: Any) -> Media:
        found = media(data, *more)
        contents[found.sha256] = BytesContent(data)
        return found

    async with serve(PLATFORM, rules={"synccheck.hold_seconds": 0.05}) as served:
        server: Any = served.server
        adapter = Adapter(context(PLATFORM, served, {"base_url": served.url}))
        taken: dict[str, Exchange] = {}

        def take(operation: str, index: int = -1) -> None:
            taken[operation] = served.exchanges[index]

        alice = Target("webwechat.main", "user", "Alice")

        async def send(segment: Any, operation: str) -> Any:
            message = message_of(segment)
            (part,) = adapter.compose(message, alice)
            handles = {need: await adapter.upload(need, contents[need.media.sha256], alice) for need in part.needs}
            sent = await adapter.send(part, handles, alice, SendKey(len(served.exchanges), 1), message)
            take(operation)
            return sent

        await adapter.login(lambda step: None)
        for exchange in served.exchanges:
            name = {"login": "login_poll", "webwxstatusnotify": "webwxstatusnotify_code3"}.get(exchange.endpoint)
            taken[name or exchange.endpoint] = exchange
        await adapter.mark_read(alice)
        take("webwxstatusnotify_code1")
        sent = await send(Text("hello"), "webwxsendmsg")
        await adapter.recall(sent, alice, Receipt("d", str(alice), State.SENT))
        take("webwxrevokemsg")
        for segment, upload, operation in (
            (Image(made(PICTURE, "image", "png", "image/png", "pic.png")), "image", "webwxsendmsgimg"),
            (Video(made(CLIP, "video", "mp4", "video/mp4", "clip.mp4")), "video", "webwxsendvideomsg_video"),
            (Sticker(made(GIF, "image", "gif", "image/gif", "a.gif")), "gif", "webwxsendemoticon_gif"),
            (
                File(made(SMALL, "file", "", "text/plain", "报告 1.txt")),
                "file_cjk_name",
                "webwxsendappmsg_file_cjk_name",
            ),
        ):
            await send(segment, operation)
            take(f"webwxuploadmedia_{upload}", -2)
        await send(File(made(BIG, "file", "", "application/octet-stream", "big.bin")), "webwxsendappmsg_file_big")
        take("webwxuploadmedia_file_big_chunk0", -4)
        take("webwxuploadmedia_file_big_chunk2", -2)
        await send(Sticker(md5="ab" * 16), "webwxsendemoticon_by_md5")

        blob = await served.world.blobs.add(PICTURE)
        events = adapter.events()
        await server.say("wxid_alice", "bot", media=blob, kind="image")
        event = await anext(events)
        taken["synccheck_selector2"] = next(e for e in served.exchanges if e.endpoint == "synccheck")
        taken["webwxsync"] = next(e for e in served.exchanges if e.endpoint == "webwxsync")
        forward = event.message.segments[0]
        assert isinstance(forward, Forward)
        await send(forward, "webwxsendmsgimg_forward")
        await _download(adapter, forward.reference)
        take("webwxgetmsgimg")
        for kind, operation in (("video", "webwxgetvideo"), ("voice", "webwxgetvoice"), ("file", "webwxgetmedia")):
            await server.say("wxid_alice", "bot", media=blob, kind=kind, name="note.txt")
            event = await anext(events)
            await _download(adapter, event.message.segments[0].reference)
            take(operation)
        await _other(adapter, take)
        await adapter.logout()
        take("webwxlogout")
        await adapter.close()
        for exchange in served.exchanges:
            taken.setdefault(exchange.endpoint, exchange)
        yield taken


async def _download(adapter: Adapter, reference: dict[str, Any]) -> None:
    assert b"".join([chunk async for chunk in adapter.open_reference(reference)])


async def _other(adapter: Adapter, take: Any) -> None:
    webwx, call = adapter.webwx, adapter.call
    alice = await adapter._contacts.user_name(Target("webwechat.main", "user", "Alice"))
    bob = await adapter._contacts.user_name(Target("webwechat.main", "user", "Bob"))
    await call(wire.OPLOG, wire.OpLog(UserName=alice, RemarkName="爱丽丝"))
    take("webwxoplog_cmd2")
    await call(wire.OPLOG, wire.OpLog(CmdId=wire.PIN, OP=1, UserName=alice, RemarkName="爱丽丝"))
    take("webwxoplog_cmd3")
    people = [wire.VerifyUserEntry(Value=alice, VerifyUserTicket="ticket")]
    await call(wire.VERIFY_USER, wire.VerifyUser(Opcode=wire.ACCEPT, VerifyUserList=people, VerifyContent="hi", r=1))
    take("webwxverifyuser")
    members = [wire.MemberName(alice), wire.MemberName(bob)]
    made = await call(wire.CREATE_ROOM, wire.CreateRoom(MemberCount=2, MemberList=members, Topic="topic", r=1))
    take("webwxcreatechatroom")
    room = made.ChatRoomName
    await call(wire.UPDATE_ROOM, wire.UpdateRoom(ChatRoomName=room, fun="addmember", AddMemberList=alice))
    take("webwxupdatechatroom_addmember")
    await call(wire.UPDATE_ROOM, wire.UpdateRoom(ChatRoomName=room, fun="modtopic", NewTopic="new name"))
    take("webwxupdatechatroom_modtopic")
    await webwx.webwxbatchgetcontact([room])
    take("webwxbatchgetcontact")
    await webwx.webwxpushloginurl(webwx.ready.uin)
    take("webwxpushloginurl")


def recorded_of(operation: str) -> list[dict[str, Any]]:
    wanted = {f"{client}__{operation}" for client in ("itchat-uos", "itchat", "wechat4u")}
    if operation == "login_poll":
        wanted = {name for name in FILES if "__login_poll" in name}
    return [load(name) for name in FILES if name in wanted]


def fields_of_recorded(recorded: dict[str, Any]) -> set[str]:
    request = recorded["request"]
    return {name for name, _ in request["query"]} | members(request["body"].get("json", {}))


def fields_of_ours(exchange: Exchange) -> set[str]:
    http = exchange.http
    body = b"".join(piece for piece in http.body if isinstance(piece, bytes))
    return {name for name, _ in http.query} | members(json.loads(body) if body else {})


def members(value: Any, prefix: str = "") -> set[str]:
    """Dotted names of all members, those of list elements too."""
    if isinstance(value, list):
        return set().union(*(members(item, prefix) for item in value))
    if not isinstance(value, dict):
        return set()
    return set().union(*({f"{prefix}{k}"} | members(v, f"{prefix}{k}.") for k, v in value.items()))


async def test_our_client_makes_every_recorded_call(ours: dict[str, Exchange]) -> None:
    recorded = {name.partition("__")[2] for name in FILES}
    recorded = {"login_poll" if name.startswith("login_poll") else name for name in recorded}
    # Pictures of contacts and the page's statistics are of no use to a sender; the variants differ in their bytes only.
    others = {"webwxgeticon", "webwxgetheadimg", "webwxstatreport", "synccheck_selector0"}
    variants = {"webwxsendappmsg_file", "webwxuploadmedia_file"}

    assert set() == recorded - others - variants - set(ours)


async def test_our_requests_have_the_recorded_fields(ours: dict[str, Exchange]) -> None:
    wrong = []
    for operation, exchange in ours.items():
        found = recorded_of(operation)
        if not found or "upload" in operation:
            continue
        sets = [fields_of_recorded(recorded) for recorded in found]
        fields, extra = fields_of_ours(exchange), ALLOWED.get(exchange.endpoint, set())
        missing = set.intersection(*sets) - fields - NAMED_OTHERWISE
        strange = fields - set().union(*sets) - extra - NAMED_OTHERWISE
        if missing or strange:
            wrong.append(f"{operation}: missing {sorted(missing)}, strange {sorted(strange)}")

    assert "" == "\n".join(wrong)


async def test_our_constants_equal_the_recorded_ones(ours: dict[str, Exchange]) -> None:
    for operation, exchange in ours.items():
        for recorded in recorded_of(operation):
            theirs = recorded["request"]["body"].get("json")
            if theirs and "Msg" in theirs:
                mine = json.loads(b"".join(p for p in exchange.http.body if isinstance(p, bytes)))
                for constant in ("Type", "EmojiFlag"):
                    assert theirs["Msg"].get(constant) == mine["Msg"].get(constant), operation
                assert theirs["Scene"] == mine["Scene"], operation


@pytest.mark.parametrize("what", ["image", "video", "gif", "file_cjk_name", "file_big_chunk0", "file_big_chunk2"])
async def test_our_upload_has_the_recorded_fields_in_the_recorded_order(what: str, ours: dict[str, Exchange]) -> None:
    exchange = ours[f"webwxuploadmedia_{what}"]
    recorded = load(f"itchat-uos__webwxuploadmedia_{what}")["request"]
    theirs = {field["name"]: field for field in recorded["body"]["fields"]}
    mine = {part.name: part for part in exchange.http.parts}

    assert list(theirs) == list(mine)
    for name in {"type", "mediatype", "chunks", "chunk"} & set(theirs):
        assert theirs[name]["value"] == mine[name].value, name
    inside = json.loads(str(mine["uploadmediarequest"].value))
    assert list(theirs["uploadmediarequest"]["value_json"]) == list(inside)
    # The recorded clients name the file helper; the protocol's page, like ours, the receiver.
    assert inside["ToUserName"].startswith("@")
    constant = ("UploadType", "StartPos", "MediaType")
    assert [theirs["uploadmediarequest"]["value_json"][n] for n in constant] == [inside[n] for n in constant]
    assert mine["size"].value == str(inside["TotalLen"]) == str(inside["DataLen"])
    assert [["f", "json"]] == [list(pair) for pair in exchange.http.query] == recorded["query"]


async def test_all_chunks_of_a_file_repeat_the_same_request(ours: dict[str, Exchange]) -> None:
    first, last = (ours[f"webwxuploadmedia_file_big_chunk{n}"].http.parts for n in (0, 2))

    assert [p.value for p in first if p.name == "uploadmediarequest"] == [
        p.value for p in last if p.name == "uploadmediarequest"
    ]


async def test_a_file_name_outside_ascii_is_sent_unencoded(ours: dict[str, Exchange]) -> None:
    (part,) = [p for p in ours["webwxuploadmedia_file_cjk_name"].http.parts if p.name == "filename"]

    assert 'form-data; name="filename"; filename="报告 1.txt"' == part.disposition


async def test_our_file_card_has_the_recorded_elements(ours: dict[str, Exchange]) -> None:
    import re

    def bare(card: str) -> str:
        return re.sub(r">[^<]*<", "><", card)

    theirs = load("itchat-uos__webwxsendappmsg_file_cjk_name")["request"]["body"]["json"]["Msg"]["Content"]
    body = b"".join(p for p in ours["webwxsendappmsg_file_cjk_name"].http.body if isinstance(p, bytes))

    assert bare(theirs) == bare(json.loads(body)["Msg"]["Content"])
