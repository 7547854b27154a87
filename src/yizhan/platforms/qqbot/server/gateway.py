"""The WebSocket gateway: sessions that outlive their sockets for a while, numbered events, and close codes."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from yizhan.http.websocket import Socket, SocketClosed
from yizhan.platforms.qqbot.server.state import ORIGIN, ServerState
from yizhan.platforms.qqbot.server.tokens import Tokens
from yizhan.platforms.qqbot.wire import gateway as wire
from yizhan.platforms.qqbot.wire.events import INTENT_OF
from yizhan.platforms.qqbot.wire.gateway import (
    CloseCode,
    Frame,
    Hello,
    Identify,
    Op,
    Ready,
    ReadyUser,
    Resume,
    decode_frame,
    encode_frame,
)
from yizhan.wire import HttpRequest

T = TypeVar("T")

MAX_MISSED = 1000
"""Events kept per session for a client that resumes."""


@dataclass(slots=True)
class Session:
    id: str
    intents: int
    shard: tuple[int, int]
    base_url: str
    seq: int = 0
    sent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MAX_MISSED))
    """Events for its client, sent or not, with their numbers."""
    heard: int = 0
    """Number of the last event that the client had when it connected."""
    more: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is an event to send."""
    socket: Socket | None = None
    left_at: float = 0.0
    """When its socket closed, seconds since the epoch."""


class CloseConnection(Exception):
    """Close the socket with this code."""

    def __init__(self, row: CloseCode) -> None:
        super().__init__(row.meaning)
        self.row = row


