"""iLink's sandbox under hostile requests: the platform's own answer, never a 500."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support import Served
from yizhan.http.listener import HttpListener
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.server import Server
from yizhan.platforms.server import ServerOptions
from yizhan.wire import Endpoint
from yizhan.world import World

API = [e for e in vars(wire).values() if isinstance(e, Endpoint) and e.path.startswith("/ilink") and e.method == "POST"]
QUICK = {"getupdates.hold_seconds": 0, "login.hold_seconds": 0}


class Guest:
    """A bot's token, and an HTTP client that sends any request."""

    def __init__(self, http: aiohttp.ClientSession, url: str, served: Served) -> None:
        self.http = http
        self.url = url
        self.served = served
        self.headers: dict[str, str] = {}
        self.user = ""

    async def login(self) -> None:
        started = await self.json("GET", "/ilink/bot/get_bot_qrcode?bot_type=3")
        for _ in range(2):
            answer = await self.json("GET", f"/ilink/bot/get_qrcode_status?qrcode={started['qrcode']}")
        self.headers = {"Authorization": f"Bearer {answer['bot_token']}"}
        self.user = answer["ilink_user_id"]

    async def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, text = await self.raw(method, path, body, **headers)
        assert 200 == status
        return json.loads(text)

    async def raw(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(method, self.url + path, data=data, headers={**self.headers, **headers}) as answer:
            return answer.status, await answer.read()


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    world = World()
    server = Server(world, PLATFORM.rules(None, QUICK), ServerOptions())
    served = Served("", server, world)
    server.router.observer = served
    door = HttpListener([server.router])
    await door.start()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        guest = Guest(http, door.url, served)
        await guest.login()
        yield guest
    assert [] == [e.endpoint for e in served.exchanges if e.note == "handler failed"]
    await server.close()
    await door.close()
    world.close()


BODIES: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"msg":{"item_list":[' + b'{"ref_msg":{"message_item":' * 3_000,
    b'{"x":"\\ud800"}',
    {"msg": None, "get_updates_buf": None, "base_info": None, "ilink_user_id": None, "rawsize": None},
    {"msg": 5, "get_updates_buf": 5, "base_info": "x", "ilink_user_id": [], "rawsize": {}, "local_token_list": "x"},
    {"msg": {"item_list": "x"}, "get_updates_buf": ["x"], "status": "x", "media_type": "x", "local_token_list": [5]},
    {"msg": {"item_list": [None]}, "rawsize": 10**400, "status": 1e308, "media_type": -1},
    {"msg": {"item_list": [{"type": 10**30}]}, "rawsize": -5, "filesize": -5, "status": 10**30},
    {"get_updates_buf": "\u0000\u202e" * 1000, "ilink_user_id": "../../x\r\nA: b", "typing_ticket": "x" * 100_000},
    {"local_token_list": ["x"] * 5000},
    b'{"pad":"' + b"x" * (2 << 20) + b'"}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda b: str(b)[:40])
@pytest.mark.parametrize("endpoint", API, ids=lambda e: e.name)
async def test_an_odd_body_gets_an_answer_of_the_platform(guest: Guest, endpoint: Any, body: Any) -> None:
    answer = await guest.json("POST", endpoint.path, body)

    assert isinstance(answer, dict)
    assert all(isinstance(answer.get(name, 0), int) for name in ("ret", "errcode"))


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer ", "Bearer x@im.bot:060000", "Basic eDp5", "Bearer " + "é" * 9, "x" * 5000]
)
@pytest.mark.parametrize("endpoint", [e for e in API if e.role == "api"], ids=lambda e: e.name)
async def test_a_bad_token_is_a_session_timeout(guest: Guest, endpoint: Any, token: str) -> None:
    assert {"errcode": -14, "errmsg": "session timeout"} == await guest.json(
        "POST", endpoint.path, {}, Authorization=token
    )


MEDIA = {"encrypt_query_param": "x", "aes_key": "x"}
ITEMS: list[Any] = [
    [],
    [{}],
    [{"type": None}],
    [{"type": 0, "text_item": {"text": "x"}}],
    [{"type": 99, "text_item": {"text": "x"}}],
    [{"type": 1}],
    [{"type": 1, "text_item": None}],
    [{"type": 1, "text_item": {"text": ""}}],
    [{"type": 1, "text_item": {"text": "好" * 6000}}],
    [{"type": 1, "text_item": {"text": "x"}}] * 2,
    [{"type": 2, "image_item": {}}],
    [{"type": 2, "image_item": {"media": MEDIA, "mid_size": "16"}}],
    [{"type": 2, "file_item": {"media": MEDIA}}],
    [{"type": 3, "voice_item": {"media": MEDIA, "playtime": -1}}],
    [{"type": 4, "file_item": {"media": MEDIA, "file_name": "../../../etc/passwd", "len": "x"}}],
    [{"type": 5, "video_item": {"media": {"encrypt_query_param": "a" * 100_000}}}],
]


@pytest.mark.parametrize("items", ITEMS, ids=lambda i: json.dumps(i)[:50])
async def test_an_item_without_content_is_refused(guest: Guest, items: Any) -> None:
    answer = await guest.json("POST", "/ilink/bot/sendmessage", {"msg": {"to_user_id": guest.user, "item_list": items}})

    assert -2 == answer["ret"]
    assert [] == [post for post in guest.served.world.posts if post.call == "sendmessage"]


@pytest.mark.parametrize("to", [None, "", "dummy", "x" * 10_000, "../x"])
async def test_a_message_to_a_stranger_is_refused(guest: Guest, to: Any) -> None:
    message = {"to_user_id": to, "client_id": "1", "item_list": [{"type": 1, "text_item": {"text": "x"}}]}

    assert -1 == (await guest.json("POST", "/ilink/bot/sendmessage", {"msg": message}))["ret"]
    assert -1 == (await guest.json("POST", "/ilink/bot/getconfig", {"ilink_user_id": to}))["ret"]


GOOD = {
    "filekey": "ab" * 16,
    "media_type": 1,
    "rawsize": 5,
    "rawfilemd5": "5d41402abc4b2a76b9719d911017c592",
    "filesize": 16,
    "no_need_thumb": True,
    "aeskey": "00112233445566778899aabbccddeeff",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "upload_full_url"),
        ({"rawsize": "5", "filesize": "16"}, "upload_full_url"),
        ({"aeskey": "00112233445566778899AABBCCDDEEFF"}, "upload_full_url"),
        ({"context_token": "tolerated"}, "upload_full_url"),
        ({"filekey": None}, None),
        ({"no_need_thumb": False}, None),
        ({"no_need_thumb": None}, None),
        ({"filesize": 5}, "ret"),
        ({"filesize": 17}, "ret"),
        ({"rawsize": -1}, "ret"),
        ({"media_type": 5}, "ret"),
        ({"media_type": 0}, "ret"),
        ({"aeskey": "xx"}, "ret"),
        ({"aeskey": "0011"}, "ret"),
        ({"rawfilemd5": None}, "ret"),
        ({"to_user_id": "dummy"}, "ret"),
        ({"to_user_id": None}, "ret"),
    ],
    ids=str,
)
async def test_an_upload_address_needs_a_complete_request(guest: Guest, change: Any, expected: str | None) -> None:
    body = {**GOOD, "to_user_id": guest.user, **change}

    answer = await guest.json("POST", "/ilink/bot/getuploadurl", body)

    assert (expected in answer) if expected else answer == {}


@pytest.mark.parametrize(
    "path",
    [
        "/c2c/upload",
        "/c2c/upload?encrypted_query_param=x&filekey=y",
        "/c2c/upload?encrypted_query_param=%00%ff&encrypted_query_param=b",
    ],
)
@pytest.mark.parametrize("body", [b"", b"x" * 16, b"x" * 3_000_000])
async def test_an_upload_to_an_unknown_address_is_refused_in_headers(guest: Guest, path: str, body: bytes) -> None:
    async with guest.http.post(guest.url + path, data=body) as answer:
        assert (400, "invalid encrypted_param") == (answer.status, answer.headers["x-error-message"])


async def test_an_upload_under_another_filekey_is_refused(guest: Guest) -> None:
    place = await guest.json("POST", "/ilink/bot/getuploadurl", {**GOOD, "to_user_id": guest.user})
    address = place["upload_full_url"].replace("ab" * 16, "cd" * 16)

    async with guest.http.post(aiohttp.client.URL(address, encoded=True), data=b"x" * 16) as answer:
        assert 400 == answer.status


@pytest.mark.parametrize("query", ["", "?encrypted_query_param=", "?encrypted_query_param=../../etc/passwd", "?x"])
async def test_a_download_of_unknown_media_is_refused(guest: Guest, query: str) -> None:
    async with guest.http.get(guest.url + "/c2c/download" + query) as answer:
        assert (400, "invalid encrypted_param") == (answer.status, answer.headers["x-error-message"])


@pytest.mark.parametrize("query", ["", "?qrcode=", "?qrcode=x&verify_code=1", "?qrcode=" + "x" * 5000, "?qrcode=%ff"])
async def test_an_unknown_code_is_expired(guest: Guest, query: str) -> None:
    assert {"ret": 0, "status": "expired"} == await guest.json("GET", "/ilink/bot/get_qrcode_status" + query)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ilink/bot/nothing"),
        ("POST", "/ilink/bot/upload"),
        ("PUT", "/c2c/upload?encrypted_query_param=x"),
        ("GET", "/ilink/bot/sendmessage"),
        ("POST", "/ilink/"),
    ],
)
async def test_an_unknown_path_or_method_is_an_empty_404(guest: Guest, method: str, path: str) -> None:
    assert (404, b"") == await guest.raw(method, path)


