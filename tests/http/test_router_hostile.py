"""Requests that mean harm, or were made by mistake: an answer in the platform's shape, never a 500, never the end."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Struct

from tests.pigeon import COO, PIGEON, Delivered, Server
from tests.support import PATIENCE
from yizhan.http import request_body
from yizhan.http.listener import HttpListener
from yizhan.http.router import Call, Router
from yizhan.platforms.server import ServerOptions
from yizhan.wire import FORM, JSON_OR_MULTIPART, MULTIPART, Endpoint, HttpResponse, Path, Query, Whole
from yizhan.world import Blob, World


class Put(Struct):
    name: Annotated[str, Path()]
    body: Annotated[Any, Whole()]
    part: Annotated[int, Query()] = 0


class Slip(Struct, omit_defaults=True):
    text: str = ""
    file: Any = None
    deep: Any = None


PUT = Endpoint("put", "PUT", "/put/{name}", Put, Delivered, COO, "a page")
FORM_SLIP = Endpoint("form", "POST", "/form", Slip, Slip, COO, "a page", codec=FORM)
ANY_SLIP = Endpoint("any", "POST", "/any", Slip, Slip, COO, "a page", codec=JSON_OR_MULTIPART)
PARTS_SLIP = Endpoint("parts", "POST", "/parts", Slip, Slip, COO, "a page", codec=MULTIPART)
TELL = Endpoint("tell", "POST", "/tell/{name}", Put, Delivered, COO, "a page")


@dataclass
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Wild:
    """A served router, and a way to send it any bytes at all."""

    door: HttpListener
    router: Router
    world: World

    async def send(self, data: bytes, *, end: bool = False, chunks: list[bytes] | None = None) -> Answer | None:
        """Return the answer to raw bytes, None when the line was closed without one. `end` closes our side after it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port)
        try:
            for piece in (data, *(chunks or ())):
                writer.write(piece)
                await writer.drain()
            if end:
                writer.write_eof()
            return await asyncio.wait_for(_read(reader), PATIENCE)
        finally:
            writer.close()

    async def post(
        self, path: str, body: bytes, content_type: str = "application/json", *more: str, method: str = "POST"
    ) -> Answer:
        answer = await self.send(_head(method, path, f"Content-Type: {content_type}", *more, length=len(body)) + body)
        assert answer is not None
        return answer

    async def still_well(self) -> bool:
        answer = await self.post("/pigeon/x/letters", b'{"text":"hi"}')
        return answer.status == 200


