"""Posts events to a registered address: one attempt, with a short timeout."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

MAX_ANSWER = 1 << 16
"""Bytes of the answer that are read; acknowledgments are short."""


class NotReached(Exception):
    """No answer came; the text says why."""


async def push(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = 5.0) -> tuple[int, bytes]:
    """POST `body` once, without following redirects; return the status and the beginning of the answer.

    Raises:
        NotReached: no answer within `seconds`, or no connection.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
            session.post(url, data=body, headers=dict(headers), allow_redirects=False) as response,
        ):
            return response.status, await response.content.read(MAX_ANSWER)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise NotReached(f"{url} gave no answer: {error or type(error).__name__}") from error
