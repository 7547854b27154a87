"""Recorded requests of three published clients get responses with at least the recorded members."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.platforms.webwechat.recordings.replay import (
    FILES,
    Answer,
    Login,
    content_of,
    exchange,
    form_of,
    lacking,
    load,
    replaced,
    request_bytes,
    substitutions,
)
from tests.support import Served, context, serve
from yizhan.model import BytesContent, Media, Target
from yizhan.platforms.adapter import MediaNeed
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import PLATFORM
from yizhan.platforms.webwechat.client import Adapter
from yizhan.platforms.webwechat.wire.content import cdn_reference, unescape_content

QUICK = {"synccheck.hold_seconds": 0.05, "login.hold_seconds": 0.05}
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(2000)


class Stage:
    """The sandbox with one login, prepared for a recording."""

    def __init__(self, served: Served, adapter: Adapter) -> None:
        self.served = served
        self.adapter = adapter
        self.server: Any = served.server
        self.port = int(served.url.rpartition(":")[2])

    async def login(self) -> Login:
        await self.adapter.login(lambda step: None)
        saved = self.adapter.webwx.ready
        names = self.server.sessions[saved.sid].names
        return Login(saved, names.of("person", "wxid_alice"), names.of("room", "10001@chatroom"))

    async def prepare(self, recorded: dict[str, Any], login: Login) -> None:
        """Create the messages and files that the recorded request names."""
        operation = recorded["operation"]
        session = self.server.sessions[login.session.sid]
        login.sync_at = 700000000 + session.end
        if operation.startswith(("webwxsendmsgimg", "webwxsendvideo", "webwxsendapp", "webwxsendemoticon_gif")):
            login.media_id = await self._placed(operation)
        if operation == "webwxrevokemsg":
            login.message_id = await self._sent(login)
        if operation.startswith(("webwxgetmsgimg", "webwxgetvideo", "webwxgetvoice", "webwxgetmedia")):
            kind = {"webwxgetvideo": "video", "webwxgetvoice": "voice", "webwxgetmedia": "file"}.get(operation, "image")
            login.message_id = await self._said(kind)
            login.received_id = next((i for i, placed in session.media.items() if placed.received), "")
        if operation.endswith("_forward"):
            await self._said("image")
            found = cdn_reference(unescape_content(session.since(session.end - 1)[0].Content))
            assert found is not None
            login.image = (found.aeskey, found.url, found.md5)
        if operation in ("webwxsync", "synccheck_selector2"):
            await self.adapter.webwx.webwxstatusnotify(3, login.session.me)
            await self.server.say("wxid_alice", "bot", text="hello")
        if operation.startswith(("login_poll", "webwxnewloginpage")):
            await self._code(operation, login)
        if operation.startswith("webwxuploadmedia"):
            await self._chunks(recorded, login)

    async def _code(self, operation: str, login: Login) -> None:
        login.uuid = await self.adapter.webwx.jslogin()
        match operation:
            case "login_poll_201":
                await self.server.login(login.uuid, "scan")
            case "login_poll_200":
                await self.server.login(login.uuid, "confirm")
            case "webwxnewloginpage":
                await self.server.login(login.uuid, "confirm")
                polled = await self.adapter.webwx.login(login.uuid, 1)
                login.ticket = parse_qs(urlsplit(polled.redirect_uri).query)["ticket"][0]

    async def _chunks(self, recorded: dict[str, Any], login: Login) -> None:
        """The digest of the bytes that we send; and the parts before the recorded one."""
        fields = {f["name"]: f for f in recorded["request"]["body"]["fields"]}
        inside = fields["uploadmediarequest"]["value_json"]
        data = content_of(fields["filename"]["content"])
        if "chunk" not in fields:
            if inside.get("FileMd5"):
                login.more[inside["FileMd5"]] = hashlib.md5(data).hexdigest()
            return
        parts = [bytes([n]) * 524288 for n in range(int(fields["chunk"]["value"]))] + [data]
        if inside.get("FileMd5"):
            login.more[inside["FileMd5"]] = hashlib.md5(b"".join(parts)).hexdigest()
        for number, part in enumerate(parts[:-1]):
            earlier = load(f"{recorded['client']}__webwxuploadmedia_file_big_chunk0")
            wire = request_bytes(earlier, substitutions(earlier, login), self.port)
            first = next(f for f in earlier["request"]["body"]["fields"] if f["name"] == "filename")
            wire = wire.replace(content_of(first["content"]), part)
            wire = wire.replace(b'name="chunk"\r\n\r\n0', b'name="chunk"\r\n\r\n%d' % number)
            answer = await exchange(self.port, wire)
            assert b'"MediaId": ""' in answer.body, answer.body

    async def _placed(self, operation: str) -> str:
        uses = {"webwxsendmsgimg": "pic", "webwxsendvideomsg_video": "video"}
        use = uses.get(operation, "doc")
        data = b"any bytes"
        md5 = hashlib.md5(data).hexdigest()
        media = Media(hashlib.sha256(data).hexdigest(), md5, 0, len(data), "file", "text/plain", "", name="note.txt")
        alice = Target("webwechat.main", "user", "Alice")
        handle = await self.adapter.upload(MediaNeed(media, "x", use), BytesContent(data), alice)
        return re.search(r"@crypt_[0-9a-f_]+", handle.token)[0]  # type: ignore[index]

    async def _sent(self, login: Login) -> str:
        from yizhan.platforms.webwechat.wire.sending import Outgoing

        msg = Outgoing(Content="x", FromUserName=login.session.me, ToUserName=login.person, ClientMsgId=1)
        return (await self.adapter.webwx.send("webwxsendmsg", msg)).MsgID

    async def _said(self, kind: Any) -> str:
        blob = await self.served.world.blobs.add(MP4 if kind == "video" else b"ID3 some bytes")
        message_id: str = await self.server.say("wxid_alice", "bot", media=blob, kind=kind, name="note.txt")
        return message_id


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    async with serve(PLATFORM, rules=QUICK) as served:
        adapter = Adapter(context(PLATFORM, served, {"base_url": served.url}))
        try:
            yield Stage(served, adapter)
        finally:
            await adapter.close()


@pytest.mark.parametrize("name", FILES)
async def test_a_recorded_request_gets_the_recorded_response(name: str) -> None:
    recorded = load(name)
    async with staged() as stage:
        login = await stage.login()
        if recorded["operation"].startswith(("login_poll", "webwxnewloginpage")):
            stage.server.options = ServerOptions(manual_logins=True)
        await stage.prepare(recorded, login)

        answer = await exchange(stage.port, request_bytes(recorded, substitutions(recorded, login), stage.port))

    _compare(recorded["stub_response"], answer)


def _compare(expected: dict[str, Any], answer: Answer) -> None:
    import json

    assert expected["status"] == answer.status, answer.body[:300]
    headers = dict(expected["headers"])
    assert headers["Content-Type"] == answer.header("content-type")
    assert {k.lower() for k in headers} <= {k.lower() for k, _ in answer.headers}
    assert {v.partition("=")[0] for k, v in expected["headers"] if k == "Set-Cookie"} <= answer.cookies
    match expected["body"]["kind"]:
        case "json":
            assert [] == lacking(expected["body"]["json"], json.loads(answer.body))
            assert answer.body.startswith(b'{\n"')
            assert answer.body.endswith(b"\n}\n")
        case "text" if headers["Content-Type"] in ("text/javascript", "text/plain"):
            assert form_of(expected["body"]["text"]) == form_of(answer.body.decode())
        case "none":
            assert b"" == answer.body
        case _:
            assert answer.body


def test_the_substitutions_leave_no_identity_of_the_stub() -> None:
    recorded = load("wechat4u__webwxsendmsgimg_forward")
    from yizhan.platforms.webwechat.client.session import Session

    cookies = dict.fromkeys(("webwx_data_ticket", "webwxuvid", "webwx_auth_ticket"), "c")
    login = Login(Session("", cookies, "SKEY", "SID", "UIN", "", "", me="ME"), "PERSON", "ROOM", image=("K", "U", "M"))
    text = replaced(recorded["request"]["body"]["text"], substitutions(recorded, login))

    for ours in ('"Sid":"SID"', '"Skey":"SKEY"', '"FromUserName":"ME"', '=\\"K\\"', 'imgurl=\\"U\\"', 'md5=\\"M\\"'):
        assert ours in text