async def _read(reader: asyncio.StreamReader) -> Answer | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    length = re.search(r"(?i)content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1]) if length else 0)
    return Answer(int(head.split()[1]), head, body)


def _head(method: str, path: str, *headers: str, length: int | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


@pytest.fixture
async def wild(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Wild]:
    world = World()
    server = Server(world, PIGEON.rules(None, {"limits": False}), ServerOptions())
    router = server.router

    @router.on(PUT)
    async def put(call: Call[Put]) -> Delivered:
        return Delivered(call.request.name, call.request.body.size if isinstance(call.request.body, Blob) else -1)

    async def slip(call: Call[Slip]) -> Slip:
        return Slip(call.request.text)

    async def tell(call: Call[Put]) -> HttpResponse:
        return HttpResponse(200, [("X-Name", call.request.name)], b"")

    for endpoint in (FORM_SLIP, ANY_SLIP, PARTS_SLIP):
        router.add(endpoint, slip)
    router.add(TELL, tell)
    door = HttpListener([router])
    await door.start()
    yield Wild(door, router, world)
    await door.close()
    world.close()
    assert [] == [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR]


def _parts(*parts: bytes, boundary: str = "cut", end: bool = True) -> bytes:
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    return body + (b"--%s--\r\n" % boundary.encode() if end else b"")


def _text_part(name: str, text: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name.encode(), text)


def _file_part(filename: bytes, data: bytes, headers: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="file"; filename="%s"\r\n%s\r\n%s' % (filename, headers, data)


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe{\x00}\x00",
        b'{"text":"\xff"}',
        b'{"text":"\xed\xa0\x80"}',
        b'{"text":"\\ud800"}',
        b'{"text":"a\x00b"}',
        b'{"text":1}',
        b'{"text":null}',
        b'{"text":["x"]}',
        b'{"text":"x","token":{}}',
        b'{"text":NaN}',
        b'{"text":1e999}',
        b'{"text":' + b"9" * 6000 + b"}",
        b'{"text":"x"}}',
        b'{"text":"x"} {"text":"y"}',
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_invalid_json_is_answered_in_the_platforms_form(wild: Wild, body: bytes) -> None:
    answer = await wild.post("/pigeon/x/letters", body)

    assert (400, 9) == (answer.status, answer.json["coo"])
    assert await wild.still_well()


async def test_deep_json_in_a_field_that_takes_anything_is_no_crash(wild: Wild) -> None:
    for depth in (100, 900, 1100, 50_000):
        answer = await wild.post("/any", b'{"deep":' + b"[" * depth + b"]" * depth + b"}")
        assert answer.status in (200, 400)
    deep = _text_part("deep", b"[" * 50_000 + b"]" * 50_000)

    assert 200 == (await wild.post("/parts", _parts(deep), "multipart/form-data; boundary=cut")).status


async def test_a_million_fields_are_read_or_refused(wild: Wild) -> None:
    fields = b",".join(b'"f%d":1' % n for n in range(60_000))

    assert 200 == (await wild.post("/pigeon/x/letters", b'{"text":"hi",' + fields + b"}")).status
    form = b"&".join(b"f%d=1" % n for n in range(1000))
    assert 400 == (await wild.post("/form", form, "application/x-www-form-urlencoded")).status


@pytest.mark.parametrize("body", [b"text=%ff%fe", b"text=%ED%A0%80", b"text=%00", b"&&&==&=", b"text", b"%"])
async def test_odd_forms_are_read(wild: Wild, body: bytes) -> None:
    assert 200 == (await wild.post("/form", body, "application/x-www-form-urlencoded")).status


async def test_a_form_that_is_no_text_is_refused(wild: Wild) -> None:
    assert 400 == (await wild.post("/form", b"text=\xff", "application/x-www-form-urlencoded")).status


# --- lengths, chunks, packing -----------------------------------------------------------------------------------------


async def test_a_body_over_the_limit_is_answered_not_cut(wild: Wild) -> None:
    body = b'{"text":"' + b"x" * (2 << 20) + b'"}'
    answer = await wild.post("/pigeon/x/letters", body)

    assert 400 == answer.status
    assert "over 1048576 bytes" in answer.json["words"]


async def test_a_chunked_body_over_the_limit_is_answered(wild: Wild) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = _head("POST", "/pigeon/x/letters", "Transfer-Encoding: chunked")
    answer = await wild.send(head, chunks=[chunk] * 40 + [b"0\r\n\r\n"])

    assert answer is not None
    assert 400 == answer.status


async def test_chunks_however_small_are_put_together(wild: Wild) -> None:
    chunks = [b"1\r\n%c\r\n" % byte for byte in b'{"text":"hi"}']
    head = _head("POST", "/pigeon/x/letters", "Transfer-Encoding: chunked")
    answer = await wild.send(head, chunks=[*chunks, b"0\r\n\r\n"])

    assert answer is not None
    assert 200 == answer.status


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -1"],
        ["Content-Length: 1e3"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ],
)
async def test_lengths_that_contradict_themselves_end_the_line(wild: Wild, headers: list[str]) -> None:
    answer = await wild.send(_head("POST", "/pigeon/x/letters", *headers) + b"5\r\nabcde\r\n0\r\n\r\n", end=True)

    assert answer is None or answer.status == 400
    assert await wild.still_well()


async def test_a_broken_chunk_is_refused(wild: Wild) -> None:
    head = _head("POST", "/pigeon/x/letters", "Transfer-Encoding: chunked")
    answer = await wild.send(head, chunks=[b"5\r\nabcde\r\n", b"zz\r\n"])

    assert answer is None or answer.status == 400
    assert await wild.still_well()


@pytest.mark.parametrize("path", ["/pigeon/x/letters", "/put/x", "/parts"])
async def test_a_body_that_breaks_off_leaves_nothing_behind(wild: Wild, path: str) -> None:
    method = "PUT" if path.startswith("/put") else "POST"
    content_type = "multipart/form-data; boundary=cut" if path == "/parts" else "application/json"
    body = _parts(_file_part(b"a.bin", b"x" * 70_000))[:-20] if path == "/parts" else b"x" * 70_000
    head = _head(method, path, f"Content-Type: {content_type}", length=100_000)
    answer = await wild.send(head + body, end=True)

    assert answer is None or answer.status == 400
    assert await wild.still_well()
    assert [] == os.listdir(wild.world.blobs.folder)


async def test_a_body_that_never_comes_is_given_up(wild: Wild) -> None:
    wild.router.body_reader.seconds = 0.05
    for path, method in (("/pigeon/x/letters", "POST"), ("/put/x", "PUT")):
        answer = await wild.send(_head(method, path, length=10) + b"{")
        assert answer is not None
        assert (400, "the body did not arrive in time") == (answer.status, answer.json["words"])
    part = _parts(_file_part(b"a", b"x"), end=False)
    answer = await wild.send(
        _head("POST", "/parts", "Content-Type: multipart/form-data; boundary=cut", length=999) + part
    )

    assert answer is not None
    assert 400 == answer.status
    wild.router.body_reader.seconds = 60
    assert await wild.still_well()


async def test_a_body_that_drips_is_bounded_as_a_whole(wild: Wild) -> None:
    wild.router.body_reader.seconds = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", wild.door.port)
    writer.write(_head("POST", "/pigeon/x/letters", length=1_000_000))

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    answer = await asyncio.wait_for(_read(reader), PATIENCE)
    dripping.cancel()
    writer.close()

    assert answer is not None
    assert "in time" in answer.json["words"]


async def test_packed_bodies_are_unpacked(wild: Wild) -> None:
    plain = b'{"text":"hi"}'
    for encoding, packed in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
        answer = await wild.post("/pigeon/x/letters", packed, "application/json", f"Content-Encoding: {encoding}")
        assert 200 == answer.status


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b'{"text":"hi"}'),
        ("gzip", gzip.compress(b'{"text":"hi"}', mtime=0)[:-15]),
        ("deflate", b"\x00\x01"),
        ("br", b"\x00\x01"),
        ("zstd", b"\x00\x01"),
        ("rot13", b'{"grkg":"uv"}'),
        ("gzip, gzip", gzip.compress(b"x", mtime=0)),
    ],
)
@pytest.mark.parametrize("path", ["/pigeon/x/letters", "/parts"])
async def test_bodies_packed_wrongly_are_refused(wild: Wild, path: str, encoding: str, body: bytes) -> None:
    content_type = "multipart/form-data; boundary=cut" if path == "/parts" else "application/json"
    head = _head("POST", path, f"Content-Type: {content_type}", f"Content-Encoding: {encoding}", length=len(body))
    answer = await wild.send(head + body)

    assert answer is None or answer.status == 400
    assert await wild.still_well()


