"""The registered handlers, each with a queue of pushes over HTTP, WebSocket or TCP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from yizhan.http.push import NotReached, push
from yizhan.http.router import Call
from yizhan.http.tcp_dial import is_loopback, open_websocket, send_tcp
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.calls import Calls, refused
from yizhan.wire import Fault
from yizhan.world import World

log = logging.getLogger(__name__)

QUEUE = 1000
"""Pushes that wait for a handler that cannot be reached; the oldest goes when there are more."""
LONGEST_PAUSE = 30.0
"""Seconds between two tries to reach a WebSocket again."""
MAX_HANDLERS = 32


class Receiver:
    """One registered handler and the pushes that wait for it."""

    def __init__(self, world: World, cookie: str, protocol: int, url: str, host: str, port: int) -> None:
        self.cookie = cookie
        self.address = protocol, url, host, port
        self.description = wire.Handler(cookie, url, protocol, protocol, host, port or "")
        self._world = world
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE)
        # On Python 3.11 a connection that is just being made can swallow the task's cancellation.
        self._ended = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def put(self, text: str) -> None:
        if self._queue.full():
            self._queue.get_nowait()
            log.warning("push dropped", extra={"handler": self.cookie})
        self._queue.put_nowait(text)

    def end(self) -> asyncio.Future[None]:
        self._ended.set()
        self._task.cancel()
        return self._task

    async def _run(self) -> None:
        protocol, url, host, port = self.address
        if protocol == wire.BY_WEBSOCKET:
            await self._keep_socket(url)
        while not self._ended.is_set():
            text = await self._queue.get()
            try:
                if protocol == wire.BY_HTTP:
                    # Anything but 200 goes to a log file; nothing is said twice. Source: page "处理消息/http处理器".
                    status, _ = await push(url, text.encode(), {"Content-Type": "application/json"})
                    if status != 200:
                        log.warning("push refused", extra={"handler": self.cookie, "status": status})
                else:
                    await send_tcp(host, port, wire.tcp_frame(text.encode()))
            except NotReached as error:
                log.warning("push lost", extra={"handler": self.cookie, "reason": str(error)})

    async def _keep_socket(self, url: str) -> None:
        pause = 1.0
        while not self._ended.is_set():
            with contextlib.suppress(NotReached, SocketClosed):
                async with open_websocket(url) as socket:
                    pause = 1.0
                    await socket.send(wire.GREETING)
                    await self._speak(socket)
            if self._ended.is_set():
                return
            await self._world.clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _speak(self, socket: Socket) -> None:
        """Send the queued pushes until the connection ends. Answers (`hello`, `ok`) are read and ignored."""
        ended = asyncio.ensure_future(_drain(socket))
        waiting: asyncio.Future[str] | None = None
        try:
            while not ended.done():
                waiting = asyncio.ensure_future(self._queue.get())
                await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    return
                await socket.send(waiting.result())
        finally:
            ended.cancel()
            if waiting is not None:
                waiting.cancel()


class Pushes:
    """The handlers of one account. `hosts`: names beside loopback to which events may be pushed."""

    def __init__(self, world: World, account: Account, hosts: frozenset[str] = frozenset()) -> None:
        self._world = world
        self._account = account
        self._hosts = hosts
        self._receivers: dict[str, Receiver] = {}
        self._ending: set[asyncio.Future[None]] = set()
        self._count = 0
        self.group_changes = False
        """Whether push type 5 is on (interface 10115)."""

    @property
    def calls_before_login(self) -> Calls:
        return [
            (wire.ADD_HANDLER, self.add),
            (wire.REMOVE_HANDLER, self.remove),
            (wire.LIST_HANDLERS, self.list),
        ]

    def push(self, kind: int, data: dict[str, Any], *, interface: int | None = None, echo: Any = UNSET) -> None:
        """Push to every handler. `echo`: the caller's data of an asynchronous call."""
        if not self._receivers:
            return
        body: dict[str, Any] = {
            "pushType": kind,
            "pushTime": int(self._world.now()),
            "robot": self._account.robot(),
            "data": data,
        }
        if interface is not None:
            body["type"] = interface
        if echo is not UNSET:
            # At both places, so that either reading of the undocumented body finds it.
            body["asyncUserData"] = echo
            body["data"] = {**data, "asyncUserData": echo}
        text = msgspec.json.encode(body).decode()
        for receiver in self._receivers.values():
            receiver.put(text)

    async def add(self, call: Call[wire.AddHandler]) -> wire.Added:
        request = call.request
        host, port = request.host, 0
        if request.protocol == wire.BY_TCP:
            port = self._port(request)
            self._allow(request.host)
        elif request.protocol in (wire.BY_HTTP, wire.BY_WEBSOCKET):
            schemes = ("http://", "https://") if request.protocol == wire.BY_HTTP else ("ws://", "wss://")
            if not request.url:
                raise refused(wire.MISSING, "url")
            if not request.url.lower().startswith(schemes):
                raise refused(wire.FAILED, f"url is not {' or '.join(schemes)}")
            self._allow(request.url)
        else:
            raise Fault(wire.MISSING, f"protocol {request.protocol} cannot be served over a network")
        return wire.Added(self.register(request.protocol, request.url, host, port))

    def register(self, protocol: int, url: str, host: str = "", port: int = 0) -> str:
        """Return the cookie of a handler; the same address again is the same handler."""
        address = protocol, url, host, port
        for cookie, receiver in self._receivers.items():
            if receiver.address == address:
                return cookie
        if len(self._receivers) >= MAX_HANDLERS:
            raise refused(wire.FAILED, f"there are {MAX_HANDLERS} handlers already")
        self._count += 1
        cookie = str(self._count)
        self._receivers[cookie] = Receiver(self._world, cookie, protocol, url, host, port)
        return cookie

    async def remove(self, call: Call[wire.RemoveHandler]) -> wire.Done:
        receiver = self._receivers.pop(str(call.request.cookie), None)
        if receiver is None:
            raise refused(wire.FAILED, f"no handler {call.request.cookie}")
        self._end(receiver)
        return wire.Done()

    async def list(self, call: Call[wire.Request]) -> wire.Handlers:
        return wire.Handlers([receiver.description for receiver in self._receivers.values()])

    def clear(self) -> None:
        for receiver in self._receivers.values():
            self._end(receiver)
        self._receivers.clear()
        self.group_changes = False

    async def close(self) -> None:
        self.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, receiver: Receiver) -> None:
        ending = receiver.end()
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _allow(self, url: str) -> None:
        # A simulated platform must not become a way into anybody's network.
        if not is_loopback(url) and _host(url) not in self._hosts:
            raise refused(wire.FAILED, "the sandbox pushes to this machine only")

    @staticmethod
    def _port(request: wire.AddHandler) -> int:
        text = str(request.port)
        if not request.host or not text.isascii() or not text.isdecimal() or not 0 < int(text[:9]) < 65536:
            raise refused(wire.MISSING, "host, port")
        return int(text)


def _host(url: str) -> str:
    """The name in an address, or the bare name that a TCP handler gives; empty when it cannot be read."""
    try:
        return urlsplit(url).hostname or "" if "//" in url else url
    except ValueError:
        return ""


async def _drain(socket: Socket) -> None:
    with contextlib.suppress(SocketClosed):
        while True:
            await socket.receive()
