"""Messages both ways, and the configuration, typing and presence of conversations."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from yizhan.http.router import Call
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.bots import Bots
from yizhan.platforms.ilink.server.cdn import Cdn
from yizhan.platforms.ilink.server.cursor import BadCursor, read_cursor
from yizhan.platforms.ilink.server.inbound import inbound_item, inbound_message
from yizhan.platforms.ilink.server.outbound import OutboundChecks
from yizhan.platforms.ilink.server.state import Bot
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.server import SaidMedia
from yizhan.wire import Fault
from yizhan.world import Blob


class Messages:
    """Carries what people and bots write to each other."""

    def __init__(self, server: SandboxServer, bots: Bots, cdn: Cdn) -> None:
        self._server = server
        self._bots = bots
        self._cdn = cdn
        self._checks = OutboundChecks(server, cdn)

    # --- people to bots ---

    def say(
        self,
        bot: Bot,
        user: str,
        text: str,
        media: SaidMedia | None = None,
        *,
        quote: str = "",
        thumb: Blob | None = None,
    ) -> str:
        """Let a person write to their bot; return the message's id."""
        chat = bot.chats[user]
        chat.context_token = self._context_token()
        chat.wrote_at, chat.sent = self._server.now(), 0
        message_id = self._bots.next_id()
        items = self._items(bot, text, media, quote, thumb)
        seq, digits = len(bot.inbox) + 1, self._server.world.hex(32)
        bot.inbox.append(inbound_message(items, seq, message_id, self._server.now(), chat, bot.id, digits))
        self._server.record(
            call="say",
            account=bot.id,
            sender=user,
            target=bot.id,
            target_kind="user",
            kind="text" if media is None else media.kind,
            message_id=str(message_id),
            text=text,
            name=media.name if media else "",
            blob=media.blob if media else None,
        )
        bot.bell.ring()
        return str(message_id)

    def _items(
        self, bot: Bot, text: str, media: SaidMedia | None, quote: str, thumb: Blob | None
    ) -> Sequence[wire.MessageItem]:
        items = []
        if text or media is None:
            items.append(wire.MessageItem(type=wire.TEXT, text_item=wire.TextItem(text=text)))
        if media is not None:
            cover = self._cdn.shelve(thumb, "image") if thumb else None
            placed = self._cdn.shelve(media.blob, media.kind)
            items.append(inbound_item(media.kind, media.blob, media.name, placed, bot.base_url, cover))
        if quote:
            # Live quotes name the quoted message by its id alone.
            reference = wire.RefMessage(message_item=wire.MessageItem(type=0, msg_id=quote))
            items[0] = msgspec.structs.replace(items[0], ref_msg=reference)
        return items

    def deliver_raw(self, bot: Bot, message: wire.WeixinMessage) -> str:
        """Deliver `message` to the bot unchanged, with an id if it has none; return the id."""
        id = message.message_id or self._bots.next_id()
        bot.inbox.append(msgspec.structs.replace(message, seq=len(bot.inbox) + 1, message_id=id))
        bot.bell.ring()
        return str(id)

    def _context_token(self) -> str:
        return "AARzJWAF" + base64.b64encode(self._server.world.random.randbytes(96)).decode()

    # --- calls ---

    async def get_updates(self, call: Call[wire.GetUpdates]) -> wire.Updates:
        bot = self._bots.asking(call)
        world, rules = self._server.world, self._server.rules
        last_seq = self._position(bot, call.request.get_updates_buf or "")
        deadline = world.now() + rules["getupdates.hold_seconds"]
        while bot.alive and not self._bots.closing and not bot.after(last_seq, 1) and world.now() < deadline:
            await bot.bell.wait(world.clock, deadline)
        if not bot.alive:
            raise Fault(wire.STALE_TOKEN, data="the session ended while the poll was held")
        messages = bot.after(last_seq, self._server.rules["getupdates.batch"])
        cursor = bot.cursor(last_seq + len(messages), int(world.now() * 1000))
        hint = self._server.rules["getupdates.hint_ms"] or None
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

    async def send_message(self, call: Call[wire.SendMessage]) -> wire.Sent:
        bot = self._bots.asking(call)
        message = call.request.msg or wire.WeixinMessage()
        chat = self._bots.chat(bot, message.to_user_id)
        # A second message under one client_id is swallowed, and so is one without: an empty id is an id.
        client_id = message.client_id or ""
        if client_id in bot.seen:
            return wire.Sent(bot.seen[client_id])
        posts = self._checks.posts_of(message, bot, chat)
        if self._server.rules["sendmessage.silent"]:
            return wire.Sent()
        chat.sent += 1
        message_id = bot.seen[client_id] = self._bots.next_id()
        for post in posts:
            self._record(bot, chat.user, str(message_id), post)
        return wire.Sent(message_id)

    def _record(self, bot: Bot, user: str, message_id: str, post: dict[str, Any]) -> None:
        self._server.record(
            call="sendmessage",
            account=bot.id,
            sender=bot.id,
            target=user,
            target_kind="user",
            message_id=message_id,
            **post,
        )

    async def get_config(self, call: Call[wire.GetConfig]) -> wire.Config:
        bot = self._bots.asking(call)
        chat = self._bots.chat(bot, call.request.ilink_user_id)
        chat.ticket = chat.ticket or base64.b64encode(self._server.world.random.randbytes(24)).decode()
        return wire.Config(0, chat.ticket)

    async def send_typing(self, call: Call[wire.SendTyping]) -> wire.Done:
        bot = self._bots.asking(call)
        self._bots.chat(bot, call.request.ilink_user_id).typing = call.request.status == wire.TYPING
        return wire.Done(0)

    async def notify(self, call: Call[wire.Notify]) -> wire.Done:
        self._bots.asking(call).online = call.endpoint.name == wire.NOTIFY_START.name
        return wire.Done(0)
