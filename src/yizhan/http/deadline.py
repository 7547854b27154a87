"""One bound on a whole answer: its head within the call's timeout, its body at no less than a minimum rate."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import aiohttp

SLOWEST_ANSWER = 10_000
"""Bytes a second: the least rate of an answer that takes longer than the call's timeout."""
MAX_ANSWER_SECONDS = 600.0
"""No answer that is read into memory may take longer."""


class AnswerDeadline:
    """Cancels its block with TimeoutError when an answer is late. aiohttp bounds the silence between bytes.

    `seconds` runs from the moment the last byte of the request left until the head of the answer is complete: so a
    server that sends its head byte by byte, or one interim answer after another, is cut off too. Waiting for a free
    connection does not count.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sent = False
        """Whether any of the request may have left."""
        self._timeout = asyncio.timeout(None)
        self._clock = asyncio.get_running_loop().time
        self._began = 0.0

    async def __aenter__(self) -> AnswerDeadline:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        await self._timeout.__aexit__(kind, error, trace)

    _open = True

    def request_left(self) -> None:
        """Note that the head of the request, or the next piece of its body, has left."""
        self.sent = True
        self._reschedule(self._clock() + self.seconds)

    def head_arrived(self) -> None:
        """Note that the answer begins; its body has `seconds`, and more as it grows."""
        self._began = self._clock()
        self.body_grew(0)

    def body_grew(self, size: int) -> None:
        """Note that `size` bytes of the body are there."""
        self._reschedule(self._began + min(self.seconds + size / SLOWEST_ANSWER, MAX_ANSWER_SECONDS))

    def lift(self) -> None:
        """Set no further bound; for downloads, whose reader may be slow itself."""
        self._reschedule(None)

    def _reschedule(self, when: float | None) -> None:
        if self._open and not self._timeout.expired():
            self._timeout.reschedule(when)


def sent_trace() -> aiohttp.TraceConfig:
    """Return the trace by which a session tells the `AnswerDeadline` of each request that its head has left."""

    async def head_left(_session: aiohttp.ClientSession, context: Any, _params: Any) -> None:
        if isinstance(context.trace_request_ctx, AnswerDeadline):
            context.trace_request_ctx.request_left()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(head_left)
    return trace
