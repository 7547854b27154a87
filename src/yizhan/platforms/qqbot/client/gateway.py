"""The event socket: identify, beat, resume after a break, begin anew where that is wanted, give up where it must be."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, NotAllowed, PlatformError, Rejected, Unavailable
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot.client.bot import Bot
from yizhan.platforms.qqbot.client.inbox import Inbox, Place
from yizhan.platforms.qqbot.convert import parse
from yizhan.platforms.qqbot.wire.gateway import (
    INTENTS_NOT_PERMITTED,
    TOKEN_REFUSED,
    Frame,
    Hello,
    Identify,
    Intents,
    Op,
    Ready,
    Resume,
    close_code,
    decode_frame,
    encode_frame,
)

log = logging.getLogger(__name__)

NARROW = Intents.GROUP_AND_C2C_EVENT
"""What every bot may have."""
WIDE = NARROW | Intents.INTERACTION | Intents.MESSAGE_AUDIT | Intents.PUBLIC_GUILD_MESSAGES | Intents.DIRECT_MESSAGE
STEADY_SECONDS = 5.0
"""A connection that held this long was a good one: the next break is met without waiting."""
MAX_WAIT_SECONDS = 60.0
KEPT_AS = "gateway"


class Session(Struct):
    """What it takes to resume."""

    id: str
    seq: int


@dataclass(slots=True)
class _Line:
    """One open socket."""

    socket: Socket
    interval: float
    beating: bool = False
    """A heartbeat is on its way and not acknowledged."""


class Gateway:
    """Keeps one session open and puts its events into the inbox."""

    def __init__(
        self, bot: Bot, inbox: Inbox, account: str, intents: int = 0, state_store: StateStore | None = None
    ) -> None:
        self.bot = bot
        self.inbox = inbox
        self.account = account
        self.intents = intents or int(WIDE)
        self.may_narrow = not intents
        self.state_store = state_store
        self.address = ""
        """Where the gateway is; kept while connections hold, because the platform gives it out twice a minute only."""
        self.session = self._load()
        self.taken = self.session.seq if self.session else 0
        """The number of the session's last event that was taken out of the inbox: where a restart resumes."""

    def took(self, place: Place) -> None:
        """Note that an event was taken out of the inbox; one of an earlier session says nothing about this."""
        if self.session is not None and place.session == self.session.id:
            self.taken = max(self.taken, place.seq)

    async def run(self) -> None:
        """Run until cancelled; what cannot be mended ends up in the inbox."""
        try:
            await self._run()
        except Exception as error:
            # Whoever waits for events must not wait for ever.
            await self.inbox.fail(error)

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self.bot.clock.now()
            try:
                await self._connection()
            except (LoginNeeded, Rejected):
                raise
            except PlatformError as error:
                log.info("event socket not open", extra={"account": self.account, "reason": str(error)})
            steady = self.bot.clock.now() - began >= STEADY_SECONDS
            failures = 0 if steady else failures + 1
            if not steady:
                self.address = ""
            if failures > 1:
                wait = min(MAX_WAIT_SECONDS, 2.0 ** (failures - 2))
                await self.bot.clock.sleep(wait * random.uniform(0.5, 1.0))

    async def _connection(self) -> None:
        """Open a socket and serve it until it closes.

        Raises:
            PlatformError: it could not be opened, or was closed in a way that no new attempt would mend.
        """
        self.address = self.address or await self.bot.gateway()
        socket = await self.bot.caller.socket(self.address)
        beats: asyncio.Task[None] | None = None
        try:
            line = _Line(socket, await self._hello(socket))
            await self._enter(line)
            beats = asyncio.create_task(self._beat(line))
            while True:
                await self._receive(line, decode_frame(await socket.receive()))
        except SocketClosed as closed:
            await self._after_close(closed)
        except ValueError as error:
            log.warning("unreadable frame", extra={"account": self.account, "reason": str(error)})
        finally:
            if beats is not None:
                beats.cancel()
            await self._keep()
            if not socket.closed:
                await socket.close()

    async def _hello(self, socket: Socket) -> float:
        frame = decode_frame(await socket.receive())
        if frame.op != Op.HELLO:
            raise Unavailable(f"{self.account}: the gateway began with op {frame.op}.", account=self.account)
        return msgspec.convert(frame.d, Hello, strict=False).heartbeat_interval / 1000

    async def _enter(self, line: _Line) -> None:
        """Resume, or identify."""
        await self.bot.tokens.headers()
        token = self.bot.tokens.text
        if self.session is not None:
            resume = Resume(token, self.session.id, self.session.seq)
            await line.socket.send(encode_frame(Frame(Op.RESUME, resume)))
            return
        identify = Identify(token, self.intents, (0, 1), {"$os": "linux", "$browser": "yizhan", "$device": "yizhan"})
        await line.socket.send(encode_frame(Frame(Op.IDENTIFY, identify)))

    async def _receive(self, line: _Line, frame: Frame) -> None:
        match frame.op:
            case Op.DISPATCH:
                await self._dispatch(frame)
            case Op.HEARTBEAT:
                await line.socket.send(self._beat_frame())
            case Op.HEARTBEAT_ACK:
                line.beating = False
            case Op.RECONNECT:
                await line.socket.close()
                raise SocketClosed(1000, "the platform asked for a new connection")
            case Op.INVALID_SESSION:
                if self.session is None:
                    raise Unavailable(f"{self.account}: the gateway opens no session (op 9).", account=self.account)
                self.session = None
                await self._enter(line)

    async def _dispatch(self, frame: Frame) -> None:
        if frame.t == "READY":
            ready = msgspec.convert(frame.d, Ready, strict=False)
            self.session = Session(ready.session_id, frame.s or 0)
            self.taken = self.session.seq
            await self._keep()
        elif self.session is not None and frame.s is not None:
            self.session.seq = frame.s
        event = parse(frame, self.account, self.bot.clock.now())
        if event is not None:
            session_id = self.session.id if self.session else ""
            await self.inbox.put(Place(session_id, frame.s or 0), event)

    async def _beat(self, line: _Line) -> None:
        while True:
            await self.bot.clock.sleep(line.interval)
            if line.beating:
                # The last one was not acknowledged: the line is dead though nobody said so.
                await line.socket.close(4000)
                return
            line.beating = True
            try:
                await line.socket.send(self._beat_frame())
            except SocketClosed:
                return
            await self._keep()

    def _beat_frame(self) -> str:
        return encode_frame(Frame(Op.HEARTBEAT, self.session.seq if self.session else None))

    async def _after_close(self, closed: SocketClosed) -> None:
        row = close_code(closed.code)
        log.info("event socket closed", extra={"account": self.account, "code": closed.code, "meaning": row.meaning})
        if not row.resume:
            self.session = None
        if row is TOKEN_REFUSED:
            await self.bot.tokens.renew(await self.bot.tokens.headers())
        elif row is INTENTS_NOT_PERMITTED and self.may_narrow and self.intents != NARROW:
            self.intents = int(NARROW)
        elif not row.resume and not row.identify:
            raise NotAllowed(
                f"{self.account}: the gateway closed with {closed.code}: {row.meaning}. "
                "Look at the bot's state and permissions in the management console.",
                account=self.account,
            )

    def _load(self) -> Session | None:
        data: Any = self.state_store.get(KEPT_AS) if self.state_store is not None else None
        try:
            return msgspec.json.decode(data, type=Session) if data else None
        except (ValueError, RecursionError):
            return None

    async def _keep(self) -> None:
        if self.state_store is not None:
            kept = msgspec.json.encode(Session(self.session.id, self.taken)) if self.session else None
            await self.state_store.put(KEPT_AS, kept)
