"""Reads a server's clock from the `Date` header of its answer."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import aiohttp

SECONDS = 5.0
"""Timeout for the answer."""


async def seconds_ahead(url: str) -> float | None:
    """Return by how many seconds this machine's clock is ahead of the server's, or None if the answer has no date.

    Accurate to a second or two: the header has whole seconds and takes time to arrive.
    """
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:
            before = time.time()
            async with session.head(url, allow_redirects=False) as answer:
                told = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
                return (before + time.time()) / 2 - (told + 0.5)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
