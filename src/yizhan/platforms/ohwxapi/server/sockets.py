"""The WebSocket: pushes to its listeners, and commands that come over it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import string
from collections.abc import Callable
from typing import Any

import msgspec

from yizhan.http.router import Cut, Router
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.model import read_all
from yizhan.platforms.ohwxapi import wire
from yizhan.wire import Base64, HttpRequest, HttpResponse
from yizhan.world import World

WAITING = 10_000
"""Pushes that may wait for a listener who does not read; one more, and the line is closed."""
AT_ONCE = 64
"""Commands of one socket that are worked on at the same time."""


class _Answer(msgspec.Struct):
    CgiBaseResponse: msgspec.Raw
    ResponseData: msgspec.Raw


class Listener:
    """One open socket. `wxid`: the account it hears; empty for all."""

    def __init__(self, socket: Socket, wxid: str) -> None:
        self.socket = socket
        self.wxid = wxid
        self.waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def put(self, text: str) -> bool:
        try:
            self.waiting.put_nowait(text)
        except asyncio.QueueFull:
            return False
        return True

    async def write(self) -> None:
        while True:
            await self.socket.send(await self.waiting.get())


class Sockets:
    """All listeners of one gateway."""

    def __init__(self, world: World, router: Router, is_known: Callable[[str], bool]) -> None:
        self.world = world
        self.router = router
        self._is_known = is_known
        self._listeners: set[Listener] = set()
        self._closing: set[asyncio.Task[None]] = set()
        router.socket("/ws", self._all, "socket")
        router.socket("/ws/{wxid}/{code}", self._one, "socket")

    def push(self, wxid: str, data: wire.EventData) -> None:
        """Tell everybody who listens for the account `wxid`."""
        letters = string.ascii_letters + string.digits + "-_"
        frame = wire.Push(
            CurrentPacket=wire.Packet(Data=data),
            CurrentWxid=wxid,
            UUid="".join(self.world.random.choices(letters, k=20)),
        )
        text = msgspec.json.encode(frame).decode()
        for listener in list(self._listeners):
            if listener.wxid in ("", wxid) and not listener.put(text):
                self._hang_up(listener)

    async def close(self) -> None:
        for listener in list(self._listeners):
            await _close(listener.socket)
        await asyncio.gather(*self._closing)

    def _hang_up(self, listener: Listener) -> None:
        """Close the connection of a listener that does not keep up, so that it connects again."""
        self._listeners.discard(listener)
        task = asyncio.create_task(_close(listener.socket))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _all(self, _http: HttpRequest, socket: Socket) -> None:
        await self._serve(Listener(socket, ""))

    async def _one(self, http: HttpRequest, socket: Socket) -> None:
        wxid = http.params["wxid"]
        if not self._is_known(wxid):
            await socket.close(1008, "wxid not found")
            return
        await self._serve(Listener(socket, wxid))

    async def _serve(self, listener: Listener) -> None:
        self._listeners.add(listener)
        writer = asyncio.create_task(self._write(listener))
        working: set[asyncio.Task[None]] = set()
        try:
            while True:
                text = await listener.socket.receive()
                command = _command(text)
                if command is None:
                    continue
                if len(working) >= AT_ONCE:
                    await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._carry_out(listener, command, text))
                working.add(task)
                task.add_done_callback(working.discard)
        except SocketClosed:
            pass
        finally:
            self._listeners.discard(listener)
            for task in (writer, *working):
                task.cancel()
            await asyncio.gather(writer, *working, return_exceptions=True)

    async def _write(self, listener: Listener) -> None:
        try:
            await listener.write()
        except SocketClosed:
            self._listeners.discard(listener)

    async def _carry_out(self, listener: Listener, command: dict[str, Any], text: str) -> None:
        wxid = command.get("BotWxid") or listener.wxid
        path = wire.path_of(_number(command["CgiCmd"]), command.get("CgiRequest"))
        request = HttpRequest(
            "POST",
            path,
            [("wxid", str(wxid))],
            {"Content-Type": "application/json"},
            (text.encode("utf-8", "replace"),),
        )
        try:
            answer = await self.router.answer(request)
            if not listener.put(await _with_id(answer, command.get("ReqId"))):
                self._hang_up(listener)
        except Cut:
            await _close(listener.socket)


def _command(text: str) -> dict[str, Any] | None:
    """Return the command in a frame; None for keep-alive, which is any text at all."""
    try:
        frame = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return frame if isinstance(frame, dict) and "CgiCmd" in frame else None


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return -1


async def _with_id(answer: HttpResponse, request_id: Any) -> str:
    """Return the answer as a frame: the id is between the two others, never last."""
    parts = msgspec.json.decode(await _whole(answer), type=_Answer)
    frame = wire.SocketAnswer(
        CgiBaseResponse=parts.CgiBaseResponse,
        ReqId=msgspec.Raw(msgspec.json.encode(request_id)),
        ResponseData=parts.ResponseData,
    )
    return msgspec.json.encode(frame).decode()


async def _whole(answer: HttpResponse) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    data = bytearray()
    for piece in answer.body:
        if isinstance(piece, bytes):
            data += piece
        elif isinstance(piece, Base64):
            data += base64.b64encode(await read_all(piece.content))
    return bytes(data)


async def _close(socket: Socket) -> None:
    with contextlib.suppress(TimeoutError, SocketClosed, ConnectionError):
        await socket.close(1001)
