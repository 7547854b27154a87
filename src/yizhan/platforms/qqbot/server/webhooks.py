"""Events pushed to the bot's own address: signed, and repeated with a fresh timestamp until they are acknowledged."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from yizhan.http.push import NotReached, push
from yizhan.platforms.qqbot.server.state import ORIGIN, ServerState
from yizhan.platforms.qqbot.wire.gateway import Frame, encode_frame
from yizhan.platforms.qqbot.wire.webhook import acknowledged, signed_headers, validation, validation_answered

log = logging.getLogger(__name__)

MAX_ADDRESSES = 10


class Webhooks:
    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.urls: list[str] = []
        self.failed: list[str] = []
        """Ids of the events that were never acknowledged."""
        self._seq = 0
        self._pushes: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        self.urls.clear()
        self.failed.clear()
        self._seq = 0
        for task in self._pushes:
            task.cancel()

    async def close(self) -> None:
        for task in list(self._pushes):
            task.cancel()
        await asyncio.gather(*self._pushes, return_exceptions=True)

    async def add(self, url: str) -> None:
        """Check an address by op 13, which is signed like any event, and push to it from now on."""
        if not url.startswith(("http://", "https://")):
            raise LookupError(f"'{url}' is not an http address")
        if len(self.urls) >= MAX_ADDRESSES:
            raise LookupError(f"{MAX_ADDRESSES} addresses are configured already")
        plain_token, event_ts = self.state.world.hex(20), str(int(self.state.now()))
        body = validation(plain_token, event_ts)
        try:
            status, answer = await push(url, body, self._headers(body))
        except NotReached as error:
            raise LookupError(str(error)) from error
        if status != 200 or not validation_answered(self.state.secret, plain_token, event_ts, answer):
            raise LookupError(f"{url} answered {status} to the address check, but not as the bot would (op 13)")
        if url not in self.urls:
            self.urls.append(url)

    def dispatch(self, frame: Frame) -> None:
        """Push an event to every address in the background."""
        for url in self.urls:
            self._seq += 1
            text = encode_frame(msgspec.structs.replace(frame, s=self._seq))
            body = text.replace(ORIGIN, self.state.base_url or ORIGIN).encode()
            task = asyncio.get_running_loop().create_task(self._deliver(url, body, frame.id or ""))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)

    async def settle(self) -> None:
        """Return once no push is pending; for tests."""
        while self._pushes:
            await asyncio.gather(*self._pushes, return_exceptions=True)

    async def _deliver(self, url: str, body: bytes, event_id: str) -> None:
        for delay in (*self.state.rules["webhook.retry_after_seconds"], None):
            try:
                # Signed anew every time: receivers refuse old timestamps and repeated signatures.
                status, answer = await push(url, body, self._headers(body))
                if acknowledged(status, answer):
                    return
                log.info("webhook not acknowledged", extra={"url": url, "status": status, "event": event_id})
            except NotReached as error:
                log.info("webhook not reached", extra={"url": url, "reason": str(error), "event": event_id})
            if delay is not None:
                await self.state.world.clock.sleep(float(delay))
        self.failed.append(event_id)

    def _headers(self, body: bytes) -> dict[str, str]:
        timestamp = str(int(self.state.now()))
        return signed_headers(self.state.app_id, self.state.secret, timestamp, body)