@pytest.mark.parametrize("slashes", ["/", "//"])
async def test_extra_slashes_before_the_path_do_not_matter(guest: Guest, slashes: str) -> None:
    answer = await guest.json("POST", f"{slashes}ilink/bot/getconfig", {"ilink_user_id": guest.user})

    assert 0 == answer["ret"]


async def test_header_names_and_the_scheme_come_in_any_case(guest: Guest) -> None:
    token = guest.headers.pop("Authorization").removeprefix("Bearer ")
    answer = await guest.json("POST", "/ilink/bot/msg/notifystart", {}, AUTHORIZATION=f"bearer {token}")

    assert {"ret": 0} == answer


async def test_an_old_cursor_replays_and_a_future_one_is_refused(guest: Guest) -> None:
    from yizhan.platforms.ilink.server.cursor import Cursor

    token = guest.headers["Authorization"].removeprefix("Bearer ")
    replay = await guest.json("POST", "/ilink/bot/getupdates", {"get_updates_buf": Cursor(0, 1, 1).updates_buf(token)})
    future = await guest.json("POST", "/ilink/bot/getupdates", {"get_updates_buf": Cursor(9, 1, 1).updates_buf(token)})
    other = await guest.json("POST", "/ilink/bot/getupdates", {"get_updates_buf": Cursor(0, 1, 1).updates_buf("x")})

    assert 1 == len(replay["msgs"])
    assert [-3, -3] == [future["ret"], other["ret"]]


async def test_refusals_say_why_in_a_header_that_clients_do_not_read(guest: Guest) -> None:
    async with guest.http.post(
        guest.url + "/ilink/bot/sendmessage", data=b'{"msg":{"to_user_id":"x"}}', headers=guest.headers
    ) as answer:
        assert "talks with" in answer.headers["x-sandbox-why"]
        assert b'{"ret":-1,"errmsg":"invalid to_user_id"}' == await answer.read()
