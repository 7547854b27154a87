"""Malformed requests get a Ret code, malformed responses one of our errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any

import aiohttp
import pytest

from tests.platforms.webwechat.support import Account, CountedClock, account, png, target
from yizhan.errors import YizhanError
from yizhan.model import Image
from yizhan.platforms.webwechat import wire
from yizhan.wire import HttpResponse

PREFIX = "/cgi-bin/mmwebwx-bin"
POSTED = [
    value
    for value in vars(wire).values()
    if getattr(value, "method", "") == "POST" and "multipart" not in type(value.codec).__name__.lower()
]
EVERY = [value for value in vars(wire).values() if hasattr(value, "envelope")]

DOCTYPE_CARD = "<!DOCTYPE a [<!ENTITY b 'c'>]><appmsg><title>&b;</title><type>5</type><appattach></appattach></appmsg>"
BODIES: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("half an object", b'{"BaseRequest":'),
    ("a list", b"[1,2]"),
    ("a word", b'"x"'),
    ("not UTF-8", b"\xff\xfe\x00{"),
    ("deep", b'{"a":' * 3000 + b"1" + b"}" * 3000),
    ("large", b'{"x":"' + b"y" * (2 << 20) + b'"}'),
    ("wrong kinds", b'{"BaseRequest":[],"Msg":7,"List":{},"MemberList":3,"SyncKey":"x","VerifyUserList":{}}'),
    ("null everywhere", b'{"BaseRequest":null,"Msg":null,"List":null,"MemberList":null,"SyncKey":null}'),
    ("odd numbers", b'{"BaseRequest":{"Uin":1e400,"Sid":5},"Code":-1e9,"Count":"x","Opcode":{}}'),
]


def cookie(me: Account) -> str:
    return "; ".join(f"{name}={value}" for name, value in me.adapter.webwx.ready.cookies.items())


async def post(me: Account, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    headers.setdefault("Cookie", cookie(me))
    async with (
        aiohttp.ClientSession() as http,
        http.post(me.served.url + path, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.read()


def ret(body: bytes) -> int:
    found = json.loads(body)["BaseResponse"]["Ret"]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("endpoint", POSTED, ids=lambda endpoint: endpoint.name)
async def test_malformed_bodies_get_a_ret_code(endpoint: Any) -> None:
    async with account() as me:
        for what, body in BODIES:
            status, answer = await post(me, endpoint.path, body)
            assert status in (200, 301), (what, status, answer[:200])
            if endpoint.name not in ("webwxlogout", "webwxgetcontact"):
                assert isinstance(ret(answer), int), what
            if (
                what in ("half an object", "a list", "a word", "not UTF-8", "large")
                and endpoint.codec is wire.INIT.codec
            ):
                assert 1200 == ret(answer), what


@pytest.mark.parametrize("endpoint", EVERY, ids=lambda endpoint: endpoint.name)
async def test_no_call_fails_on_random_queries(endpoint: Any) -> None:
    chance = random.Random(endpoint.name)
    letters = "aA0@=&%/\\+\x00\x7f é中💥'\";<>"
    async with account() as me, aiohttp.ClientSession() as http:
        for _ in range(15):
            names = [
                "uuid",
                "ticket",
                "msgid",
                "MsgID",
                "mediaid",
                "seq",
                "r",
                "synckey",
                "skey",
                "type",
                "fun",
                "requrl",
            ]
            query = {
                name: "".join(chance.choices(letters, k=chance.randint(0, 30))) for name in chance.sample(names, 6)
            }
            headers = {"Cookie": cookie(me) if chance.random() < 0.7 else "wxsid=é~; wxuin=中"}
            path = endpoint.path.replace("{uuid}", "x%2F..%2Fy")
            for method in (endpoint.method, *endpoint.also):
                async with http.request(
                    method, me.served.url + path, params=query, headers=headers, allow_redirects=False
                ) as answer:
                    assert answer.status < 500, (method, query)


@pytest.mark.parametrize(
    ("msg", "expected"),
    [
        ({"Type": 1, "Content": {"a": 1}, "ToUserName": "filehelper"}, 1200),
        ({"Type": 1, "Content": "x"}, 1200),
        ({"Type": 1, "Content": "", "ToUserName": "filehelper"}, 1),
        ({"Type": 1, "Content": "x" * 10001, "ToUserName": "filehelper"}, 1),
        ({"Type": 1, "Content": "x", "ToUserName": "@" + "0" * 64}, 1201),
        ({"Type": 1, "Content": "x", "ToUserName": ""}, 1201),
        ({"Type": 1, "Content": "x", "ToUserName": "filehelper", "ClientMsgId": 1.7952e15}, 0),
        ({"Type": 1, "Content": "x", "ToUserName": "filehelper", "ClientMsgId": None, "LocalID": None}, 0),
        ({"Type": "1", "Content": "x", "ToUserName": "filehelper", "extra": [1]}, 0),
    ],
)
async def test_texts_of_unusual_clients_get_the_right_ret(msg: dict[str, Any], expected: int) -> None:
    async with account() as me:
        body = json.dumps({"Msg": msg}).encode()
        _, answer = await post(me, f"{PREFIX}/webwxsendmsg", body, **{"Content-Type": "text/plain"})

        assert expected == ret(answer)
        assert (1 if expected == 0 else 0) == len(me.served.world.posts)


@pytest.mark.parametrize(
    ("path", "msg", "expected"),
    [
        ("webwxsendmsgimg", {"MediaId": "@crypt_0"}, -1),
        ("webwxsendmsgimg", {}, -1),
        ("webwxsendmsgimg", {"Content": "<msg><img"}, -1),
        ("webwxsendmsgimg", {"Content": "<!DOCTYPE a [<!ENTITY b 'c'>]><msg><img aeskey='&b;'/></msg>"}, -1),
        ("webwxsendmsgimg", {"Content": "@" + "0" * 128}, -1),
        ("webwxsendvideomsg", {"MediaId": "../../etc/passwd"}, -1),
        ("webwxsendemoticon", {"EMoticonMd5": "xyz"}, 1),
        ("webwxsendappmsg", {"Content": ""}, 1200),
        ("webwxsendappmsg", {"Content": "no card"}, 1200),
        ("webwxsendappmsg", {"Content": "<appmsg><type>6</type></appmsg>"}, 1),
        ("webwxsendappmsg", {"Content": "<appmsg>" * 50_000}, 1200),
        ("webwxsendappmsg", {"Content": "<appmsg><title>t</title><type>5</type></appmsg>"}, 1),
        ("webwxsendappmsg", {"Content": "<appmsg><title>t</title><appattach></appattach></appmsg>"}, 1200),
        ("webwxsendappmsg", {"Content": DOCTYPE_CARD}, 1200),
    ],
)
async def test_media_that_was_not_uploaded_is_not_sent(path: str, msg: dict[str, Any], expected: int) -> None:
    async with account() as me:
        body = json.dumps({"Msg": {"ToUserName": "filehelper", **msg}}).encode()
        _, answer = await post(me, f"{PREFIX}/{path}", body)

        assert expected == ret(answer)
        if expected:
            assert "" == json.loads(answer)["MsgID"]


def form(me: Account, data: bytes, **changes: Any) -> bytes:
    """An upload as the page sends it, with some fields changed (None: left out)."""
    saved = me.adapter.webwx.ready
    inside = {
        "UploadType": 2,
        "BaseRequest": {"Uin": saved.uin, "Sid": saved.sid},
        "ClientMediaId": 1,
        "TotalLen": len(data),
        **changes.pop("inside", {}),
    }
    fields = {
        "name": "a.txt",
        "size": len(data),
        "mediatype": "doc",
        "uploadmediarequest": json.dumps(inside),
        "webwx_data_ticket": saved.cookies["webwx_data_ticket"],
        **changes,
    }
    disposition = fields.pop("disposition", 'form-data; name="filename"; filename="a.txt"')
    text = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
        if value is not None
    )
    head = f"--b\r\nContent-Disposition: {disposition}\r\nContent-Type: text/plain\r\n\r\n"
    return text.encode() + head.encode() + data + b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("data", "changes", "expected"),
    [
        (b"x", {}, 0),
        (b"", {}, 1),
        (b"x", {"inside": {"TotalLen": 2}}, 1),
        (b"x", {"inside": {"TotalLen": "1"}}, 0),
        (b"x", {"inside": {"TotalLen": "one"}}, 1),
        (b"x", {"inside": {"FileMd5": "0" * 32}}, 1),
        (b"x", {"inside": {"BaseRequest": {"Sid": "nobody", "Uin": 1}}}, 1100),
        (b"x", {"webwx_data_ticket": None}, -14),
        (b"x", {"webwx_data_ticket": "gSinvented"}, -14),
        (b"x", {"mediatype": "anything"}, 1),
        (b"x", {"uploadmediarequest": "{broken"}, 1),
        (b"x", {"uploadmediarequest": None}, 1),
        (b"x", {"name": None, "mediatype": None, "size": None}, 0),
        (b"x", {"chunks": "2", "chunk": "0"}, 0),
        (b"x", {"chunks": "2", "chunk": "7"}, 1),
        (b"x", {"chunks": "-1", "chunk": "0"}, 1),
        (b"x", {"chunks": "many"}, 1),
        (b"x", {"name": "[1]"}, 0),
        (b"y" * 524289, {}, 1),
        (b"x", {"disposition": "form-data; name=\"filename\"; filename*=utf-8''%E6%8A%A5.txt"}, 1),
        (b"x", {"disposition": 'form-data; name="filename"; filename="报告.txt"'}, 0),
        (b"x", {"disposition": 'form-data; name="other"; filename="a.txt"'}, 1),
        (b"x", {"disposition": 'form-data; name="filename"'}, 1),
    ],
)
async def test_malformed_uploads_get_the_right_ret(data: bytes, changes: dict[str, Any], expected: int) -> None:
    async with account() as me:
        body = form(me, data, **changes)
        status, answer = await post(
            me, f"{PREFIX}/webwxuploadmedia?f=json", body, **{"Content-Type": "multipart/form-data; boundary=b"}
        )

        assert (200, expected) == (status, ret(answer)), answer
        if expected:
            assert "" == json.loads(answer)["MediaId"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"--b\r\n", "multipart/form-data; boundary=b"),
        (b"x" * 1000, "multipart/form-data"),
        (
            b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n" * 300 + b"--b--\r\n",
            "multipart/form-data; boundary=b",
        ),
        (b"{}", "application/json"),
    ],
)
async def test_bodies_that_are_not_forms_are_refused(body: bytes, kind: str) -> None:
    async with account() as me:
        status, answer = await post(me, f"{PREFIX}/webwxuploadmedia", body, **{"Content-Type": kind})

        assert (200, 1) == (status, ret(answer))
        assert "" == json.loads(answer)["MediaId"]


async def test_a_refused_body_gets_a_response_with_empty_members() -> None:
    async with account() as me:
        _, large = await post(me, f"{PREFIX}/webwxsync", b'{"x":"' + b"y" * (2 << 20) + b'"}')
        me.server.router.body_reader.seconds = 0.01
        reader, writer = await asyncio.open_connection("127.0.0.1", int(me.served.url.rpartition(":")[2]))
        writer.write(f"POST {PREFIX}/webwxsendmsg HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode())
        slow = await asyncio.wait_for(reader.readuntil(b"}\n"), 60)
        writer.close()

        assert [] == json.loads(large)["SyncKey"]["List"]
        assert "" == json.loads(slow.partition(b"\r\n\r\n")[2])["MsgID"]


async def test_an_options_request_gets_the_service_s_response() -> None:
    async with account() as me, aiohttp.ClientSession() as http:
        async with http.options(me.served.url + f"{PREFIX}/webwxuploadmedia?f=json") as answer:
            data = await answer.read()

            assert (200, "*") == (answer.status, answer.headers["Access-Control-Allow-Origin"])
            assert 1 == ret(data)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.txt", "a.txt"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("..", "file"),
        ("/", "file"),
    ],
)
async def test_file_names_never_leave_their_folder(name: str, kept: str) -> None:
    async with account() as me:
        body = form(me, b"x", name=name.replace("\r\n", "%0D%0A").replace("\x00", "%00"))
        _, answer = await post(
            me, f"{PREFIX}/webwxuploadmedia", body, **{"Content-Type": "multipart/form-data; boundary=b"}
        )
        media_id = json.loads(answer)["MediaId"]
        attach = f"<appattach><attachid>{media_id}</attachid></appattach>"
        card = f"<appmsg><title>{name}</title><type>6</type>{attach}</appmsg>"
        sent = json.dumps({"Msg": {"ToUserName": "filehelper", "Content": card}}).encode()
        _, answer = await post(me, f"{PREFIX}/webwxsendappmsg", sent)

        assert 0 == ret(answer)
        assert [kept] == [post.name for post in me.served.world.posts]
        assert [kept] == [placed.name for placed in next(iter(me.server.sessions.values())).media.values()]


async def test_a_session_is_found_by_sid_and_uin_and_refused_under_another_skey() -> None:
    async with account() as me:
        saved = me.adapter.webwx.ready

        async def asked(base: Any, cookies: str = "") -> int:
            body = json.dumps({"BaseRequest": base}).encode()
            _, answer = await post(me, f"{PREFIX}/webwxinit?sid=x&skey=y", body, Cookie=cookies)
            return ret(answer)

        assert 0 == await asked({"Sid": saved.sid, "Uin": saved.uin, "Skey": "", "DeviceID": "any"})
        assert 0 == await asked({"Sid": saved.sid, "Uin": int(saved.uin)})
        assert 0 == await asked(None, f"wxsid={saved.sid}; wxuin={saved.uin}")
        assert 0 == await asked({"Sid": "", "Uin": 0}, f"wxsid={saved.sid}; wxuin={saved.uin}")
        assert 0 == await asked({"Sid": saved.sid, "Uin": saved.uin, "Skey": saved.skey})
        assert 1100 == await asked({"Sid": "gone", "Uin": 1}, f"wxsid={saved.sid}; wxuin={saved.uin}")
        assert 1100 == await asked({"Sid": saved.sid, "Uin": saved.uin, "Skey": "@crypt_invented"})
        assert 1100 == await asked({"Sid": saved.sid, "Uin": 7})
        assert 1100 == await asked({"Sid": "nobody", "Uin": 1})
        assert 1102 == await asked(None)
        assert 1102 == await asked({"Sid": "", "Uin": 0})


async def test_a_bomb_or_broken_picture_still_gets_a_thumbnail() -> None:
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (60000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"x")) + chunk(b"IEND", b"")
    async with account() as me, aiohttp.ClientSession() as http:
        for data in (bomb, b"no picture", b"", png()[:60], b"GIF89a" + bytes(20)):
            blob = await me.served.world.blobs.add(data)
            id = await me.server.say("wxid_alice", "bot", media=blob, kind="image")
            url = f"{me.served.url}{PREFIX}/webwxgetmsgimg?MsgID={id}&type=slave"
            async with http.get(url, headers={"Cookie": cookie(me)}) as answer:
                found = await answer.read()

                assert (200, b"\xff\xd8\xff") == (answer.status, found[:3]), data[:8]


async def test_the_file_transfer_page_s_upload_is_joined_by_its_upload_id() -> None:
    async with account() as me:
        saved = me.adapter.webwx.ready
        pieces, upload_id, answer = [b"a" * 10, b"b" * 10, b"c" * 3], "", {}
        for number, piece in enumerate(pieces):
            inside = {
                "BaseRequest": {"Uin": saved.uin, "Sid": saved.sid},
                "TotalLen": 23,
                "Chunks": 3,
                "Chunk": number,
                "Name": "big.bin",
                **({"UploadID": upload_id} if upload_id else {}),
            }
            body = form(me, piece, uploadmediarequest=None, UploadMediaParallelRequest=json.dumps(inside))
            _, data = await post(
                me,
                f"{PREFIX}/webwxuploadmediaparallel?f=json",
                body,
                **{"Content-Type": "multipart/form-data; boundary=b"},
            )
            answer = json.loads(data)
            upload_id = answer["UploadID"]
        placed = next(iter(me.server.sessions.values())).media[answer["MediaId"]]

        assert b"".join(pieces) == placed.blob.read()


# --- malformed responses ---

ANSWERS = [
    b"",
    b"<html>",
    b"[]",
    b"{}",
    b'{"BaseResponse":null}',
    b'{"BaseResponse":{"Ret":[]}}',
    b'{"BaseResponse":{"Ret":"x"}}',
    b'{"BaseResponse":{"Ret":1e400}}',
    b'{"BaseResponse":{"Ret":0}}',
    b'{"BaseResponse":{"Ret":0},"SyncKey":7,"User":[],"ContactList":{},"MemberList":"x","Seq":"y","MsgID":{},"MediaId":5,'
    b'"AddMsgList":[[],{"MsgType":{}}],"ModContactList":[{"UserName":5,"MemberList":[7]}],"DelContactList":[null]}',
    b"\xff\xfe",
    b"window.code=99999999999999999999;",
    b'window.synccheck={retcode:"x",selector:""}',
    b'{"ret":[]}',
]


async def again(me: Account) -> None:
    other = Account(me.served)
    try:
        await other.adapter.login(lambda step: None)
    finally:
        await other.adapter.close()


async def one_round(me: Account) -> None:
    await me.server.say("wxid_alice", "bot", text="x")
    receiver = me.adapter._receiver
    async for _ in receiver._sync_once(receiver.position()):  # type: ignore[arg-type]
        pass


CALLED: dict[str, Any] = {
    "jslogin": again,
    "webwxnewloginpage": again,
    "webwxinit": again,
    "webwxstatusnotify": lambda me: me.adapter.mark_read(target("Alice")),
    "webwxgetcontact": lambda me: me.adapter._contacts.refresh(),
    "webwxbatchgetcontact": lambda me: me.adapter.webwx.webwxbatchgetcontact(["@ab"]),
    "synccheck": one_round,
    "webwxsync": one_round,
    "webwxsendmsg": lambda me: me.send("hi"),
    "webwxuploadmedia": lambda me: me.send(Image(me.media(png(), "image", "png")), keep=False),
    "webwxcheckupload": lambda me: me.adapter.webwx.webwxcheckupload("a", 1, "0" * 32, "filehelper"),
    "webwxpushloginurl": lambda me: me.adapter.webwx.webwxpushloginurl("1"),
}


@pytest.mark.parametrize("endpoint", CALLED)
async def test_malformed_responses_raise_only_our_errors(endpoint: str) -> None:
    async with account() as me:
        me.adapter.webwx.clock = CountedClock()
        answers = list(ANSWERS)

        async def before(exchange: Any) -> HttpResponse | None:
            return HttpResponse(200, [], answers[0]) if exchange.endpoint == endpoint else None

        me.served.before = before  # type: ignore[method-assign]
        while answers:
            with contextlib.suppress(YizhanError):
                await CALLED[endpoint](me)
            answers.pop(0)

        assert len(ANSWERS) <= me.served.calls(endpoint)
