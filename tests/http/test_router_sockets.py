"""WebSockets at the router: hostile frames, silent peers, handlers that fail; and what observers see of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.pigeon import COO
from tests.support import PATIENCE
from yizhan.http import websocket as module
from yizhan.http.listener import HttpListener
from yizhan.http.router import Exchange, Router
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.wire import HttpRequest, HttpResponse


class Line:
    """A served router with one socket, whose handler a test may change."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[SocketClosed] = asyncio.Queue()
        self.seen: list[Exchange] = []
        self.handler: Any = self.repeat
        self.router = Router("test", COO, None)  # type: ignore[arg-type]
        self.router.observer = self
        self.router.socket("/ws", self.handle, name="line")
        self.door = HttpListener([self.router])

    async def handle(self, http: HttpRequest, socket: Socket) -> None:
        await self.handler(http, socket)

    async def repeat(self, http: HttpRequest, socket: Socket) -> None:
        try:
            while True:
                await socket.send(await socket.receive())
        except SocketClosed as end:
            self.ends.put_nowait(end)
            raise

    async def before(self, exchange: Exchange) -> HttpResponse | None:
        return None

    async def after(self, exchange: Exchange) -> None:
        pass

    def done(self, exchange: Exchange) -> None:
        self.seen.append(exchange)


@pytest.fixture
async def line(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Line]:
    line = Line()
    await line.door.start()
    yield line
    await line.door.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_text_and_bytes_come_back_as_text(line: Line, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"{line.door.url}/ws") as peer:
        await peer.send_str("你好")
        await peer.send_bytes("字节".encode())
        await peer.send_bytes(b"\xff")

        assert ["你好", "字节", "\ufffd"] == [await peer.receive_str() for _ in range(3)]
    assert [("line", 101)] == [(e.endpoint, e.response.status) for e in line.seen if e.response]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02\xff\xfe", 1007),  # text that is none
        (b"\x83\x01x", 1002),  # an opcode that does not exist
        (b"\xc1\x01x", 1002),  # a reserved bit
        (b"\x89\x7e\x00\xff" + b"x" * 255, 1002),  # a ping that is too long
        (b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),  # more than anybody can send
        (b"\x00\x01x", 1002),  # the rest of nothing
        (b"\x88\x01x", 1002),  # half a close code
    ],
)
async def test_an_invalid_frame_ends_its_own_connection_only(
    line: Line, session: aiohttp.ClientSession, frame: bytes, code: int
) -> None:
    peer = await session.ws_connect(f"{line.door.url}/ws")
    transport = peer._writer.transport
    assert transport is not None
    # Masked with zeros, so that the payload is unchanged.
    masked = bytes([frame[0], frame[1] | 0x80]) + frame[2:]
    head = {0x7E: 4, 0x7F: 10}.get(frame[1], 2)
    transport.write(masked[:head] + b"\0\0\0\0" + masked[head:])
    end = await asyncio.wait_for(line.ends.get(), PATIENCE)

    assert end.code in (code, 1006, 1002)
    async with session.ws_connect(f"{line.door.url}/ws") as other:
        await other.send_str("well")
        assert "well" == await other.receive_str()
    await peer.close()


async def test_a_message_over_the_limit_ends_the_line(line: Line, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"{line.door.url}/ws", max_msg_size=0) as peer:
        with suppress(ConnectionError):
            await peer.send_str("x" * (5 << 20))

        # Which of the two ends gives up first is chance.
        assert (await asyncio.wait_for(line.ends.get(), PATIENCE)).code in (1009, 1006)


async def test_a_peer_that_goes_without_a_word_is_noticed(line: Line, session: aiohttp.ClientSession) -> None:
    peer = await session.ws_connect(f"{line.door.url}/ws")
    transport = peer._writer.transport
    assert transport is not None
    transport.abort()

    assert 1006 == (await asyncio.wait_for(line.ends.get(), PATIENCE)).code


async def test_a_peer_that_does_not_read_is_given_up(
    line: Line, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.1)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.1)
    given_up = asyncio.Event()

    async def flood(_: HttpRequest, socket: Socket) -> None:
        try:
            while True:
                await socket.send("x" * (1 << 20))
        except SocketClosed:
            given_up.set()
            await socket.close()

    line.handler = flood
    peer = await session.ws_connect(f"{line.door.url}/ws")
    transport = peer._writer.transport
    assert transport is not None
    transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.wait_for(given_up.wait(), PATIENCE)
    transport.abort()


async def test_an_abandoned_connection_ends_on_both_sides_and_cancels_nothing(
    line: Line, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.1)
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def flood(_: HttpRequest, socket: Socket) -> None:
        for attempt in range(3):
            with suppress(SocketClosed):
                while True:
                    await socket.send("x" * (1 << 20))
            ends.put_nowait(f"given up {attempt}")
        await socket.close()
        try:
            await socket.receive()
        except SocketClosed:
            ends.put_nowait(f"ended, {socket.closed}")

    line.handler = flood
    peer = await session.ws_connect(f"{line.door.url}/ws")
    transport = peer._writer.transport
    assert transport is not None
    transport.pause_reading()  # type: ignore[attr-defined]
    heard = [await asyncio.wait_for(ends.get(), PATIENCE) for _ in range(4)]
    transport.abort()

    assert ["given up 0", "given up 1", "given up 2", "ended, True"] == heard


async def test_a_failing_handler_ends_the_connection_with_an_error(
    line: Line, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: HttpRequest, socket: Socket) -> None:
        raise RuntimeError("oh")

    line.handler = broken
    async with session.ws_connect(f"{line.door.url}/ws") as peer:
        message = await peer.receive()

    assert (aiohttp.WSMsgType.CLOSE, 1011) == (message.type, message.data)
    assert ["socket handler failed"] == [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_long_reason_is_cut_at_a_character(line: Line, session: aiohttp.ClientSession) -> None:
    async def wordy(_: HttpRequest, socket: Socket) -> None:
        await socket.close(4000, "理由" * 100)

    line.handler = wordy
    async with session.ws_connect(f"{line.door.url}/ws") as peer:
        message = await peer.receive()

    assert (4000, "理由" * 20 + "理") == (message.data, message.extra)


async def test_an_ordinary_request_to_a_websocket_is_refused(line: Line, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{line.door.url}/ws") as answer:
        assert 400 == answer.status
    async with session.post(f"{line.door.url}/ws") as answer:
        assert 405 == answer.status
