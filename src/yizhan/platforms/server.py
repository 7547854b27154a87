"""The serving end of a platform: what the sandbox asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from yizhan.model import Kind
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.http.router import Router
    from yizhan.world import Blob


@dataclass(slots=True)
class ServerOptions:
    """How the sandbox was started."""

    manual_logins: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


class Server(Protocol):
    """The serving end: answers the platform's wire over a World. Made as `Server(world, rules, options)`."""

    router: Router
    rules: Rules
    """Read at every call; replaced when the sandbox changes profile or numbers."""

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """A simulated person says something to the account (`to="bot"`) or in a group; returns the platform's own id.

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
        """Forget everything but what stands in the world by default."""

    async def close(self) -> None:
        """End sockets and long polls."""
