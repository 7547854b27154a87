"""Failing connections: requests that surely did not arrive are distinguished from those that may have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import pytest
from msgspec import Struct

from tests.http.test_client_answers import Bytes
from tests.support import PATIENCE
from yizhan.errors import OutcomeUnknown, PlatformError, Rejected, StorageError, Throttled, Unavailable
from yizhan.http.client import Caller
from yizhan.model import BytesContent
from yizhan.platforms.qqbot.wire import GET_TOKEN, SEND_TO_USER
from yizhan.wire import Endpoint, HttpResponse, RawAnswer, Whole

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


class Letter(Struct):
    text: Annotated[Any, Whole()]


def endpoint(*, acts: bool = True, timeout: float = PATIENCE) -> Endpoint[Any, Any]:
    envelope: Any = Bytes()
    return Endpoint("send", "POST", "/send", Letter, RawAnswer, envelope, "the page", acts=acts, timeout=timeout)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return await reader.readexactly(length)


async def test_a_connection_that_the_platform_closed_meanwhile_is_not_used() -> None:
    bodies = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await read_request(reader))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with serving(once) as base:
        caller = Caller("test.me", base)
        for number in range(50):
            # The end of the connection has arrived, and the loop has not come to look at it.
            answer = await caller.exchange(endpoint(), Letter(b"%d" % number))
            assert 200 == answer.status
            time.sleep(0.002)  # noqa: ASYNC251
        await caller.close()

    assert [b"%d" % number for number in range(50)] == bodies


async def test_a_large_body_is_not_begun_on_a_connection_that_is_closed() -> None:
    sizes = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sizes.append(len(await read_request(reader)))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with serving(once) as base:
        caller = Caller("test.me", base)
        for _ in range(10):
            await caller.exchange(endpoint(), Letter(BytesContent(b"x" * 3_000_000)))
            time.sleep(0.002)  # noqa: ASYNC251
        await caller.close()

    assert [3_000_000] * 10 == sizes


async def test_a_connection_that_breaks_after_the_request_is_an_unknown_outcome() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.close()

    async with serving(cut) as base:
        caller = Caller("test.me", base)
        with pytest.raises(OutcomeUnknown, match="may have been carried out"):
            await caller.exchange(endpoint(), Letter(b"hi"))
        with pytest.raises(Unavailable, match="Trying again is safe"):
            await caller.exchange(endpoint(acts=False), Letter(b"hi"))
        await caller.close()


async def test_an_answer_that_breaks_off_is_an_unknown_outcome() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ANSWER[:-1])
        writer.close()

    async with serving(half) as base:
        caller = Caller("test.me", base)
        with pytest.raises(OutcomeUnknown):
            await caller.exchange(endpoint(), Letter(b"hi"))
        await caller.close()


async def test_a_platform_that_stops_reading_does_not_hold_an_upload_for_ever() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(deaf) as base:
        caller = Caller("test.me", base)
        with pytest.raises(Unavailable):
            async with asyncio.timeout(PATIENCE):
                await caller.exchange(endpoint(acts=False, timeout=0.2), Letter(BytesContent(b"x" * (64 << 20))))
        await caller.close()


async def test_an_answer_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with serving(dribble) as base:
        caller = Caller("test.me", base)
        with pytest.raises(OutcomeUnknown):
            async with asyncio.timeout(PATIENCE):
                await caller.exchange(endpoint(timeout=0.2), Letter(b"hi"))
        await caller.close()


async def test_media_that_are_gone_while_they_are_sent_are_named() -> None:
    class Gone:
        size = 3_000_000

        async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
            yield b"x" * 1_000_000
            raise StorageError("the file is shorter than it was; add the media again.")

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serving(listen) as base:
        caller = Caller("test.me", base)
        with pytest.raises(StorageError, match="shorter than it was"):
            await caller.exchange(endpoint(), Letter(Gone()))
        await caller.close()


@pytest.mark.parametrize("base", ["http://127.0.0.1:9", "http://nowhere.invalid", "https://127.0.0.1:{port}"])
async def test_a_request_to_an_unreachable_host_was_not_sent(base: str) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no TLS\r\n")
        writer.close()

    async with serving(plain) as address:
        caller = Caller("test.me", base.format(port=address.rpartition(":")[2]))
        with pytest.raises(Unavailable, match="Nothing was sent"):
            await caller.exchange(endpoint(), Letter(b"hi"))
        await caller.close()


@pytest.mark.parametrize(
    ("status", "acting", "reading"),
    [
        (500, OutcomeUnknown, Unavailable),
        (502, OutcomeUnknown, Unavailable),
        (503, Unavailable, Unavailable),
        (504, OutcomeUnknown, Unavailable),
        (520, OutcomeUnknown, Unavailable),
        (429, Throttled, Throttled),
        (404, Rejected, Rejected),
    ],
)
def test_a_status_without_the_platforms_own_words_says_whether_it_may_have_acted(
    status: int, acting: type[PlatformError], reading: type[PlatformError]
) -> None:
    caller = Caller("qqbot.main", "http://x")
    answer = HttpResponse(status, [("Content-Type", "text/html")], b"<html>oops</html>")

    calls: list[tuple[Endpoint[Any, Any], type[PlatformError]]] = [(SEND_TO_USER, acting), (GET_TOKEN, reading)]
    for call, expected in calls:
        with pytest.raises(PlatformError) as caught:
            caller.read(call, answer)
        assert expected is type(caught.value)


def test_a_failure_in_the_platforms_own_words_has_their_meaning() -> None:
    caller = Caller("qqbot.main", "http://x")
    answer = HttpResponse(500, [("Content-Type", "application/json")], b'{"code":50055002,"message":"retry"}')

    with pytest.raises(Unavailable):
        caller.read(SEND_TO_USER, answer)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_address_that_moved_is_named_and_the_outcome_is_known(status: int) -> None:
    caller = Caller("qqbot.main", "http://x")
    answer = HttpResponse(status, [("Location", "https://elsewhere.example/v2?ticket=secret")], b"moved")

    with pytest.raises(Rejected, match=r"https://elsewhere\.example\. .*base_url") as caught:
        caller.read(SEND_TO_USER, answer)
    assert "secret" not in str(caught.value)
