"""Utterances of simulated people in the shape of each scene's event. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from yizhan.platforms.qqbot.server.address_book import GUILD_ID
from yizhan.platforms.qqbot.wire import events
from yizhan.world import Person

TEXT, CARD, CHAT_RECORD, QUOTE = 0, 3, 102, 103
"""`message_type`."""


@dataclass(slots=True)
class SandboxMessage:
    """One utterance, before it takes the shape of its scene."""

    id: str
    target: str
    person: Person
    text: str
    at: float
    msg_idx: str = ""
    """The reference index by which others quote it."""
    attachments: list[events.Attachment] = field(default_factory=list)
    mentions: list[events.Mentioned] = field(default_factory=list)
    quoted: events.Element | None = None
    quoted_id: str = ""
    """The quoted message's id, which guilds name in place of its index."""
    card: events.Card | None = None
    lines: list[events.Element] = field(default_factory=list)
    """The lines of a chat record."""

    @property
    def when(self) -> str:
        return events.clock_text(int(self.at))

    @property
    def message_type(self) -> int:
        if self.quoted is not None:
            return QUOTE
        if self.lines:
            return CHAT_RECORD
        return CARD if self.card is not None else TEXT

    @property
    def scene(self) -> events.MessageScene:
        quoted = [f"ref_msg_idx={self.quoted.msg_idx}"] if self.quoted is not None else []
        return events.MessageScene("default", [*quoted, f"msg_idx={self.msg_idx}"])

    @property
    def elements(self) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(element) for element in ([self.quoted] if self.quoted else self.lines)]


def to_bot(message: SandboxMessage) -> events.C2CMessage:
    """Return C2C_MESSAGE_CREATE."""
    return events.C2CMessage(
        message.id,
        events.UserAuthor(message.target, message.target),
        message.text,
        message.when,
        message_type=message.message_type,
        message_scene=message.scene,
        attachments=message.attachments,
        msg_elements=message.elements,
        ark_data=message.card,
    )


def in_group(message: SandboxMessage, *, addressed: bool) -> events.GroupMessage:
    """Return GROUP_AT_MESSAGE_CREATE (`addressed`) or GROUP_MESSAGE_CREATE."""
    return events.GroupMessage(
        message.id,
        events.MemberAuthor(message.person.id, message.person.id, username=message.person.name),
        message.target,
        # The platform takes the mention of the bot away and leaves the space that followed it.
        f" {message.text}" if addressed and message.text else message.text,
        message.when,
        group_id=message.target,
        message_type=message.message_type,
        message_scene=message.scene,
        attachments=message.attachments,
        msg_elements=message.elements,
        ark_data=message.card,
        mentions=message.mentions,
    )


def in_channel(message: SandboxMessage) -> events.ChannelMessage:
    """Return AT_MESSAGE_CREATE or MESSAGE_CREATE."""
    return _guild_message(message, GUILD_ID)


def in_dm(message: SandboxMessage) -> events.ChannelMessage:
    """Return DIRECT_MESSAGE_CREATE."""
    payload = _guild_message(message, message.target)
    payload.src_guild_id, payload.direct_message = GUILD_ID, True
    return payload


def _guild_message(message: SandboxMessage, guild_id: str) -> events.ChannelMessage:
    return events.ChannelMessage(
        message.id,
        events.GuildUser(message.person.id, message.person.name),
        message.target,
        guild_id,
        message.text,
        message.when,
        member=events.GuildMember("2025-01-01T00:00:00+08:00", message.person.name),
        attachments=message.attachments,
        mentions=message.mentions,
        mention_everyone=any(entry.scope == "all" for entry in message.mentions),
        message_reference=events.Reference(message.quoted_id) if message.quoted_id else None,
    )


def guild_text(text: str) -> str:
    """Return `text` as guilds write it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
