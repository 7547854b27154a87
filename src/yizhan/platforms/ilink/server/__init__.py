"""The serving end: a simulated iLink with its CDN on the same origin.

bots (sessions and people) · logins (codes, and the phone that scans them) · messages, with outbound (checks of bots'
messages) and inbound (messages of people) · cdn · cursor (the inside of the polls' cursor) · state

Every answer follows the rules of that moment. A terse refusal carries its reason in the header `x-sandbox-why`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import msgspec

from yizhan.errors import did_you_mean
from yizhan.model import Kind
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.server.bots import Bots
from yizhan.platforms.ilink.server.cdn import Cdn
from yizhan.platforms.ilink.server.inbound import THUMB
from yizhan.platforms.ilink.server.logins import Logins
from yizhan.platforms.ilink.server.messages import Messages
from yizhan.platforms.ilink.server.state import Chat
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import SaidMedia, ServerOptions, SimulatedEvent
from yizhan.wire import HttpResponse
from yizhan.world import Blob, World

EVENTS = ("message", "login_lost", "raw")


class Server(SandboxServer):
    """Bots, logins and the CDN over one world."""

    platform = PLATFORM
    envelope = wire.ENVELOPE

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.router.prefixes = ("/ilink", "//ilink", "/c2c", "//c2c")
        # The service says nothing but 404, also to a wrong method (annacomnena; thread Lingtai-AI/lingtai#82).
        self.router.not_found = lambda http, status: HttpResponse(404)
        self.bots = Bots(self)
        self.cdn = Cdn(self, self.bots)
        self.messages = Messages(self, self.bots, self.cdn)
        self.logins = Logins(self, self.bots, self.messages)
        self._serve_all()

    def _serve_all(self) -> None:
        for endpoint, handler in (
            (wire.GET_BOT_QRCODE, self.logins.start),
            (wire.GET_QRCODE_STATUS, self.logins.status),
            (wire.GET_UPDATES, self.messages.get_updates),
            (wire.SEND_MESSAGE, self.messages.send_message),
            (wire.GET_CONFIG, self.messages.get_config),
            (wire.SEND_TYPING, self.messages.send_typing),
            (wire.NOTIFY_START, self.messages.notify),
            (wire.NOTIFY_STOP, self.messages.notify),
            (wire.GET_UPLOAD_URL, self.cdn.get_upload_url),
            (wire.CDN_UPLOAD, self.cdn.upload),
            (wire.CDN_DOWNLOAD, self.cdn.download),
        ):
            self.router.add(endpoint, handler)
            # Clients that join a base with a slash at its end to a path with one at its beginning are served, too.
            self.router.add(replace(endpoint, path="/" + endpoint.path), handler)

    # --- the sandbox's interface ---

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        if to != "bot":
            raise LookupError(f"iLink has no groups, so no one can write to '{to}'. Use \"bot\".")
        bot = self.bots.living_bot_of(sender)
        thumb = await self.world.blobs.add(THUMB) if kind == "video" else None
        said = SaidMedia(media, kind, name) if media is not None else None
        return self.messages.say(bot, sender, text, said, thumb=thumb)

    async def event(self, event: SimulatedEvent) -> str:
        """Play a message (with a quote if it names one), `login_lost` (the person disconnects the bot), or `raw`.

        Raises:
            LookupError: iLink has no such event, or the person has no bot.
        """
        match event.event:
            case "message" if event.quote and event.to == "bot":
                bot = self.bots.living_bot_of(event.sender)
                media = event.media[0] if event.media else None
                return self.messages.say(bot, event.sender, event.text, media, quote=event.quote)
            case "message":
                return await super().event(event)
            case "login_lost":
                self.bots.end_session(self.bots.living_bot_of(event.sender).token)
                return event.event
            case "raw":
                return self._raw(event)
        raise LookupError(
            f"iLink has no event '{event.event}'.{did_you_mean(event.event, EVENTS)} It has: {', '.join(EVENTS)}."
        )

    def _raw(self, event: SimulatedEvent) -> str:
        """Deliver `body` as the next message of the person's bot."""
        bot = self.bots.living_bot_of(event.sender)
        try:
            message = msgspec.convert(dict(event.body), wire.WeixinMessage, strict=False)
        except msgspec.ValidationError as error:
            raise LookupError(f"a raw event of iLink is an element of `msgs`: {error}") from error
        return self.messages.deliver_raw(bot, message)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people who have written to the newest bot; without any bot, people who scan the next codes."""
        if kind == "group":
            raise LookupError("iLink has no groups: a bot talks with people one by one.")
        users = [self.bots.new_person() for _ in range(count)]
        bot = self.bots.newest()
        if bot is None:
            self.bots.let_scan(users)
            return users
        for user in users:
            bot.chats[user] = Chat(user)
            self.messages.say(bot, user, "hi")
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

    def reset(self) -> None:
        super().reset()
        self.bots.end_all()
        self.logins.end_all()
        self.bots.clear()
        self.cdn.clear()

    async def close(self) -> None:
        self.bots.close()
        self.logins.wake_all()