async def test_a_bomb_is_defused(wild: Wild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MAX_FILE", 1 << 20)
    bomb = gzip.compress(bytes(64 << 20))
    for method, path in (("POST", "/pigeon/x/letters"), ("PUT", "/put/x")):
        answer = await wild.post(path, bomb, "application/json", "Content-Encoding: gzip", method=method)
        assert 400 == answer.status
        assert "over 1048576 bytes" in answer.json["words"]

    assert [] == os.listdir(wild.world.blobs.folder)


# --- multipart --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", _parts(_text_part("text", b"x"))),
        ("multipart/form-data; boundary=", _parts(_text_part("text", b"x"))),
        ("multipart/form-data; boundary=other", _parts(_text_part("text", b"x"))),
        ("multipart/form-data; boundary=" + "x" * 71, _parts(_text_part("text", b"x"))),
        ("multipart/form-data; boundary=cut", b"nothing at all"),
        ("multipart/form-data; boundary=cut", _parts(*[_text_part(f"f{n}", b"x") for n in range(1000)])),
        ("multipart/form-data; boundary=cut", _parts(_text_part("text", b"x" * (1 << 20) + b"x"))),
        ("multipart/form-data; boundary=cut", _parts(_text_part("text", b"x"), end=False)),
        ("multipart/form-data; boundary=cut", _parts(_file_part(b"a", b"x" * 9000), end=False)[:-50]),
        ("multipart/form-data; boundary=cut", _parts(b"no header at all")),
        ("multipart/form-data; boundary=cut", _parts(b"Bad Header\r\n\r\nx")),
        ("multipart/form-data; boundary=cut", _parts(b"X: " + b"y" * 100_000 + b"\r\n\r\nx")),
        ("multipart/form-data; boundary=cut", _parts(b"".join(b"X%d: y\r\n" % n for n in range(999)) + b"\r\nx")),
        (
            "multipart/form-data; boundary=cut",
            _parts(b"Content-Type: multipart/mixed; boundary=in\r\n\r\n" + _parts(b"\r\nx", boundary="in")),
        ),
        ("multipart/form-data; boundary=cut", _parts(_file_part(b"a", b"x", b"Content-Length: -5\r\n"))),
        ("multipart/form-data; boundary=cut", _parts(_file_part(b"a", b"x", b"Content-Length: 999999\r\n"))),
        ("multipart/form-data; boundary=cut", b""),
    ],
    ids=lambda value: repr(value[:60]),
)
async def test_parts_without_a_usable_boundary_are_refused(wild: Wild, content_type: str, body: bytes) -> None:
    answer = await wild.send(_head("POST", "/parts", f"Content-Type: {content_type}", length=len(body)) + body)

    assert answer is None or answer.status in (200, 400)
    if answer is not None and answer.status == 400:
        assert 9 == answer.json["coo"]
    assert await wild.still_well()


