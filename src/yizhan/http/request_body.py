"""Reads request bodies within bounds of size and time: small ones in memory, files straight to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from yizhan.model.media import BytesContent, Content
from yizhan.wire import BodyTooLarge, FormPart, HttpRequest, MalformedRequest


class FileStore(Protocol):
    """Stores uploaded files."""

    async def keep(self, chunks: AsyncIterator[bytes], /) -> Content:
        """Store the bytes of one file as they arrive and return them as content."""


MAX_PARTS = 64
"""Parts of one multipart body."""
MAX_TEXT_PART = 1 << 20
"""Bytes of one text part."""
MAX_FILE = 4 << 30
"""Bytes of one streamed file, counted after decompression."""
MAX_DRAINED = 256 << 20
"""Bytes that are read and discarded, so that a client sees the answer instead of a broken pipe."""
BODY_SECONDS = 60.0
"""Longest silence while a body is read, and longest time in all for a body that is read into memory."""

_UNREADABLE = (
    ValueError,
    LookupError,
    AssertionError,
    EOFError,
    aiohttp.ClientPayloadError,
    web.RequestPayloadError,
    HttpProcessingError,
)
"""Errors of aiohttp about bodies that are cut off, badly compressed, or have malformed parts."""


class BodyReader:
    """Reads the request bodies of one router. Uploaded files go to `files`; `seconds` replaces `BODY_SECONDS`."""

    def __init__(self, files: FileStore, seconds: float = BODY_SECONDS) -> None:
        self.files = files
        self.seconds = seconds

    async def read(self, request: web.Request, http: HttpRequest, limit: int, whole: bool) -> None:
        """Fill in `http.body` or `http.parts`. `whole`: the body is a file; otherwise at most `limit` bytes are read.

        Raises:
            MalformedRequest: the body is too long, too slow, or unreadable.
            ConnectionError: the client disconnected.
        """
        try:
            if whole:
                http.body = (await self.files.keep(self._chunks(request.content.readany)),)
            elif request.content_type.startswith("multipart/"):
                http.parts = [part async for part in self._multipart(request)]
            else:
                http.body = (await self._in_memory(request, limit),)
        except TimeoutError as error:
            raise MalformedRequest("the body did not arrive in time") from error
        except _UNREADABLE as error:
            raise MalformedRequest(f"the body cannot be read: {_words(error)}") from error

    async def _in_memory(self, request: web.Request, limit: int) -> bytes:
        content = request.content
        # Small bodies have usually arrived with the head; they need no timer.
        if content.is_eof() and content.exception() is None and (request.content_length or 0) <= limit:
            data = content.read_nowait()
            if len(data) <= limit and content.at_eof():
                return data
            return await self._gather(request, limit, data)
        return await self._gather(request, limit, b"")

    async def _gather(self, request: web.Request, limit: int, begun: bytes) -> bytes:
        data = bytearray(begun)
        async with asyncio.timeout(self.seconds):
            while len(data) <= limit and (request.content_length or 0) <= limit:
                chunk = await request.content.readany()
                if not chunk:
                    return bytes(data)
                data += chunk
            await _drain(request)
        raise BodyTooLarge(f"the body is over {limit} bytes")

    async def _multipart(self, request: web.Request) -> AsyncIterator[FormPart]:
        reader = await request.multipart()
        for _ in range(MAX_PARTS):
            async with asyncio.timeout(self.seconds):
                part = await reader.next()
            if part is None:
                return
            if not isinstance(part, aiohttp.BodyPartReader):
                raise MalformedRequest("nested multipart bodies are not read")
            yield await self._part(part)
        raise MalformedRequest(f"more than {MAX_PARTS} parts in one multipart body")

    async def _part(self, part: aiohttp.BodyPartReader) -> FormPart:
        name, filename = clean(part.name or ""), part.filename
        content_type = part.headers.get("Content-Type")
        chunks = self._chunks(lambda: part.read_chunk(1 << 18))
        if filename is not None or (content_type or "").startswith(("image/", "application/octet", "video/")):
            shown = None if filename is None else clean(filename)
            disposition = clean(part.headers.get("Content-Disposition", ""))
            return FormPart(name, await self.files.keep(chunks), shown, content_type, disposition)
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) > MAX_TEXT_PART:
                if _is_text(data):
                    raise MalformedRequest(f"the part '{name}' is over {MAX_TEXT_PART} bytes")
                # A file without name and type: some clients send pictures this way.
                return FormPart(name, await self.files.keep(_after(bytes(data), chunks)), None, content_type)
        try:
            return FormPart(name, data.decode(), None, content_type)
        except UnicodeDecodeError:
            return FormPart(name, BytesContent(bytes(data)), None, content_type)

    async def _chunks(self, read: Callable[[], Awaitable[bytes]]) -> AsyncIterator[bytes]:
        taken = 0
        while True:
            async with asyncio.timeout(self.seconds):
                chunk = await read()
            if not chunk:
                return
            taken += len(chunk)
            if taken > MAX_FILE:
                raise MalformedRequest(f"the file is over {MAX_FILE} bytes")
            yield chunk


def _is_text(data: bytearray) -> bool:
    """Whether `data`, which may end inside a character, is UTF-8."""
    try:
        data[: MAX_TEXT_PART // 2].decode()
    except UnicodeDecodeError as error:
        return error.end >= MAX_TEXT_PART // 2
    return True


async def _after(begun: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in chunks:
        yield chunk


async def _drain(request: web.Request) -> None:
    left = MAX_DRAINED
    while left > 0 and (chunk := await request.content.readany()):
        left -= len(chunk)


def clean(text: str) -> str:
    """Return `text` with bytes that are not UTF-8 replaced, so that it can be encoded again."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
