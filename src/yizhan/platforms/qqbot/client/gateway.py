"""The event socket: identify, keep the heartbeat, resume after a break, identify anew where resuming fails."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from yizhan.errors import LoginNeeded, NotAllowed, PlatformError, Rejected, Unavailable
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot.client.bot import Bot
from yizhan.platforms.qqbot.client.event_queue import EventQueue, Position
from yizhan.platforms.qqbot.client.presses import PressAcknowledger
from yizhan.platforms.qqbot.client.session import Origin, Session, SessionStore
from yizhan.platforms.qqbot.convert import Own, parse
from yizhan.platforms.qqbot.wire.gateway import (
    INTENTS_NOT_PERMITTED,
    LINE_BROKE,
    TOKEN_REFUSED,
    CloseCode,
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
"""Permitted to every bot."""
USUAL = NARROW | Intents.INTERACTION | Intents.MESSAGE_AUDIT | Intents.PUBLIC_GUILD_MESSAGES | Intents.DIRECT_MESSAGE
WIDE = USUAL | Intents.GROUP_MEMBER_EVENT | Intents.GUILD_MEMBERS | Intents.GUILD_MESSAGE_REACTIONS
FALLBACKS = (WIDE, USUAL, NARROW)
"""Intents requested where the settings name none, each after the one before it was refused."""
STEADY_SECONDS = 5.0
"""After a connection that lasted this long the next one is opened without delay."""
MAX_WAIT_SECONDS = 60.0
SHARD = (0, 1)


@dataclass(slots=True)
class _Connection:
    """One open socket."""

    socket: Socket
    interval: float
    """Seconds between heartbeats."""
    opened_at: float
    awaiting_ack: bool = False
    """The last heartbeat has not been acknowledged."""
    confirmed: bool = False
    """The platform has answered Identify or Resume."""
    dead: bool = False
    """Closed by this side because the platform no longer answered; its close code says nothing."""


class Gateway:
    """Keeps one session open and puts its events into the queue."""

    def __init__(
        self,
        bot: Bot,
        queue: EventQueue,
        account: str,
        intents: int = 0,
        state_store: StateStore | None = None,
        sent: Collection[str] = (),
        presses: PressAcknowledger | None = None,
    ) -> None:
        self.bot = bot
        self.queue = queue
        self.account = account
        self.presses = presses
        self.sent = sent
        """Ids and reference indexes of messages that this bot sent lately: a quote of one addresses the bot."""
        self.may_narrow = not intents
        self.origin = Origin(bot.app_id, bot.base_url, intents or int(WIDE), SHARD)
        self.address = ""
        """The gateway's address, kept while connections last: the platform gives it out only twice a minute."""
        self._store = SessionStore(state_store)
        self.session = self._store.load(self.origin)
        self.intents = (self.session and self.session.intents) or self.origin.intents
        self.acknowledged = self.session.seq if self.session else 0
        """Number of the last event that left the queue. A restart resumes behind it."""

    def acknowledge(self, position: Position) -> None:
        """Note that an event left the queue. An event of an earlier session does not count."""
        if self.session is not None and position.session == self.session.id:
            self.acknowledged = max(self.acknowledged, position.seq)

    async def run(self) -> None:
        """Run until cancelled. An error that no reconnection mends ends the queue."""
        try:
            await self._run()
        except Exception as error:
            # The consumer of the queue must not wait forever.
            await self.queue.fail(error)

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self.bot.clock.now()
            try:
                await self._connect()
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

    async def _connect(self) -> None:
        """Open a socket and serve it until it closes.

        Raises:
            PlatformError: it could not be opened, or was closed for good.
        """
        self.address = self.address or await self.bot.gateway()
        socket = await self.bot.caller.socket(self.address)
        heartbeat: asyncio.Task[None] | None = None
        connection: _Connection | None = None
        try:
            connection = _Connection(socket, await self._hello(socket), self.bot.clock.now())
            await self._enter(connection)
            heartbeat = asyncio.create_task(self._keep_heartbeat(connection))
            while True:
                await self._receive(connection, decode_frame(await socket.receive()))
        except SocketClosed as closed:
            dead = connection is not None and connection.dead
            await self._after_close(LINE_BROKE if dead else close_code(closed.code), closed.code)
        except ValueError as error:
            log.warning("unreadable frame", extra={"account": self.account, "reason": str(error)})
        finally:
            if heartbeat is not None:
                heartbeat.cancel()
            if connection is not None:
                self._count_steady(connection)
            await self._save()
            if not socket.closed:
                await socket.close()

    async def _hello(self, socket: Socket) -> float:
        frame = decode_frame(await socket.receive())
        if frame.op != Op.HELLO:
            raise Unavailable(f"{self.account}: the gateway began with op {frame.op}.", account=self.account)
        return msgspec.convert(frame.d, Hello, strict=False).heartbeat_interval / 1000

    async def _enter(self, connection: _Connection) -> None:
        """Resume the session, or identify."""
        await self.bot.tokens.headers()
        token = self.bot.tokens.text
        if self.session is not None and self.session.is_given_up:
            log.warning("session given up", extra={"account": self.account, "resumes": self.session.failed_resumes})
            self.session = None
        if self.session is not None:
            # Counted before it is tried, and stored, so that a restart in between does not begin the count anew.
            self.session.failed_resumes += 1
            await self._save()
            resume = Resume(token, self.session.id, self.session.seq)
            await connection.socket.send(encode_frame(Frame(Op.RESUME, resume)))
            return
        properties = {"$os": "linux", "$browser": "yizhan", "$device": "yizhan"}
        identify = Identify(token, self.intents, SHARD, properties)
        await connection.socket.send(encode_frame(Frame(Op.IDENTIFY, identify)))

    async def _receive(self, connection: _Connection, frame: Frame) -> None:
        match frame.op:
            case Op.DISPATCH:
                connection.confirmed = True
                await self._dispatch(frame)
            case Op.HEARTBEAT:
                await connection.socket.send(self._heartbeat())
            case Op.HEARTBEAT_ACK:
                connection.awaiting_ack = False
            case Op.RECONNECT:
                await connection.socket.close()
                raise SocketClosed(1000, "the platform asked for a new connection")
            case Op.INVALID_SESSION:
                if self.session is None:
                    raise Unavailable(f"{self.account}: the gateway opens no session (op 9).", account=self.account)
                self.session = None
                await self._enter(connection)

    async def _dispatch(self, frame: Frame) -> None:
        if frame.t == "READY":
            ready = msgspec.convert(frame.d, Ready, strict=False)
            self.session = Session(ready.session_id, frame.s or 0, self.origin, self.intents, ready.user.id)
            self.acknowledged = self.session.seq
            await self._save()
        elif self.session is not None and frame.s is not None:
            self.session.seq = frame.s
        own = Own(self.session.own_id if self.session else "", self.sent)
        event = parse(frame, self.account, self.bot.clock.now(), own)
        if event is not None:
            if self.session is not None:
                self.session.failed_resumes = 0
            if self.presses is not None:
                # Before the event waits for its consumer: the platform waits 3 s.
                self.presses.received(event)
            session_id = self.session.id if self.session else ""
            await self.queue.put(Position(session_id, frame.s or 0), event)

    async def _keep_heartbeat(self, connection: _Connection) -> None:
        while True:
            await self.bot.clock.sleep(connection.interval)
            if connection.awaiting_ack or not connection.confirmed:
                # The connection is dead, or the platform ignores the session: neither is reported.
                connection.dead = True
                await connection.socket.close(4000)
                return
            connection.awaiting_ack = True
            try:
                await connection.socket.send(self._heartbeat())
            except SocketClosed:
                return
            self._count_steady(connection)
            await self._save()

    def _heartbeat(self) -> str:
        return encode_frame(Frame(Op.HEARTBEAT, self.session.seq if self.session else None))

    def _count_steady(self, connection: _Connection) -> None:
        """A confirmed connection that lasted proves that its session is alive."""
        lasted = self.bot.clock.now() - connection.opened_at
        if self.session is not None and connection.confirmed and lasted >= STEADY_SECONDS:
            self.session.failed_resumes = 0

    async def _after_close(self, row: CloseCode, code: int) -> None:
        log.info("event socket closed", extra={"account": self.account, "code": code, "meaning": row.meaning})
        if not row.resume:
            self.session = None
        if row is TOKEN_REFUSED:
            await self.bot.tokens.renew(await self.bot.tokens.headers())
        elif row is INTENTS_NOT_PERMITTED and self.may_narrow and self.intents != NARROW:
            self.intents = int(next(fewer for fewer in FALLBACKS if fewer < self.intents))
        elif not row.resume and not row.identify:
            raise NotAllowed(
                f"{self.account}: the gateway closed with {code}: {row.meaning}. "
                "Look at the bot's state and permissions in the management console.",
                account=self.account,
            )

    async def _save(self) -> None:
        await self._store.save(self.session, self.acknowledged)
