"""The serving end: the platform's own HTTP, socket and webhooks over a simulated world.

One class per chapter, each adding its calls to the router: tokens · files · chunks · messages · guild · images ·
interactions · gateway · webhooks. `places` knows people, groups and channels, `formats` what a file is, `quotas`
counts, `audits` holds guild messages for review, `happenings` makes what is pushed.
Limits are read from `Server.rules` at every call, so they can be changed while it runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from msgspec import Struct

from yizhan.http.router import Call, Router
from yizhan.model import Kind
from yizhan.platforms.qqbot.server.address_book import AddressBook
from yizhan.platforms.qqbot.server.audits import AuditQueue
from yizhan.platforms.qqbot.server.chunks import Chunks
from yizhan.platforms.qqbot.server.event_source import EventSource
from yizhan.platforms.qqbot.server.files import Files
from yizhan.platforms.qqbot.server.gateway import Gateway
from yizhan.platforms.qqbot.server.guild import Guild
from yizhan.platforms.qqbot.server.images import Images
from yizhan.platforms.qqbot.server.interactions import Interactions
from yizhan.platforms.qqbot.server.messages import Messages
from yizhan.platforms.qqbot.server.quotas import Quotas, Rates
from yizhan.platforms.qqbot.server.simulated import EventPlayer
from yizhan.platforms.qqbot.server.tokens import Tokens
from yizhan.platforms.qqbot.server.webhooks import Webhooks
from yizhan.platforms.qqbot.wire import ENVELOPE
from yizhan.platforms.qqbot.wire.faults import PROXY_REFUSED
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.wire import Endpoint, Fault
from yizhan.world import Blob, World

Req = TypeVar("Req", bound=Struct)

APP_ID = "102000001"
SECRET = "DG5g3B4j9X2KOErG"
BOT_ID = "5777414462219517083"
BOT_NAME = "yizhan-bot"


class Server:
    """The platform as one bot sees it. `options.extra` may name another `app_id` and `secret`."""

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        self.world = world
        self.rules = rules
        self.app_id = str(options.extra.get("app_id", APP_ID))
        self.secret = str(options.extra.get("secret", SECRET))
        self.bot_id = BOT_ID
        self.bot_name = BOT_NAME
        self.base_url = ""
        """Where clients last found this server: links in what is pushed lead there."""
        self.router = Router("qqbot", ENVELOPE, world.blobs)
        self.network = world.network("qq")
        self.address_book = AddressBook(self)
        self.quotas = Quotas(self)
        self.rates = Rates(self)
        self.tokens = Tokens(self)
        self.event_source = EventSource(self)
        self.messages = Messages(self)
        self.files = Files(self)
        self.chunks = Chunks(self)
        self.guild = Guild(self)
        self.audits = AuditQueue(self)
        self.images = Images(self)
        self.interactions = Interactions(self)
        self.gateway = Gateway(self)
        self.webhooks = Webhooks(self)

    def serve(self, endpoint: Endpoint[Req, Any], handler: Callable[[Call[Req]], Awaitable[Any]]) -> None:
        """Add a call that wants an access token."""

        async def guarded(call: Call[Req]) -> Any:
            self.tokens.check(call.http)
            self.rates.take(endpoint)
            self.base_url = call.base_url
            body = call.http.body[0] if call.http.body else b""
            if isinstance(body, bytes) and len(body) > self.rules.number("files.proxy_max_bytes"):
                raise Fault(PROXY_REFUSED)
            return await handler(call)

        self.router.add(endpoint, guarded)

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Somebody writes to the bot, or mentions it in a group or channel; returns the id that an answer names."""
        return await self.event_source.say(sender, to, text=text, media=media, kind=kind, name=name)

    async def event(self, event: SimulatedEvent) -> str:
        """Let a person do something other than writing plain text; return the platform's id of it."""
        return await EventPlayer(self).play(event)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        return self.address_book.create(kind, count)

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        raise LookupError("a QQ bot has no QR login; its secret is all it needs")

    async def webhook(self, url: str) -> None:
        """Check `url` as the platform does (op 13), then push every event there.

        Raises:
            LookupError: it does not answer, or not as the bot would.
        """
        await self.webhooks.add(url)

    def reset(self) -> None:
        for chapter in (
            self.address_book,
            self.quotas,
            self.rates,
            self.tokens,
            self.event_source,
            self.messages,
            self.files,
            self.chunks,
            self.audits,
            self.images,
            self.interactions,
            self.gateway,
            self.webhooks,
        ):
            chapter.reset()

    async def close(self) -> None:
        await self.audits.close()
        await self.webhooks.close()
        await self.gateway.close()
