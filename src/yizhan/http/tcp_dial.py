"""Delivers events to a registered listener: over a WebSocket or as one TCP frame."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from yizhan.http.push import NotReached
from yizhan.http.websocket import Socket

SECONDS = 5.0
"""Timeout for opening a connection."""


def is_loopback(url: str) -> bool:
    """Whether a URL or host is this machine. No name other than `localhost` is resolved."""
    try:
        host = (urlsplit(url).hostname if "//" in url else url) or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def open_websocket(url: str, *, seconds: float = SECONDS) -> AsyncIterator[Socket]:
    """Open a WebSocket for the duration of the block; redirects are not followed.

    Raises:
        NotReached: it did not open.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:
        try:
            raw = await asyncio.wait_for(session.ws_connect(url, max_msg_size=16 << 20), seconds)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NotReached(f"{url} did not open: {error or type(error).__name__}") from error
        async with raw:
            yield Socket(raw)


async def send_tcp(host: str, port: int, data: bytes, *, seconds: float = SECONDS) -> None:
    """Connect, write `data`, and close.

    Raises:
        NotReached: the listener did not accept it within `seconds`.
    """
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(data)
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError, OverflowError, UnicodeError) as error:
        raise NotReached(f"{host}:{port} took no frame: {error or type(error).__name__}") from error
