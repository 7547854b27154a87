"""The serving end of a platform, as the sandbox uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from yizhan.model import Card, Kind
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.http.router import Router
    from yizhan.world import Blob


@dataclass(slots=True)
class ServerOptions:
    """How the sandbox was started."""

    manual_logins: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaidMedia:
    """Media in an utterance of a simulated person."""

    blob: Blob
    kind: Kind = "file"
    name: str = ""
    transcript: str = ""
    """The words of a voice, where the platform recognizes them."""


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """An act of a simulated person, by the names of `EventKind`; `raw` pushes `body` unchanged."""

    event: str
    sender: str
    to: str = "bot"
    """`bot`, or the group or channel in which it happens."""
    text: str = ""
    message_id: str = ""
    """The message that the act is about: withdrawn, reacted to, or with the pressed button."""
    data: str = ""
    """The reaction; the pressed button's id in the message `message_id`, or its data; `sticker` for WeChat's stickers,
    whose `media` are a picture."""
    mentions: Sequence[str] = ()
    """Ids of people, `bot`, or `all`."""
    addressed: bool = True
    """Whether a message in a group mentions the bot, in the platform's own way."""
    quote: str = ""
    """Id of the quoted message."""
    media: Sequence[SaidMedia] = ()
    card: Card | None = None
    lines: Sequence[SimulatedEvent] = ()
    """The lines of a chat record."""
    forward: str = ""
    """Id of a message of this platform that the person sends on, as phones do; the sandbox fills in its content."""
    xml: str = ""
    """A card in the wire's own words, on the platforms of WeChat; set by `forward`."""
    body: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class PlaysEvents(Protocol):
    """A serving end that plays more acts of people than writing text."""

    async def event(self, event: SimulatedEvent) -> str:
        """Play `event`; return the platform's own id of it.

        Raises:
            LookupError: the platform has no such event, or it names a person, group or message that does not exist.
        """


class Server(Protocol):
    """The serving end: answers the platform's wire over a World. Made as `Server(world, rules, options)`."""

    router: Router
    rules: Rules
    """Read at every call; replaced when the sandbox changes profile or numbers."""

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a simulated person write to the account (`to="bot"`) or in a group; return the platform's own id.

        Raises:
            LookupError: there is no such person or group; the text names close ones.
        """

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people or groups that know the account; returns the ids by which this platform addresses them."""

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play the phone at a QR login. LookupError where there is no such login."""

    async def webhook(self, url: str) -> None:
        """Push this platform's events to `url`, signed as the platform signs. LookupError where it has no webhooks."""

    def reset(self) -> None:
        """Forget everything but the default world."""

    async def close(self) -> None:
        """End sockets and long polls."""
