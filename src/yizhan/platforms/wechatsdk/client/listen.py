"""Where the WeChat client delivers what comes in: a listener of ours, registered with it and kept registered."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import msgspec

from yizhan.errors import LoginNeeded, PlatformError, Rejected
from yizhan.http.listener import HttpListener
from yizhan.http.router import Call, Router
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.model import BytesContent, Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.wechatsdk import Settings, wire
from yizhan.wire import Endpoint, HttpRequest, HttpResponse

log = logging.getLogger(__name__)

MAX_PUSH = 16 << 20
"""Bytes of one push."""
LOOK_SECONDS = 30.0
"""Between two looks at whether the client still knows the listener: it forgets when it starts anew."""
KEPT = "handler"
"""Under this name the state_store holds the address that was registered last."""


class Listens(Protocol):
    """A listener of ours, whatever the transport."""

    @property
    def handler(self) -> wire.AddHandler: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Listener:
    """Takes pushes over HTTP or a WebSocket and hands each, as a decoded object, to `take`."""

    def __init__(self, settings: Settings, take: Callable[[dict[str, Any]], None]) -> None:
        self._settings = settings
        self._take = take
        # Whoever does not know the path cannot make events up.
        self._path = f"/wechatSDK/{secrets.token_urlsafe(24)}"
        router = Router("wechatsdk-events", wire.ENVELOPE, _NoFiles())
        push = Endpoint(
            "push", "POST", self._path, wire.Push, wire.Done, wire.ENVELOPE, "处理消息/http处理器", max_bytes=MAX_PUSH
        )
        router.add(push, self._posted)
        router.socket(self._path, self._connected)
        self._door = HttpListener([router], host=settings.listen_host, port=settings.listen_port)

    async def open(self) -> None:
        """Start listening. ConfigError when the address cannot be bound."""
        await self._door.start()

    async def close(self) -> None:
        await self._door.close()

    @property
    def handler(self) -> wire.AddHandler:
        """What to register with the client."""
        base = (self._settings.callback_url or self._door.url).rstrip("/")
        if self._settings.events == "websocket":
            return wire.AddHandler(protocol=wire.BY_WEBSOCKET, url="ws" + base.removeprefix("http") + self._path)
        return wire.AddHandler(protocol=wire.BY_HTTP, url=base + self._path)

    async def _posted(self, call: Call[wire.Push]) -> HttpResponse:
        body = b"".join(piece for piece in call.http.body if isinstance(piece, bytes))
        self._take(msgspec.json.decode(body))
        return HttpResponse(200, [("Content-Type", "application/json")], b'{"success":"true"}')

    async def _connected(self, http: HttpRequest, socket: Socket) -> None:
        with suppress(SocketClosed):
            while True:
                text = await socket.receive()
                if text == wire.GREETING:
                    await socket.send(wire.GREETING)
                    continue
                try:
                    push = msgspec.json.decode(text)
                except (msgspec.DecodeError, RecursionError):
                    log.warning("push is no JSON", extra={"begins": text[:80]})
                    continue
                if isinstance(push, dict):
                    self._take(push)
                await socket.send("ok")


class Registration:
    """Keeps a listener registered: at once, again when the client forgot it, and with patience when it is away."""

    def __init__(self, call: Callable[[Any, Any], Any], state_store: StateStore, clock: Clock) -> None:
        self._call = call
        self._keeper = state_store
        self._clock = clock
        self.done = asyncio.Event()
        """Set once the client knows the listener."""

    @asynccontextmanager
    async def of(self, listener: Listens, lost: Callable[[str], None]) -> AsyncIterator[None]:
        """Keep `listener` registered for the duration of the block. `lost` is told when a login is needed."""
        await listener.open()
        keeping = asyncio.ensure_future(self._keep(listener.handler, lost))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            with suppress(PlatformError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._remove(_address(listener.handler))
            await listener.close()

    async def _keep(self, handler: wire.AddHandler, lost: Callable[[str], None]) -> None:
        pause, told = 1.0, False
        while True:
            try:
                if not await self._known(_address(handler)):
                    await self._register(handler)
                self.done.set()
                pause, told = LOOK_SECONDS, False
            except LoginNeeded as error:
                if not told:
                    lost(str(error))
                pause, told = LOOK_SECONDS, True
            except PlatformError as error:
                log.warning("listener not registered", extra={"reason": str(error)})
                pause = min(LOOK_SECONDS, pause * 2)
            await self._clock.sleep(pause)

    async def _known(self, address: str) -> bool:
        return any(_address(handler) == address for handler in await self._listed())

    async def _register(self, handler: wire.AddHandler) -> None:
        last = (self._keeper.get(KEPT) or b"").decode("utf-8", "replace")
        if last and last != _address(handler):
            # Left over from a run that ended without a goodbye.
            await self._remove(last)
        await self._call(wire.ADD_HANDLER, handler)
        await self._keeper.put(KEPT, _address(handler).encode())
        # Joining and leaving members are told only on request; older versions have no such call.
        with suppress(Rejected):
            await self._call(wire.ENABLE_GROUP_PUSHES, wire.Switch(bEnable=True))

    async def _remove(self, address: str) -> None:
        for handler in await self._listed():
            if _address(handler) == address:
                await self._call(wire.REMOVE_HANDLER, wire.RemoveHandler(cookie=handler.cookie))

    async def _listed(self) -> list[wire.Handler]:
        answer: wire.Handlers = await self._call(wire.LIST_HANDLERS, wire.Request())
        return answer.data


def _address(handler: wire.AddHandler | wire.Handler) -> str:
    return handler.url or f"tcp://{handler.host}:{handler.port}"


class _NoFiles:
    """Pushes carry no files."""

    async def keep(self, chunks: AsyncIterator[bytes], /) -> BytesContent:
        raise ValueError("a push has no files")
