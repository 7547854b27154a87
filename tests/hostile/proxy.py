"""A proxy in front of a sandbox that spoils the answers of chosen calls, before or after the sandbox acts."""

from __future__ import annotations

import asyncio
import gzip
import re
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

Spoil = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Given the sandbox's true answer (empty where it was not called), writes the client's answer instead."""

HTML = b"<html><head><title>Welcome</title></head><body>nothing to see</body></html>"
ENDLESS_SECONDS = 30.0
"""Seconds after which an endless answer ends, if the client never hangs up."""


def status(line: str, body: bytes = HTML, *headers: str) -> Spoil:
    """Return what answers with `line` (`502 Bad Gateway`) and a page of no platform."""

    async def write(answer: bytes, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {line}", "Content-Type: text/html", f"Content-Length: {len(body)}", "Connection: close"]
        if line[:3] in ("204", "304"):
            head = head[:1]
        writer.write("\r\n".join([*head, *headers]).encode() + b"\r\n\r\n" + (b"" if line[:3] == "204" else body))

    return write


async def reset(answer: bytes, writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a TCP reset."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(answer: bytes, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""


async def cut_head(answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write((answer or b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}")[:20])


async def cut_body(answer: bytes, writer: asyncio.StreamWriter) -> None:
    head, _, body = (answer or b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{}").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n" + body[: max(0, len(body) // 2 - 1)])


async def not_gzip(answer: bytes, writer: asyncio.StreamWriter) -> None:
    """Say gzip and send plain bytes."""
    await _with(answer, writer, lambda body: body, "Content-Encoding: gzip")


async def torn_gzip(answer: bytes, writer: asyncio.StreamWriter) -> None:
    await _with(answer, writer, lambda body: gzip.compress(body or HTML)[:-9], "Content-Encoding: gzip")


async def other_charset(answer: bytes, writer: asyncio.StreamWriter) -> None:
    await _with(
        answer, writer, lambda body: b"\xff\xfe" + bytes(body), "Content-Type: application/json; charset=utf-16"
    )


async def deep_json(answer: bytes, writer: asyncio.StreamWriter) -> None:
    await _with(answer, writer, lambda body: b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "Content-Type: application/json")


async def empty_object(answer: bytes, writer: asyncio.StreamWriter) -> None:
    await _with(answer, writer, lambda body: b"{}", "Content-Type: application/json")


async def huge_head(answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 200_000 + b"\r\nContent-Length: 2\r\n\r\n{}")


async def endless_head(answer: bytes, writer: asyncio.StreamWriter) -> None:
    """Send header after header without an end, as fast as the client reads."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    async with asyncio.timeout(ENDLESS_SECONDS):
        while not writer.is_closing():
            writer.write(b"X-More: 1\r\n" * 100)
            await writer.drain()


async def status_100_then_nothing(answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def two_answers(answer: bytes, writer: asyncio.StreamWriter) -> None:
    """Send the true answer with an extra one behind it on the same connection."""
    writer.write(answer + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


async def not_http(answer: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")


async def _with(answer: bytes, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes], header: str) -> None:
    body = change(answer.partition(b"\r\n\r\n")[2])
    head = f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    writer.write(head + body)


SPOILS: Mapping[str, Spoil] = {
    "reset": reset,
    "closed without a word": close,
    "cut head": cut_head,
    "cut body": cut_body,
    "gzip that is none": not_gzip,
    "torn gzip": torn_gzip,
    "other charset": other_charset,
    "deep JSON": deep_json,
    "an empty object": empty_object,
    "huge head": huge_head,
    "endless head": endless_head,
    "100 and nothing": status_100_then_nothing,
    "not HTTP": not_http,
    "two answers": two_answers,
    "101": status("101 Switching Protocols", b""),
    "JSON of a gateway": status("502 Bad Gateway", b'{"code":502,"message":"Bad Gateway"}'),
    "JSON of another service": status("500 Oops", b'{"error":"upstream","status":500}'),
    "200 page": status("200 OK"),
    "200 empty": status("200 OK", b""),
    "201": status("201 Created"),
    "202": status("202 Accepted", b""),
    "204": status("204 No Content", b""),
    "299": status("299 Whatever"),
    "301": status("301 Moved Permanently", b"", "Location: http://127.0.0.1:9/elsewhere"),
    "302": status("302 Found", b"", "Location: /login"),
    "303": status("303 See Other", b"", "Location: /done"),
    "300": status("300 Multiple Choices", b""),
    "301 to the same host": status("301 Moved Permanently", b"", "Location: /done"),
    "302 without a place": status("302 Found", b""),
    "304": status("304 Not Modified", b""),
    "307": status("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/x"),
    "308": status("308 Permanent Redirect", b"", "Location: http://127.0.0.1:9/x"),
    "404 page": status("404 Not Found"),
    "408": status("408 Request Timeout"),
    "413": status("413 Content Too Large"),
    "429": status("429 Too Many Requests"),
    "409": status("409 Conflict"),
    "422": status("422 Unprocessable Content"),
    "425": status("425 Too Early"),
    "499": status("499 Client Closed Request"),
    "500 page": status("500 Internal Server Error"),
    "502": status("502 Bad Gateway"),
    "503": status("503 Service Unavailable"),
    "520": status("520 Web Server Returned an Unknown Error"),
    "599": status("599 Network Connect Timeout"),
    "504": status("504 Gateway Time-out"),
}


@dataclass
class HostileProxy:
    """Forwards everything to a sandbox; requests that hold a mark (`SPOIL<name|acted>`) get a spoiled answer.

    `limit`: how many answers are spoiled for one mark; later ones pass.
    """

    sandbox_port: int
    limit: int = 1
    spoiled: dict[str, int] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
            await self._exchange(reader, writer)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await _body_of(head, reader)
        mark = re.search(rb"SPOIL<([^|<>]+)\|(\w+)>", body)
        name = mark[0].decode() if mark else ""
        if mark is None or self.spoiled.get(name, 0) >= self.limit:
            writer.write(await self._ask(head, body))
            await writer.drain()
            return
        self.spoiled[name] = self.spoiled.get(name, 0) + 1
        answer = await self._ask(head, body) if mark[2] == b"acted" else b""
        await SPOILS[mark[1].decode()](answer, writer)
        await writer.drain()

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """Return the sandbox's answer, its own addresses replaced by this proxy's."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.sandbox_port)
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(_HOP_HEADERS)]
        writer.write(
            b"\r\n".join([*lines, b"Connection: close", f"Content-Length: {len(body)}".encode()]) + b"\r\n\r\n"
        )
        writer.write(body)
        answer = await reader.read()
        writer.close()
        return answer


_HOP_HEADERS = (b"connection:", b"content-length:", b"transfer-encoding:", b"expect:", b"accept-encoding:")


async def _body_of(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if found := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        return await reader.readexactly(int(found[1]))
    if not re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return b""
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
