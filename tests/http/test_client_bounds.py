"""Bounds on answers: time, size and addresses, for any behavior of the server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest

from tests.http.test_client_answers import READ, Nothing
from tests.http.test_client_failures import Letter, endpoint, read_request, serving
from tests.support import PATIENCE
from yizhan.errors import OutcomeUnknown, Unavailable, WireMismatch
from yizhan.http import client
from yizhan.http.client import Caller
from yizhan.model import BytesContent


async def _endlessly(writer: asyncio.StreamWriter, head: bytes, piece: bytes) -> None:
    writer.write(head)
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"H", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n", b"\x1f"),
    ],
    ids=["slow header", "slow status", "endless headers", "102", "100", "slow body", "slow chunks", "slow gzip"],
)
async def test_an_endless_answer_ends_with_the_time_of_the_call(head: bytes, piece: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        with contextlib.suppress(ConnectionError):
            await _endlessly(writer, head, piece)

    async with serving(serve) as base:
        caller = Caller("test.me", base)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await caller.exchange(endpoint(timeout=0.3), Letter(b"hi"))
        with pytest.raises(Unavailable):
            await caller.exchange(endpoint(acts=False, timeout=0.3), Letter(b"hi"))
        await caller.close()

    assert time.monotonic() - began < PATIENCE


async def test_a_long_upload_has_its_answers_time_after_its_last_byte() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while length:
            length -= len(await reader.read(1 << 16))
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    class Slow(BytesContent):
        async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
            for _ in range(5):
                await asyncio.sleep(0.15)
                yield bytes(100)

    async with serving(serve) as base:
        caller = Caller("test.me", base)
        answer = await caller.exchange(endpoint(timeout=0.6), Letter(Slow(bytes(500))))
        await caller.close()

    assert b"{}" == answer.data


async def test_waiting_for_a_free_connection_is_not_the_platforms_silence() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()

    async with serving(serve) as base:
        caller = Caller("test.me", base, connections=1)
        answers = await asyncio.gather(*(caller.exchange(endpoint(timeout=0.4), Letter(b"hi")) for _ in range(8)))
        await caller.close()

    assert [200] * 8 == [answer.status for answer in answers]


async def test_an_answer_over_the_cap_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER", 1000)
    sizes = {b"fits": 1000, b"over": 1001}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = sizes[await read_request(reader)]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await writer.drain()
        writer.close()

    async with serving(serve) as base:
        caller = Caller("test.me", base)
        assert 1000 == len((await caller.exchange(endpoint(), Letter(b"fits"))).data)
        with pytest.raises(WireMismatch, match="over 1000 bytes"):
            await caller.exchange(endpoint(), Letter(b"over"))
        await caller.close()


async def test_a_connection_that_never_opens_has_a_known_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.05)
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            # No connection is accepted: the queue is full, and the kernel drops further ones.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        caller = Caller("test.me", f"http://127.0.0.1:{full.getsockname()[1]}")

        with pytest.raises(Unavailable, match="Nothing was sent"):
            await caller.exchange(endpoint(), Letter(b"hi"))

        await caller.close()


@pytest.mark.parametrize(
    "base",
    [
        f"http://{'a' * 64}.example",
        "http://a..example",
        f"http://{'é' * 70}.example",
        "http://xn--a.example:x",
        "http://[::1",
        "http://\udc80.example",
    ],
    ids=ascii,
)
async def test_an_invalid_host_name_has_a_known_outcome(base: str) -> None:
    caller = Caller("test.me", base)

    with pytest.raises(Unavailable, match="Nothing was sent"):
        await caller.exchange(endpoint(), Letter(b"hi"))
    with pytest.raises(Unavailable, match="Nothing was sent"):
        async with caller.stream(endpoint(acts=False), Letter(b"hi")):
            pass
    with pytest.raises(Unavailable):
        await caller.socket(base.replace("http", "ws"))
    await caller.close()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with serving(serve) as base:
        caller = Caller("test.me", base)
        assert 200 == (await caller.exchange(endpoint(), Letter(b"hi"))).status
        await caller.close()


DATA = bytes(range(256)) * 4000


class Breaking:
    """A server that sends at most `step` bytes of a download, then resets; understands Range and If-Range."""

    def __init__(self, head: bytes, step: int) -> None:
        self.head = head
        self.step = step
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(request)
        start = int(request.split(b"bytes=")[1].split(b"-")[0]) if b"Range: bytes=" in request else 0
        status = b"206 Partial Content" if start else b"200 OK"
        lines = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(DATA) - 1, len(DATA)) if start else b""
        writer.write(b"HTTP/1.1 %b\r\n%b%bContent-Length: %d\r\n\r\n" % (status, self.head, lines, len(DATA) - start))
        writer.write(DATA[start : start + self.step])
        await writer.drain()
        writer.close()


async def _downloaded(base: str) -> bytes:
    caller = Caller("test.me", base)
    try:
        async with caller.stream(READ, Nothing()) as (head, pieces):
            assert 200 == head.status
            return b"".join([piece async for piece in pieces])
    finally:
        await caller.close()


async def test_a_download_that_breaks_off_continues_from_there() -> None:
    server = Breaking(b'ETag: "v1"\r\n', 400_000)

    async with serving(server) as base:
        assert await _downloaded(base) == DATA

    assert [b"bytes=400000-", b"bytes=800000-"] == [
        r.split(b"Range: ")[1].split(b"\r\n")[0] for r in server.requests[1:]
    ]
    assert all(b'If-Range: "v1"' in request for request in server.requests[1:])


@pytest.mark.parametrize("head", [b"", b'ETag: W/"v1"\r\n', b'ETag: "v1"\r\nContent-Encoding: gzip\r\n'])
async def test_a_download_of_an_unknown_version_is_not_pieced_together(head: bytes) -> None:
    server = Breaking(head, 400_000)

    async with serving(server) as base:
        with pytest.raises(Unavailable):
            await _downloaded(base)

    assert 1 == len(server.requests)


async def test_a_download_that_breaks_off_again_and_again_is_given_up() -> None:
    server = Breaking(b'ETag: "v1"\r\n', 1000)

    async with serving(server) as base:
        with pytest.raises(Unavailable):
            await _downloaded(base)

    assert 1 + client.MAX_RESUMES == len(server.requests)
