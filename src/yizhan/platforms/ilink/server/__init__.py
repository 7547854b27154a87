"""The serving end: a simulated iLink with its CDN on the same origin.

logins (codes and the person at the phone) · judge (what is taken of what bots send) · inbound (what people send) ·
cdn · cursor (the inside of the polls' cursor) · state (what is kept)

Everything that it answers follows the rules as they are at that moment. Its terse refusals carry the reason in the
header `x-sandbox-why`.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import replace
from typing import Any, Literal, cast

import msgspec

from yizhan.errors import did_you_mean
from yizhan.http.router import Call
from yizhan.model import Kind
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.server.cdn import Cdn
from yizhan.platforms.ilink.server.cursor import BadCursor, read_cursor
from yizhan.platforms.ilink.server.inbound import THUMB, inbound_item, stamped
from yizhan.platforms.ilink.server.judge import Judge
from yizhan.platforms.ilink.server.logins import Logins
from yizhan.platforms.ilink.server.state import Bot, Chat
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Blob, World

_OPENID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Server(SandboxServer):
    """Bots, logins and the CDN over one world."""

    platform = PLATFORM
    envelope = wire.ENVELOPE

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.closing = False
        self.router.prefixes = ("/ilink", "//ilink", "/c2c", "//c2c")
        # The service says nothing but 404, also to a wrong method (annacomnena; thread Lingtai-AI/lingtai#82).
        self.router.not_found = lambda http, status: HttpResponse(404)
        self.logins = Logins(self)
        self.cdn = Cdn(self)
        self.judge = Judge(self)
        self._forget()
        for endpoint, handler in (
            (wire.GET_BOT_QRCODE, self.logins.start),
            (wire.GET_QRCODE_STATUS, self.logins.status),
            (wire.GET_UPDATES, self._get_updates),
            (wire.SEND_MESSAGE, self._send_message),
            (wire.GET_UPLOAD_URL, self.cdn.get_upload_url),
            (wire.GET_CONFIG, self._get_config),
            (wire.SEND_TYPING, self._send_typing),
            (wire.NOTIFY_START, self._notify),
            (wire.NOTIFY_STOP, self._notify),
            (wire.CDN_UPLOAD, self.cdn.upload),
            (wire.CDN_DOWNLOAD, self.cdn.download),
        ):
            self.router.add(endpoint, handler)
            # Clients that join a base with a slash at its end to a path with one at its beginning are served, too.
            self.router.add(replace(endpoint, path="/" + endpoint.path), handler)

    def _forget(self) -> None:
        self.bots: dict[str, Bot] = {}
        """By token, dead ones too."""
        self.logins.codes.clear()
        self.cdn.slots.clear()
        self.cdn.stored.clear()
        self._waiting: list[str] = []
        self._ids = itertools.count(7_495_426_660_285_223_688 + 8 * self.world.random.getrandbits(24), 8)

    # --- what the sandbox does with it ---

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        if to != "bot":
            raise LookupError(f"iLink has no groups, so nobody can write to '{to}'. Use \"bot\".")
        bot = self._living_bot_of(sender)
        thumb = await self.world.blobs.add(THUMB) if kind == "video" else None
        return self.hear(bot, sender, text, media, kind, name, thumb)

    async def event(self, event: SimulatedEvent) -> str:
        """Play a message (with a quote if it names one), `login_lost` (the person disconnects the bot), or `raw`.

        Raises:
            LookupError: iLink has no such event, or the person has no bot.
        """
        match event.event:
            case "message" if event.quote and event.to == "bot":
                return self._say_about(event)
            case "message":
                return await super().event(event)
            case "login_lost":
                self.end_session(self._living_bot_of(event.sender).token)
                return event.event
            case "raw":
                return self._raw(event)
        known = ("message", "login_lost", "raw")
        raise LookupError(
            f"iLink has no event '{event.event}'.{did_you_mean(event.event, known)} It has: {', '.join(known)}."
        )

    def _say_about(self, event: SimulatedEvent) -> str:
        """Let a person quote a message. As live quotes do, it names the quoted message by its id alone."""
        bot = self._living_bot_of(event.sender)
        media = event.media[0] if event.media else None
        blob, kind, name = (media.blob, media.kind, media.name) if media else (None, "file", "")
        id = self.hear(bot, event.sender, event.text, blob, cast("Kind", kind), name)
        message = bot.inbox[-1]
        reference = wire.RefMessage(message_item=wire.MessageItem(type=0, msg_id=event.quote))
        items = list(message.item_list or ())
        items[0] = msgspec.structs.replace(items[0], ref_msg=reference)
        bot.inbox[-1] = msgspec.structs.replace(message, item_list=items)
        return id

    def _raw(self, event: SimulatedEvent) -> str:
        """Deliver `body` as the next message of the person's bot; the server gives it an id where it has none."""
        bot = self._living_bot_of(event.sender)
        try:
            message = msgspec.convert(dict(event.body), wire.WeixinMessage, strict=False)
        except msgspec.ValidationError as error:
            raise LookupError(f"a raw event of iLink is an element of `msgs`: {error}") from error
        id = message.message_id or next(self._ids)
        bot.inbox.append(msgspec.structs.replace(message, seq=len(bot.inbox) + 1, message_id=id))
        bot.bell.ring()
        return str(id)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people who have written to the newest bot; without any bot, those who will scan the next codes."""
        if kind == "group":
            raise LookupError("iLink has no groups: a bot talks with people one by one.")
        users = [self._new_person() for _ in range(count)]
        bot = next((bot for bot in reversed(self.bots.values()) if bot.alive), None)
        for user in users:
            if bot is None:
                self._waiting.append(user)
            else:
                bot.chats[user] = Chat(user)
                self.hear(bot, user, "hi")
        return users

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        state = self.logins.find(uuid)
        match step:
            case "scan":
                self.logins.scan(state)
            case "confirm":
                self.logins.confirm(state)
            case _:
                # The platform has no word for a person who declines; the code just ends.
                state.become("expired")

    def end_session(self, token: str) -> None:
        """Make a bot's token worthless, as when the person disconnects it."""
        self.bots[token].alive = False
        self.bots[token].bell.ring()

    def reset(self) -> None:
        super().reset()
        self._end_all()
        self._forget()

    async def close(self) -> None:
        """Answer held requests as if their time were up: a server that goes away says nothing about sessions."""
        self.closing = True
        for bot in self.bots.values():
            bot.bell.ring()
        for state in self.logins.codes.values():
            state.bell.ring()

    def _end_all(self) -> None:
        for token in self.bots:
            self.end_session(token)
        self.logins.end_all()

    # --- people ---

    def _new_person(self) -> str:
        tail = "".join(self.world.random.choice(_OPENID) for _ in range(22))
        id = f"o9cq80{tail}{wire.USER_SUFFIX}"
        self.network.add_person(id, f"bot user {len(self.world.network('wechat').people)}")
        return id

    def _living_bot_of(self, user: str) -> Bot:
        for bot in reversed(self.bots.values()):
            if bot.alive and user in bot.chats:
                return bot
        known = [user for bot in self.bots.values() if bot.alive for user in bot.chats]
        raise LookupError(
            f"'{user}' has no iLink bot to write to.{did_you_mean(user, known)} "
            f"Only those who scanned a code have one: {', '.join(known[:5]) or 'nobody so far'}."
        )

    def hear(
        self,
        bot: Bot,
        user: str,
        text: str,
        media: Blob | None = None,
        kind: Kind = "file",
        name: str = "",
        thumb: Blob | None = None,
    ) -> str:
        """Let a person say something to their bot; returns the message's id."""
        now = self.world.now()
        said = wire.MessageItem(type=wire.TEXT, text_item=wire.TextItem(text=text))
        items = [said] if text or media is None else []
        if media is not None:
            cover = self.cdn.shelve(thumb, "image") if thumb else None
            items.append(inbound_item(kind, media, name, self.cdn.shelve(media, kind), bot.base_url, cover))
        chat = bot.chats[user]
        chat.context_token = self._context_token()
        chat.wrote_at, chat.sent = now, 0
        message_id = next(self._ids)
        seq = len(bot.inbox) + 1
        message = stamped(items, seq, message_id, now, chat, bot.id, self.world.hex(32), 14_778_023_042_603_769_070)
        bot.inbox.append(message)
        self.record(
            call="say",
            account=bot.id,
            sender=user,
            target=bot.id,
            target_kind="user",
            kind=kind if media is not None else "text",
            message_id=str(message_id),
            text=text,
            name=name,
            blob=media,
        )
        bot.bell.ring()
        return str(message_id)

    def new_bot(self, user: str | None) -> Bot:
        """Bind a bot to `user`, or to the next person in line. One account has one bot: an earlier one ends."""
        user = user or (self._waiting.pop(0) if self._waiting else self._new_person())
        for bot in self.bots.values():
            if bot.user == user and bot.alive:
                self.end_session(bot.token)
        id = self.world.hex(12) + wire.BOT_SUFFIX
        bot = Bot(id, f"{id}:060000{self.world.hex(40)}", user, "", int(self.world.now() * 1000))
        bot.chats[user] = Chat(user)
        self.bots[bot.token] = bot
        return bot

    def _context_token(self) -> str:
        return "AARzJWAF" + base64.b64encode(self.world.random.randbytes(96)).decode()

    # --- messages ---

    def bot_of(self, call: Call[Any]) -> Bot:
        """The bot whose token the request bears."""
        scheme, _, token = call.http.header("authorization").strip().partition(" ")
        bot = self.bots.get(token.strip()) if scheme.lower() == "bearer" else None
        if bot is None or not bot.alive:
            raise Fault(wire.STALE_TOKEN, data="no bearer token of a living bot")
        bot.base_url = call.base_url
        return bot

    def chat_of(self, bot: Bot, user: str | None) -> Chat:
        chat = bot.chats.get(user or "")
        if chat is None:
            raise Fault(wire.BAD_RECIPIENT, data=f"{bot.id} talks with {', '.join(list(bot.chats)[:3])} only")
        return chat

    async def _get_updates(self, call: Call[wire.GetUpdates]) -> wire.Updates:
        bot = self.bot_of(call)
        last_seq = self._position(bot, call.request.get_updates_buf or "")
        deadline = self.world.now() + self.rules["getupdates.hold_seconds"]
        while bot.alive and not self.closing and not bot.after(last_seq, 1) and self.world.now() < deadline:
            await bot.bell.wait(self.world.clock, deadline)
        if not bot.alive:
            raise Fault(wire.STALE_TOKEN, data="the session ended while the poll was held")
        messages = bot.after(last_seq, self.rules["getupdates.batch"])
        cursor = bot.cursor(last_seq + len(messages), int(self.world.now() * 1000))
        hint = self.rules["getupdates.hint_ms"] or None
        return wire.Updates(messages, cursor.sync_buf(), cursor.updates_buf(bot.token), hint)

    def _position(self, bot: Bot, buf: str) -> int:
        """Return the position of a cursor. An empty one brings no history, but all that is not acknowledged yet."""
        if not buf:
            return bot.acknowledged
        try:
            cursor, token = read_cursor(buf)
        except BadCursor as error:
            raise Fault(wire.BAD_CURSOR, data=str(error)) from error
        if token != bot.token or cursor.last_seq > len(bot.inbox):
            raise Fault(wire.BAD_CURSOR, data="the cursor belongs to another bot")
        bot.acknowledged = max(bot.acknowledged, cursor.last_seq)
        return cursor.last_seq

    async def _send_message(self, call: Call[wire.SendMessage]) -> wire.Sent:
        bot = self.bot_of(call)
        message = call.request.msg or wire.WeixinMessage()
        chat = self.chat_of(bot, message.to_user_id)
        # A second message under one client_id is swallowed, and so is one without: an empty id is an id.
        client_id = message.client_id or ""
        if client_id in bot.seen:
            return wire.Sent(bot.seen[client_id])
        arrivals = self.judge.arrivals(message, bot, chat)
        if self.rules["sendmessage.silent"]:
            return wire.Sent()
        chat.sent += 1
        message_id = bot.seen[client_id] = next(self._ids)
        for arrival in arrivals:
            self.record(
                call="sendmessage",
                account=bot.id,
                sender=bot.id,
                target=chat.user,
                target_kind="user",
                message_id=str(message_id),
                **arrival,
            )
        return wire.Sent(message_id)

    async def _get_config(self, call: Call[wire.GetConfig]) -> wire.Config:
        bot = self.bot_of(call)
        chat = self.chat_of(bot, call.request.ilink_user_id)
        chat.ticket = chat.ticket or base64.b64encode(self.world.random.randbytes(24)).decode()
        return wire.Config(0, chat.ticket)

    async def _send_typing(self, call: Call[wire.SendTyping]) -> wire.Done:
        bot = self.bot_of(call)
        self.chat_of(bot, call.request.ilink_user_id).typing = call.request.status == wire.TYPING
        return wire.Done(0)

    async def _notify(self, call: Call[wire.Notify]) -> wire.Done:
        self.bot_of(call).online = call.endpoint.name == wire.NOTIFY_START.name
        return wire.Done(0)
