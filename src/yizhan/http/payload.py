"""Request and response bodies in pieces: media are streamed, never joined in memory."""

from __future__ import annotations

import asyncio
import base64
import select
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

from yizhan.http.deadline import AnswerDeadline
from yizhan.model.media import Content
from yizhan.wire import Base64, Piece

Progress = Callable[[int], None]
"""Called with the number of media bytes that have left since the last call."""


class Unsent(ConnectionError):
    """The connection was closed before the first byte of the request left."""


def payload_of(body: Sequence[Piece], progress: Progress | None, deadline: AnswerDeadline) -> payload.Payload | None:
    """Return `body` as an aiohttp payload, or None for an empty one."""
    if not body:
        return None
    if len(body) == 1 and isinstance(body[0], bytes):
        return _BytesPayload(body[0])
    return _PiecesPayload(body, progress, deadline)


async def stream_pieces(pieces: Sequence[Piece]) -> AsyncIterator[tuple[bytes, int]]:
    """Yield the bytes of a body, each with the number of media bytes in it."""
    for piece in pieces:
        if isinstance(piece, bytes):
            if piece:
                yield piece, 0
        elif isinstance(piece, Base64):
            async for data in _base64(piece.content):
                yield data, len(data) * 3 // 4
        else:
            async for data in piece.chunks():
                yield data, len(data)


class _BytesPayload(payload.BytesPayload):
    """A body in memory: it leaves in one piece or not at all."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        _check_connection(writer)
        await super().write_with_length(writer, content_length)


class _PiecesPayload(payload.Payload):
    """A body of pieces with a known length.

    The peer may take as long for each piece as `deadline` allows for the beginning of the answer.
    """

    _default_content_type = "application/octet-stream"

    def __init__(self, pieces: Sequence[Piece], progress: Progress | None, deadline: AnswerDeadline) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._progress = progress
        self._deadline = deadline
        self._size = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        async for data, media in stream_pieces(self._pieces):
            _check_connection(writer)
            async with asyncio.timeout(self._deadline.seconds):
                await writer.write(data)
            self._deadline.request_left()
            if media and self._progress is not None:
                self._progress(media)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await self.write(writer)


def _check_connection(writer: AbstractStreamWriter) -> None:
    """Raise `Unsent` if nothing has left yet and the peer has closed a connection that was kept alive."""
    if writer.output_size:
        return
    transport: asyncio.Transport | None = getattr(writer, "transport", None)
    if transport is None or transport.is_closing() or _peer_closed(transport):
        raise Unsent("the connection had been closed by the platform")


def _peer_closed(transport: asyncio.Transport) -> bool:
    """Whether the peer's FIN waits to be read; a busy event loop would notice it only after writing."""
    handle = transport.get_extra_info("socket")
    if handle is None or _PEER_CLOSED is None:
        return False
    poll = select.poll()
    poll.register(handle.fileno(), _PEER_CLOSED)
    return bool(poll.poll(0))


_PEER_CLOSED: int | None = getattr(select, "POLLRDHUP", None)
"""Exists on Linux only; elsewhere the event loop alone notices a closed connection."""


async def _base64(content: Content) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.chunks():
        data = rest + chunk
        whole = len(data) // 3 * 3
        rest = data[whole:]
        if whole:
            yield base64.b64encode(data[:whole])
    if rest:
        yield base64.b64encode(rest)
