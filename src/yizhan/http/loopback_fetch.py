"""Fetches URLs named by clients of the sandbox: loopback only, no redirects, bounded in size."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

SECONDS = 60.0
"""Longest silence while a file is fetched."""


class NotFetched(Exception):
    """The URL is not allowed, cannot be reached or did not answer with 200; the text says which."""


class FetchedTooLarge(NotFetched):
    """The file behind the URL is larger than allowed."""


async def fetch_loopback(url: str, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the contents of an http URL of this machine, in pieces.

    A simulated platform must not become a way into a network: names other than `localhost` are not resolved, redirects
    are not followed, and at most `max_bytes` are read.

    Raises:
        FetchedTooLarge: the file has more than `max_bytes`.
        NotFetched: it could not be read for any other reason.
    """
    target = _checked(url)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
            session.get(target, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise NotFetched(f"{target} answered {response.status}")
            taken = 0
            async for chunk in response.content.iter_chunked(1 << 18):
                taken += len(chunk)
                if taken > max_bytes:
                    raise FetchedTooLarge(f"{target} holds more than {max_bytes} bytes")
                yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise NotFetched(f"{target} cannot be read: {error}") from error


def _checked(url: str) -> URL:
    try:
        target = URL(url)
        host = target.host or ""
        allowed = target.scheme == "http" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except (ValueError, TypeError) as error:
        raise NotFetched(f"not a loopback address: {url[:200]!r}") from error
    if not allowed:
        raise NotFetched(f"only http on the loopback address is fetched, not {url[:200]!r}")
    return target
