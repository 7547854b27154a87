"""The bodies of parts, as the composers make them and the sender sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from yizhan.model import Media
from yizhan.platforms.qqbot.wire.guild import SendToChannel, SendToDm
from yizhan.platforms.qqbot.wire.messages import SendMessage


@dataclass(frozen=True, slots=True)
class NativeBody:
    """A body of the caller's own, sent unchanged."""

    call: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """A message whose media the platform fetches itself, from a link that it gave out."""

    message: SendMessage
    file_type: int
    url: str
    name: str


@dataclass(frozen=True, slots=True)
class GuildBody:
    """A message to a channel, or a direct message, whose picture travels inside it."""

    message: SendToChannel | SendToDm
    image: Media | None = None


@dataclass(frozen=True, slots=True)
class FormattedBody:
    """Markdown, perhaps with buttons, and its replacements if the platform refuses the form from this bot."""

    message: SendMessage | SendToChannel | SendToDm
    plain: str | None = None
    """Sent as text if Markdown is refused; None fails the delivery."""
    listed: str | None = None
    """Sent as Markdown without buttons if they are refused; None fails the delivery."""


Body: TypeAlias = SendMessage | LinkMessage | GuildBody | FormattedBody | NativeBody