async def test_a_thousand_parts_are_refused_by_number(wild: Wild) -> None:
    body = _parts(*[_text_part(f"f{n}", b"x") for n in range(1000)])
    answer = await wild.post("/parts", body, "multipart/form-data; boundary=cut")

    assert "more than 64 parts" in answer.json["words"]


@pytest.mark.parametrize(
    "filename",
    [
        b"../../../../etc/passwd",
        b"..\\..\\windows\\win.ini",
        b"/etc/passwd",
        b"C:\\x",
        b"",
        b".",
        b"a\x00b",
        b"%2e%2e%2f",
        b"\xb1\xa8\xb8\xe6.pdf",
        b"\xff\xfe",
        "🐦".encode() * 300,
        b"x" * 7000,
        b'a\\"b',
    ],
)
async def test_file_names_are_words_not_places(wild: Wild, filename: bytes) -> None:
    body = _parts(_text_part("to", b"x"), _file_part(filename, b"data"))
    answer = await wild.post("/pigeon/parcels", body, "multipart/form-data; boundary=cut")
    folder = wild.world.blobs.folder

    assert answer.status in (200, 400)
    assert set(os.listdir(folder)) <= {"3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}
    assert all(post.name.encode() for post in wild.world.posts if post.name)


async def test_odd_transfer_encodings_of_a_part_are_no_crash(wild: Wild) -> None:
    for header in (b"base64", b"quoted-printable", b"x-unknown", b"binary", b"\xff"):
        body = _parts(_text_part("to", b"x"), _file_part(b"a", b"%%%", b"Content-Transfer-Encoding: %s\r\n" % header))
        answer = await wild.post("/pigeon/parcels", body, "multipart/form-data; boundary=cut")
        assert answer.status in (200, 400)
    assert await wild.still_well()


async def test_a_file_where_text_is_wanted_and_text_where_a_file_is(wild: Wild) -> None:
    both = _parts(_file_part(b"a", b"x").replace(b'name="file"', b'name="to"'), _text_part("file", b"x"))

    assert 400 == (await wild.post("/pigeon/parcels", both, "multipart/form-data; boundary=cut")).status
    assert 400 == (await wild.post("/pigeon/parcels", b'{"to":"x"}')).status
    assert 400 == (await wild.post("/pigeon/x/letters", _parts(), "multipart/form-data; boundary=cut")).status


# --- paths and heads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/put/%2e%2e", ".."),
        ("/put/..", ".."),
        ("/put/%2e%2e%2fetc%2fpasswd", "../etc/passwd"),
        ("/put/a%2Fb", "a/b"),
        ("/put/%252e", "%2e"),
        ("/put/%2541", "%41"),
        ("/put/100%25", "100%"),
        ("/put/a%00b", "a\x00b"),
        ("/put/%E5%BC%A0", "张"),
        ("/put/a+b", "a+b"),
        ("/put/a%20b", "a b"),
        ("/put/a;b=c", "a;b=c"),
        ("/put/%zz", "%zz"),
        ("/put/%", "%"),
    ],
)
async def test_placeholders_are_decoded_once(wild: Wild, path: str, name: str) -> None:
    answer = await wild.post(path, b"x", method="PUT")

    assert (200, {"id": name, "size": 1}) == (answer.status, answer.json)


