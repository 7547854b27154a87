"""Public calls about texts that grow while people read them."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from yizhan.errors import DeliveryFailed, PlatformError, Refused
from yizhan.model import Event, Message, Receipt, SendKey, Target, Text
from yizhan.platforms.adapter import Adapter, StreamPiece
from yizhan.sending.delivery import REPLY
from yizhan.supervisor import Supervisor

log = logging.getLogger(__name__)

MIN_SECONDS = 0.8
"""Pause between two updates; people read no faster, and platforms limit the rate."""
START_EXPIRES_SECONDS = 15.0
"""A first piece that could not leave by then is not sent: the whole text goes at the end."""


class TextStream:
    """An answer that grows. Begin and end are deliveries on record; the updates in between are not.

    On a platform without growing texts the whole text goes at the end.
    """

    def __init__(self, supervisor: Supervisor, event: Event, target: Target) -> None:
        self._supervisor = supervisor
        self._reply = event.reply
        self._target = target
        self._adapter: Adapter | None = None
        self._limit: int | None = None
        """The most characters of the growing text; None where the whole text goes at the end."""
        self._id = ""
        """The platform's id of the growing message."""
        self._index = 0
        self._updated_at = 0.0
        self.text = ""
        """Everything that was written."""
        self.receipt: Receipt | None = None
        """Of the end, once the stream is closed."""

    async def write(self, text: str) -> None:
        """Add to the text. People see it at once, or with the next update if the last one was a moment ago.

        Raises:
            Refused: the stream is closed.
        """
        if self.receipt is not None:
            raise Refused("This stream is closed. Open another one with stream(event).")
        self.text += text
        adapter = await self._opened()
        if self._limit is None or not self.text.strip():
            return
        if not self._id:
            await self._start(adapter)
        elif self._supervisor.clock.now() - self._updated_at >= MIN_SECONDS:
            await self._update(adapter)

    async def close(self, timeout: float | None = 60.0) -> Receipt:
        """End the text and return the receipt of the last message.

        Raises:
            Refused: nothing was written.
            DeliveryFailed, LoginNeeded: as in `send`.
        """
        if self.receipt is not None:
            return self.receipt
        adapter = await self._opened()
        rest = self.text
        if self._id:
            rest = self.text[self._limit or len(self.text) :]
            self.receipt = await self._deliver(self._piece(adapter, last=True), timeout)
        if rest.strip() or self.receipt is None:
            self.receipt = await self._deliver(Message((Text(rest),), self._reply), timeout)
        return self.receipt

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also after an error in the block: a text that has begun must not stay open at the platform.
        if self._id or error is None:
            await self.close()

    async def _opened(self) -> Adapter:
        if self._adapter is None:
            account = await self._supervisor.accounts.use(self._target.account)
            self._adapter = account.adapter
            self._limit = self._adapter.stream_limit(self._target, self._reply)
        return self._adapter

    async def _start(self, adapter: Adapter) -> None:
        message = self._piece(adapter, last=False)
        try:
            receipt = await self._deliver(message, START_EXPIRES_SECONDS, expires_in=START_EXPIRES_SECONDS)
            self._id = receipt.platform_ids[0].id if receipt.platform_ids else ""
        except DeliveryFailed as error:
            log.info("stream not begun", extra={"target": str(self._target), "reason": str(error)})
        if self._id:
            self._updated_at = self._supervisor.clock.now()
        else:
            self._limit = None

    async def _update(self, adapter: Adapter) -> None:
        message = self._piece(adapter, last=False)
        self._updated_at = self._supervisor.clock.now()
        for part in adapter.compose(message, self._target):
            try:
                await adapter.send(part, {}, self._target, SendKey(0, 1), message)
            except PlatformError as error:
                # The next piece holds the whole text so far.
                log.info("stream not updated", extra={"target": str(self._target), "reason": str(error)})

    def _piece(self, adapter: Adapter, *, last: bool) -> Message:
        text = self.text[: self._limit] if self._limit else self.text
        piece = StreamPiece(text, self._index, last, self._id)
        self._index += 1
        return adapter.stream_message(piece, self._target, self._reply)

    async def _deliver(self, message: Message, timeout: float | None, expires_in: float | None = None) -> Receipt:
        return await self._supervisor.send(self._target, message, timeout, priority=REPLY, expires_in=expires_in)


class StreamCalls:
    """Inherited by `Engine`."""

    supervisor: Supervisor

    def stream(self, event: Event) -> TextStream:
        """Answer `event` with a text that grows: `async with yz.stream(event) as text: await text.write("…")`.

        Raises:
            Refused: the event has no conversation.
        """
        if event.target is None:
            raise Refused(f"The event {event.id} ({event.kind.value}) has no conversation to answer in.")
        return TextStream(self.supervisor, event, event.target)