class Gateway:
    def __init__(self, state: ServerState, tokens: Tokens) -> None:
        self.state = state
        self.tokens = tokens
        self.sessions: dict[str, Session] = {}
        self.sockets: set[Socket] = set()
        self.backlog: deque[tuple[float, Frame, str]] = deque(maxlen=MAX_MISSED)
        """Events of the time without any session, with their times and guilds."""
        state.router.socket(wire.PATH, self.connect)

    def reset(self) -> None:
        """Keep the connections, and forget earlier events."""
        self.backlog.clear()
        for session in list(self.sessions.values()):
            session.sent.clear()
            if session.socket is None:
                del self.sessions[session.id]

    async def close(self) -> None:
        for socket in list(self.sockets):
            await socket.close(1001, "going away")

    @property
    def connected(self) -> bool:
        return any(session.socket is not None for session in self.sessions.values())

    def dispatch(self, frame: Frame, guild_id: str = "") -> None:
        """Give an event to every session whose intents include it; a session without a socket gets it on resume."""
        self._forget_old()
        if not self.sessions:
            self.backlog.append((self.state.now(), frame, guild_id))
        for session in list(self.sessions.values()):
            if _wants(session, frame, guild_id):
                self._number(session, frame)

    async def disconnect(self, row: CloseCode) -> None:
        """Close every socket with the code of `row`."""
        for socket in list(self.sockets):
            await socket.close(row.code, row.meaning)

    async def ask_to_reconnect(self) -> None:
        """Send op 7 over every socket."""
        for socket in list(self.sockets):
            await socket.send(encode_frame(Frame(Op.RECONNECT)))

    async def connect(self, http: HttpRequest, socket: Socket) -> None:
        """Serve one socket until it closes."""
        self.sockets.add(socket)
        session: Session | None = None
        sending: asyncio.Task[None] | None = None
        try:
            interval = self.state.rules.number("gateway.heartbeat_milliseconds")
            await socket.send(encode_frame(Frame(Op.HELLO, Hello(interval))))
            while True:
                frame = self._read(await socket.receive())
                session = await self._handle(frame, session, http, socket)
                if session is not None and sending is None:
                    sending = asyncio.create_task(self._send_all(session, socket))
        except CloseConnection as refused:
            await socket.close(refused.row.code, refused.row.meaning)
        except SocketClosed:
            pass
        finally:
            self.sockets.discard(socket)
            if sending is not None:
                sending.cancel()
            if session is not None and session.socket is socket:
                session.socket = None
                session.left_at = self.state.now()

    async def _handle(self, frame: Frame, session: Session | None, http: HttpRequest, socket: Socket) -> Session | None:
        match frame.op:
            case Op.HEARTBEAT:
                # Clients differ in the pace, and in the place of the number: `d`, `s`, or nowhere.
                await socket.send(encode_frame(Frame(Op.HEARTBEAT_ACK)))
                return session
            case Op.IDENTIFY:
                if session is not None:
                    raise CloseConnection(wire.IDENTIFIED_TWICE)
                return await self._identify(_shaped(frame.d, Identify), http, socket)
            case Op.RESUME:
                if session is not None:
                    raise CloseConnection(wire.IDENTIFIED_TWICE)
                return await self._resume(_shaped(frame.d, Resume), http, socket)
        raise CloseConnection(wire.UNKNOWN_OP)

    def _read(self, text: str) -> Frame:
        try:
            return decode_frame(text)
        except ValueError as error:
            raise CloseConnection(wire.BAD_PAYLOAD) from error

    async def _identify(self, identify: Identify, http: HttpRequest, socket: Socket) -> Session:
        self._check_token(identify.token)
        shard_id, shards = identify.shard
        # The vendor's sample has [0, 0]; it counts as the only shard.
        if shard_id < 0 or (shards > 0 and shard_id >= shards):
            raise CloseConnection(wire.SHARD_INVALID)
        if identify.intents < 0:
            raise CloseConnection(wire.INTENTS_INVALID)
        if identify.intents & ~self.state.rules.number("gateway.intents_permitted"):
            raise CloseConnection(wire.INTENTS_NOT_PERMITTED)
        session_id = str(uuid.UUID(int=self.state.world.random.getrandbits(128), version=4))
        session = Session(session_id, identify.intents, identify.shard, http.base_url, left_at=self.state.now())
        self.state.base_url = http.base_url
        self.sessions[session.id] = session
        user = ReadyUser(self.state.bot_id, self.state.bot_name)
        ready = self._number(session, Frame(Op.DISPATCH, Ready(1, session.id, user, identify.shard), t="READY"))
        session.heard = session.seq
        self._take_backlog(session)
        await socket.send(ready)
        session.socket = socket
        return session

    def _take_backlog(self, session: Session) -> None:
        oldest = self.state.now() - self.state.rules.number("gateway.backlog_seconds")
        waiting = list(self.backlog)
        self.backlog.clear()
        for at, frame, guild_id in waiting:
            if at > oldest and _wants(session, frame, guild_id):
                self._number(session, frame)

    async def _resume(self, resume: Resume, http: HttpRequest, socket: Socket) -> Session | None:
        if not resume.token.startswith("Bot "):
            # One client sends its application in place of its token.
            self._check_token(resume.token)
        self._forget_old()
        session = self.sessions.get(resume.session_id)
        if session is None:
            await socket.send(encode_frame(Frame(Op.INVALID_SESSION, False)))
            return None
        if not 0 <= resume.seq <= session.seq:
            raise CloseConnection(wire.SEQ_WRONG)
        session.socket, session.heard, session.base_url = socket, resume.seq, http.base_url
        self._number(session, Frame(Op.DISPATCH, "", t="RESUMED"))
        return session

    def _check_token(self, token: str) -> None:
        if not self.tokens.is_valid(token.removeprefix(wire.TOKEN_PREFIX)):
            raise CloseConnection(wire.TOKEN_REFUSED)

    def _number(self, session: Session, frame: Frame) -> str:
        """Number a frame within the session, store it, and return it as text."""
        session.seq += 1
        text = encode_frame(msgspec.structs.replace(frame, s=session.seq)).replace(ORIGIN, session.base_url)
        session.sent.append((session.seq, text))
        session.more.set()
        return text

    async def _send_all(self, session: Session, socket: Socket) -> None:
        """Send the events that the session's client has not had, in order, for as long as this is its socket.

        It runs as a task of its own, so that a client that does not read delays no other.
        """
        seq = session.heard
        with suppress(SocketClosed):
            while session.socket is socket:
                session.more.clear()
                for number, text in [numbered for numbered in session.sent if numbered[0] > seq]:
                    await socket.send(text)
                    seq = number
                await session.more.wait()

    def _forget_old(self) -> None:
        oldest = self.state.now() - self.state.rules.number("gateway.resume_seconds")
        for session in list(self.sessions.values()):
            if session.socket is None and session.left_at < oldest:
                del self.sessions[session.id]


def _wants(session: Session, frame: Frame, guild_id: str) -> bool:
    """Return whether a session gets an event: by its intents, and by its shard, which follows from the guild."""
    needed = int(INTENT_OF.get(frame.t or "", 0))
    shard_id, shards = session.shard
    home = (int(guild_id) >> 22) % shards if guild_id and shards else 0
    return (session.intents & needed == needed) and shard_id == home


def _shaped(d: Any, shape: type[T]) -> T:
    if isinstance(d, dict):
        d = {name: value for name, value in d.items() if value is not None}
    try:
        return msgspec.convert(d, shape, strict=False)
    except msgspec.ValidationError as error:
        raise CloseConnection(wire.BAD_PAYLOAD) from error