@pytest.mark.parametrize(
    "path",
    [
        "/put/",
        "/put/a/b",
        "//put/x",
        "/put/../pigeon/x/letters",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/pigeon/x/letters/",
        "/pigeon//letters",
        "/PIGEON/x/letters",
        "/pigeon/x/letters%2f",
        "/\x7f",
        "/%ff%fe",
        "/a" * 10_000,
        "*",
        "http://elsewhere.example/put/x",
        "/?" + "a=b&" * 5000,
    ],
    ids=lambda path: repr(path[:40]),
)
async def test_paths_that_are_not_served_are_refused(wild: Wild, path: str) -> None:
    answer = await wild.send(_head("POST", path, length=0))

    assert answer is None or answer.status in (400, 404, 405)
    assert await wild.still_well()


async def test_bytes_in_a_path_that_are_no_text_reach_no_handler(wild: Wild) -> None:
    for path in (b"/put/\xff\xfe", b"/put/%ff%fe", b"/put/\xed\xa0\x80", b"/put/x?part=\xff", b"/put/x?part=%ff"):
        raw = b"PUT " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
        answer = await wild.send(raw)
        assert answer is None or answer.status in (200, 400)
    assert await wild.still_well()


async def test_a_clients_words_cannot_end_a_header_of_the_answer(wild: Wild) -> None:
    answer = await wild.post("/tell/a%0d%0aSet-Cookie:%20b=c%00", b"x")

    assert 200 == answer.status
    assert "\nset-cookie" not in answer.head.lower()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 100,
        b"POST /put/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nX\x00: y\r\n\r\n",
        b"CONNECT example.org:80 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /pigeon/socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET /pigeon/socket HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:30]),
)
async def test_malformed_http_is_refused(wild: Wild, raw: bytes) -> None:
    answer = await wild.send(raw, end=True)

    assert answer is None or 400 <= answer.status < 500
    assert await wild.still_well()


async def test_headers_that_are_no_text_do_not_stop_the_answer(wild: Wild) -> None:
    body = b'{"text":"x"}'
    head = b"POST /pigeon/x/letters HTTP/1.1\r\nHost: \xff\xfe\r\nAuthorization: \xff\r\nCookie: \xff=\xfe\r\n"
    answer = await wild.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    assert answer is not None
    assert 200 == answer.status


async def test_a_client_that_leaves_while_it_is_answered_is_no_error(wild: Wild) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Call[Put]) -> Delivered:
        started.set()
        await go_on.wait()
        return Delivered("late")

    wild.router.routes["PUT", "/put/{name}"][0] = (PUT, slow)
    _, writer = await asyncio.open_connection("127.0.0.1", wild.door.port)
    writer.write(_head("PUT", "/put/x", length=1) + b"x")
    await started.wait()
    writer.transport.abort()
    await asyncio.sleep(0)
    go_on.set()

    assert await wild.still_well()


async def test_an_answer_that_cannot_be_written_is_still_a_refusal(
    wild: Wild, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(COO, "fail", lambda *_: 1 / 0)
    answer = await wild.post("/pigeon/x/letters", b"{")
    caplog.clear()

    assert 400 == answer.status
    assert b"not valid JSON" in answer.body


async def test_many_hostile_lines_at_once_leave_room_for_others(wild: Wild) -> None:
    lines = [await asyncio.open_connection("127.0.0.1", wild.door.port) for _ in range(200)]
    for _, writer in lines:
        writer.write(b"POST /pigeon/x/letters HTTP/1.1\r\nHost: a\r\nContent-")

    assert await wild.still_well()
    for _, writer in lines:
        writer.close()
