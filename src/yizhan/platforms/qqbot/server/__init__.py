"""The serving end: the platform's own HTTP, socket and webhooks over a simulated world.

One class per chapter of the vendor's pages: tokens · bot · uploads · chunks · messages · guild · images ·
interactions · gateway · webhooks. Every chapter needs `state`; `access` guards the calls that want a token;
`address_book` knows people, groups and channels; `files` keeps uploads, `formats` tells them by their bytes; `quotas`
counts; `audits` holds guild messages for review; `event_source` makes the events that are pushed, and `simulated`
plays them by name. Rules are read at every call, so they can be changed while the server runs.
"""

from __future__ import annotations

from typing import Literal

from yizhan.model import Kind
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.address_book import AddressBook
from yizhan.platforms.qqbot.server.audits import AuditQueue
from yizhan.platforms.qqbot.server.bot import BotCalls
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
from yizhan.platforms.qqbot.server.state import APP_ID, SECRET, ServerState
from yizhan.platforms.qqbot.server.tokens import Tokens
from yizhan.platforms.qqbot.server.uploads import Uploads
from yizhan.platforms.qqbot.server.webhooks import Webhooks
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.world import Blob, World

__all__ = ["APP_ID", "SECRET", "Server"]


class Server(ServerState):
    """The platform as one bot sees it, with all its chapters."""

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.address_book = AddressBook(self)
        self.quotas = Quotas(self)
        self.rates = Rates(self)
        self.tokens = Tokens(self)
        access = Access(self, self.tokens, self.rates)
        self.bot = BotCalls(self, access)
        self.files = Files(self)
        self.interactions = Interactions(self, access)
        self.gateway = Gateway(self, self.tokens)
        self.webhooks = Webhooks(self)
        self.event_source = EventSource(
            self, self.address_book, self.files, self.interactions, self.gateway, self.webhooks
        )
        self.images = Images(self, access, self.files)
        self.messages = Messages(
            self, access, self.address_book, self.event_source, self.files, self.quotas, self.images
        )
        self.chunks = Chunks(self, access, self.address_book, self.files)
        self.upload_calls = Uploads(self, access, self.address_book, self.files, self.chunks, self.messages)
        self.audits = AuditQueue(self, self.event_source)
        self.guild = Guild(
            self,
            access,
            self.address_book,
            self.event_source,
            self.messages,
            self.quotas,
            self.audits,
            self.gateway,
        )

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person write to the bot, or mention it in a group or channel; return the message's id.

        Raises:
            LookupError: there is no such person or group.
        """
        return await self.event_source.say(sender, to, text=text, media=media, kind=kind, name=name)

    async def event(self, event: SimulatedEvent) -> str:
        """Play an act of a person; return the platform's id of it."""
        return await EventPlayer(self.event_source).play(event)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        return self.address_book.create(kind, count)

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Raise LookupError: the secret of a bot is all it needs."""
        raise LookupError("a QQ bot has no QR login; its secret is all it needs")

    async def webhook(self, url: str) -> None:
        """Check `url` as the platform does (op 13), then push every event there.

        Raises:
            LookupError: it does not answer, or not as the bot would.
        """
        await self.webhooks.add(url)

    def reset(self) -> None:
        super().reset()
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
