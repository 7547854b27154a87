"""A listener for the pushes of the WeChat client, and its registration with the client, which is kept alive."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeAlias

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
CHECK_SECONDS = 30.0
"""Between two checks whether the client still knows the listener: it forgets handlers when it restarts."""
STATE = "handler"
"""Name in the state store: base address of the API, and the address of the handler registered there last."""


Caller: TypeAlias = Callable[[Any, Any], Any]


class Listens(Protocol):
    """A listener of any transport."""

    @property
    def handler(self) -> wire.AddHandler: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...


class Listener:
    """Takes pushes over HTTP or a WebSocket and hands each, as a decoded object, to `take`."""

    def __init__(self, settings: Settings, take: Callable[[dict[str, Any]], None]) -> None:
        self._settings = settings
        self._take = take
        # The path is secret, so that no other program can send made-up events.
        self._path = f"/wechatSDK/{secrets.token_urlsafe(24)}"
        router = Router("wechatsdk-events", wire.ENVELOPE, _NoFiles())
        push = Endpoint(
            "push", "POST", self._path, wire.Push, wire.Done, wire.ENVELOPE, "处理消息/http处理器", max_bytes=MAX_PUSH
        )
        router.add(push, self._posted)
        router.socket(self._path, self._connected)
        self._http = HttpListener([router], host=settings.listen_host, port=settings.listen_port)

    async def open(self) -> None:
        """Start listening. ConfigError when the address cannot be bound."""
        await self._http.start()

    async def close(self) -> None:
        await self._http.close()

    @property
    def handler(self) -> wire.AddHandler:
        """The handler to register with the client."""
        base = (self._settings.callback_url or self._http.url).rstrip("/")
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
    """Keeps a listener registered: registers again when the client forgot it, and retries while it is away."""

    def __init__(self, call: Caller, api_base: str, state_store: StateStore, clock: Clock) -> None:
        self._call = call
        self._api_base = api_base
        self._state_store = state_store
        self._clock = clock
        self.done = asyncio.Event()
        """Set once the client knows the listener."""

    @asynccontextmanager
    async def of(self, listener: Listens, lost: Callable[[str], None]) -> AsyncIterator[None]:
        """Keep `listener` registered within the block. `lost` is called when a login is needed."""
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
                pause, told = CHECK_SECONDS, False
            except LoginNeeded as error:
                if not told:
                    lost(str(error))
                pause, told = CHECK_SECONDS, True
            except PlatformError as error:
                log.warning("listener not registered", extra={"reason": str(error)})
                pause = min(CHECK_SECONDS, pause * 2)
            await self._clock.sleep(pause)

    async def _known(self, address: str) -> bool:
        return any(_address(handler) == address for handler in await self._listed())

    async def _register(self, handler: wire.AddHandler) -> None:
        base, _, last = (self._state_store.get(STATE) or b"").decode("utf-8", "replace").partition("\n")
        # Left over from a run that crashed. At another API the same address may be another program's.
        if base == self._api_base and last and last != _address(handler):
            with suppress(Rejected):
                await self._remove(last)
        await self._call(wire.ADD_HANDLER, handler)
        await self._state_store.put(STATE, f"{self._api_base}\n{_address(handler)}".encode())
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
