"""The WebSocket to the gateway: pushes in order, answers to their askers, kept alive, opened again when it breaks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from yizhan.errors import MediaTooLarge, OutcomeUnknown, Unavailable
from yizhan.http.client import Caller
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.model import Clock, read_all
from yizhan.platforms.ohwxapi import wire
from yizhan.wire import Base64, HttpResponse

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 5.0
"""Any text keeps the line alive; a living client writes one every five seconds."""
KEEP_ALIVE = "ping"
LONGEST_DELAY = 60.0
WAITING = 10_000
"""Pushes that may wait for a reader."""


def socket_url(base_url: str, given: str, wxid: str, security_code: str) -> str:
    """Return the WebSocket's address: `given`, or below the gateway's own."""
    if given:
        return given
    base = base_url.rstrip("/").replace("http", "ws", 1)
    if security_code:
        return f"{base}/ws/{quote(wxid, safe='')}/{quote(security_code, safe='')}"
    return f"{base}/ws"


class Line:
    """One WebSocket of one account, opened when it is first needed."""

    def __init__(self, caller: Caller, url: str, wxid: str, clock: Clock, max_bytes: int) -> None:
        self.url = url
        self._caller = caller
        self._wxid = wxid
        self._clock = clock
        self._max_bytes = max_bytes
        self._socket: Socket | None = None
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._pushes: asyncio.Queue[str | None] | None = None
        # Ten digits, beyond 32 bits, as the vendor's own client makes them.
        self._next_id = random.randrange(10**9, 9 * 10**9)

    # --- events ---

    async def pushes(self) -> AsyncIterator[str]:
        """Yield the frames that are no answers, for ever; a broken line is opened again, waiting longer each time."""
        queue = self._pushes = asyncio.Queue[str | None](WAITING)
        failures = 0
        try:
            while True:
                text = await self._next(queue)
                if text is not None:
                    failures = 0
                    yield text
                    continue
                failures += 1
                await self._clock.sleep(min(LONGEST_DELAY, 2.0 ** min(failures, 10) / 2) * random.uniform(0.8, 1.2))
        finally:
            if self._pushes is queue:
                self._pushes = None

    async def _next(self, queue: asyncio.Queue[str | None]) -> str | None:
        """Return the next frame; None when the line broke or did not open."""
        try:
            if queue.empty():
                await self._open()
            return await queue.get()
        except Unavailable as error:
            log.warning("event socket did not open", extra={"account": self._caller.account, "why": str(error)})
            return None

    # --- commands ---

    async def ask(self, command: wire.Command[Any, Any], parameters: Struct) -> HttpResponse:
        """Give a command over the socket and return its answer.

        Raises:
            MediaTooLarge: it does not fit into a frame.
            Unavailable: it did not leave, or repeating is harmless.
            OutcomeUnknown: it left, and no answer came.
        """
        self._next_id += 1
        frame = wire.socket_command(command, self._next_id, self._wxid, await _inlined(parameters, self._max_bytes))
        if len(frame) > self._max_bytes:
            raise MediaTooLarge(
                f"{command.name} has {len(frame)} bytes; {self._max_bytes} fit into a frame of the gateway's WebSocket "
                "(rule socket.max_bytes). Send commands over HTTP (commands = 'http') where the gateway takes them."
            )
        socket = await self._open()
        answer = self._asked[self._next_id] = asyncio.get_running_loop().create_future()
        number = self._next_id
        try:
            await socket.send(frame)
            text = await asyncio.wait_for(answer, command.timeout)
        except (SocketClosed, TimeoutError) as error:
            raise self._no_answer(command, error) from error
        finally:
            self._asked.pop(number, None)
        return HttpResponse(200, [("Content-Type", "application/json")], text.encode())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            with contextlib.suppress(SocketClosed, ConnectionError, TimeoutError):
                await self._socket.close()
            self._socket = None

    def _no_answer(self, command: wire.Command[Any, Any], error: Exception) -> Exception:
        words = f"{self._caller.account}: {command.name} over {self.url} got no answer ({error or 'time is up'})."
        if command.acts:
            return OutcomeUnknown(
                f"{words} It may have been carried out.", account=self._caller.account, endpoint=command.name
            )
        return Unavailable(f"{words} Trying again is safe.", account=self._caller.account, endpoint=command.name)

    # --- the line itself ---

    async def _open(self) -> Socket:
        async with self._opening:
            if self._socket is None:
                socket = self._socket = await self._caller.socket(self.url)
                self._start(self._read(socket))
                self._start(self._keep_alive(socket))
            return self._socket

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, socket: Socket) -> None:
        why: Exception = SocketClosed(1000, "closed by us")
        try:
            while True:
                self._take(await socket.receive())
        except SocketClosed as closed:
            why = closed
        finally:
            self._socket = None
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(why)
            if self._pushes is not None:
                self._put(None)

    def _take(self, text: str) -> None:
        number = wire.read_answer_id(text)
        if number is None:
            self._put(text)
        elif (asked := self._asked.get(number)) is not None and not asked.done():
            asked.set_result(text)

    def _put(self, text: str | None) -> None:
        if self._pushes is None:
            return
        try:
            self._pushes.put_nowait(text)
        except asyncio.QueueFull:
            log.error("events are not read; one is lost", extra={"account": self._caller.account})

    async def _keep_alive(self, socket: Socket) -> None:
        with contextlib.suppress(SocketClosed):
            while self._socket is socket:
                await self._clock.sleep(KEEP_ALIVE_SECONDS)
                await socket.send(KEEP_ALIVE)


async def _inlined(parameters: Struct, max_bytes: int) -> Struct:
    """Media in a frame is text like everything else; media that cannot fit is not read."""
    changes: dict[str, Any] = {}
    for name in parameters.__struct_fields__:
        value = getattr(parameters, name)
        if isinstance(value, Base64):
            whole = await read_all(value.content, 0, max_bytes)
            changes[name] = base64.b64encode(whole).decode()
    return msgspec.structs.replace(parameters, **changes) if changes else parameters
