"""A WebSocket with the same interface on both ends: text frames and a close code."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from socket import SHUT_RDWR

import aiohttp
from aiohttp import web

SEND_SECONDS = 30.0
"""Longest time that a frame waits for a peer that does not read."""
CLOSE_SECONDS = 5.0


class SocketClosed(Exception):
    """The peer closed the connection, or it broke. `code` is the close code, 1006 if there was none."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}".strip())
        self.code = code
        self.reason = reason


class Socket:
    """One open WebSocket."""

    def __init__(self, raw: aiohttp.ClientWebSocketResponse | web.WebSocketResponse) -> None:
        self._raw = raw
        self._cut = False

    async def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            SocketClosed: the connection is gone, or the peer has stopped reading.
        """
        if self._cut:
            raise SocketClosed(1006, "the peer did not read")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._raw.send_str(text)
        except TimeoutError as error:
            self._cut_off()
            raise SocketClosed(1006, "the peer did not read") from error
        except (ConnectionError, RuntimeError, aiohttp.ClientError) as error:
            raise SocketClosed(self._raw.close_code or 1006, str(error)) from error

    async def receive(self) -> str:
        """Return the next text frame (a binary frame is read as UTF-8).

        Raises:
            SocketClosed: the peer closed the connection, or it broke.
        """
        message = await self._raw.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return str(message.data)
            case aiohttp.WSMsgType.BINARY:
                return bytes(message.data).decode("utf-8", "replace")
        raise SocketClosed(self._raw.close_code or 1006, str(message.extra or ""))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with `code`; a peer that does not answer is dropped after `CLOSE_SECONDS`."""
        if self._cut:
            return
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_SECONDS):
                # A close frame holds up to 123 bytes of reason, cut between characters.
                words = reason.encode()[:123].decode("utf-8", "ignore").encode()
                await self._raw.close(code=code, message=words)

    @property
    def closed(self) -> bool:
        return self._cut or self._raw.closed

    def _cut_off(self) -> None:
        # After an abandoned write aiohttp cancels the next write or close, so the connection itself must end.
        self._cut = True
        raw_socket = self._raw.get_extra_info("socket")
        if raw_socket is not None:
            with suppress(OSError):
                raw_socket.shutdown(SHUT_RDWR)
