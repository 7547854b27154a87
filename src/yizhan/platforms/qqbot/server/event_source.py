"""What people do, as the platform pushes it: messages, relations, switches, buttons. And what may be answered."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from yizhan.model import Kind
from yizhan.platforms.qqbot.server.address_book import GUILD_ID
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.wire import events
from yizhan.platforms.qqbot.wire.gateway import Frame, Op
from yizhan.world import Blob, Person

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

ORIGIN = "http://origin.invalid"
"""Stands in pushed links until it is known where the receiver finds this server."""


@dataclass(slots=True)
class Answerable:
    """A message or an event that the bot may answer for a while."""

    event: str
    """Name of the event; a message's id is answered by `msg_id`, an event's by `event_id`."""
    scene: str
    target: str
    at: float
    answers: int = 0
    seqs: set[int] = field(default_factory=set)


@dataclass(slots=True)
class SandboxMessage:
    """One utterance, before it takes the shape of its scene."""

    person: Person
    text: str
    at: float
    attachments: list[events.Attachment]

    @property
    def when(self) -> str:
        return events.clock_text(int(self.at))


class EventSource:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.messages: dict[str, Answerable] = {}
        self.events: dict[str, Answerable] = {}
        self.last_word: dict[str, float] = {}
        """When each person last wrote to the bot; wake-up messages count from it."""

    def reset(self) -> None:
        self.messages.clear()
        self.events.clear()
        self.last_word.clear()

    async def say(
        self,
        sender: str,
        to: str = "bot",
        *,
        text: str = "",
        media: Blob | None = None,
        kind: Kind = "file",
        name: str = "",
        message_id: str = "",
    ) -> str:
        """Somebody writes. `to`: `bot`, a group or channel, or `dm` for a guild direct message.

        Raises:
            LookupError: there is no such person or group.
        """
        person = self.server.network.person(sender)
        attachments = [self._attachment(media, kind, name)] if media else []
        message = SandboxMessage(person, text, self.server.world.now(), attachments)
        make: Callable[[str, str, SandboxMessage], Struct]
        if to == "bot":
            scene, target, event, make = "user", person.id, "C2C_MESSAGE_CREATE", self._to_bot
        elif to == "dm":
            scene, target, event, make = (
                "dm",
                self.server.address_book.open_dm(person),
                "DIRECT_MESSAGE_CREATE",
                self._in_dm,
            )
        elif self.server.network.group(to).kind == "channel":
            scene, target, event, make = "channel", to, "AT_MESSAGE_CREATE", self._in_channel
        else:
            scene, target, event, make = "group", to, "GROUP_AT_MESSAGE_CREATE", self._in_group
        message_id = message_id or (self.new_guild_id() if scene in ("channel", "dm") else self.new_message_id())
        self.messages[message_id] = Answerable(event, scene, target, message.at)
        self._keep(person.id, scene, target, message_id, text, media, kind, name)
        await self.push(event, make(message_id, target, message), scene=scene, target=target)
        return message_id

    async def relate(self, event: str, openid: str, by: str = "") -> str:
        """FRIEND_ADD, C2C_MSG_REJECT, GROUP_ADD_ROBOT and their like, with their effect; returns the event's id."""
        now = int(self.server.world.now())
        if event.startswith(("FRIEND_", "C2C_")):
            person = self.server.network.person(openid)
            person.friends = (event != "FRIEND_DEL" and person.friends) or event == "FRIEND_ADD"
            if event.startswith("C2C_MSG_"):
                person.active_allowed = event == "C2C_MSG_RECEIVE"
            return await self.push(event, events.UserRelation(openid, now), scene="user", target=openid)
        group = self.server.network.group(openid)
        if event in ("GROUP_ADD_ROBOT", "GROUP_DEL_ROBOT"):
            group.gone = event == "GROUP_DEL_ROBOT"
        if event.startswith("GROUP_MSG_"):
            group.active_allowed = event == "GROUP_MSG_RECEIVE"
        relation = events.GroupRelation(openid, now, by)
        return await self.push(event, relation, scene="group", target=openid)

    async def press(self, sender: str, to: str = "bot", *, button_id: str = "", data: str = "") -> str:
        """Somebody presses a button; returns the interaction's id, which wants an answer."""
        person = self.server.network.person(sender)
        interaction_id = self.server.world.hex(32)
        in_group = to != "bot"
        d = events.Interaction(
            interaction_id,
            type=11,
            chat_type=1 if in_group else 2,
            scene="group" if in_group else "c2c",
            timestamp=events.clock_text(int(self.server.world.now())),
            user_openid="" if in_group else person.id,
            group_openid=to if in_group else "",
            group_member_openid=person.id if in_group else "",
            data={"type": 11, "resolved": {"button_id": button_id, "button_data": data}},
            application_id=self.server.app_id,
        )
        self.server.interactions.waiting.add(interaction_id)
        scene, target = ("group", to) if in_group else ("user", person.id)
        await self.push("INTERACTION_CREATE", d, scene=scene, target=target)
        return interaction_id

    async def push(self, event: str, d: Any, *, scene: str = "", target: str = "") -> str:
        """Send an event to every socket that wants it and every webhook; returns its outer id."""
        event_id = f"{event}:{self.server.world.hex(32)}"
        self.events[event_id] = Answerable(event, scene, target, self.server.world.now())
        frame = Frame(int(Op.DISPATCH), msgspec.Raw(msgspec.json.encode(d)), t=event, id=event_id)
        self.server.gateway.dispatch(frame, getattr(d, "guild_id", ""))
        self.server.webhooks.dispatch(frame)
        return event_id

    def new_message_id(self) -> str:
        """`ROBOT1.0_` and what looks like base64 with `-`, `.` and `!` for its three odd characters."""
        return f"ROBOT1.0_{self._text(48)}"

    def new_guild_id(self) -> str:
        return f"08{self.server.world.hex(32)}"

    def new_ref_idx(self) -> str:
        return f"REFIDX_{self._text(12)}"

    def _text(self, size: int) -> str:
        data = self.server.world.random.randbytes(size)
        return binascii.b2a_base64(data, newline=False).translate(_ALPHABET).decode()

    def _scene(self) -> events.MessageScene:
        return events.MessageScene("default", [f"msg_idx={self.new_ref_idx()}"])

    def _attachment(self, blob: Blob, kind: Kind, name: str) -> events.Attachment:
        file_id = self.server.files.offer(blob)
        content_type = _CONTENT_TYPES.get(kind) or f"image/{format_of(blob.head()) or 'jpeg'}"
        return events.Attachment(content_type, f"{ORIGIN}/qqmedia/{file_id}", name or blob.md5.upper(), blob.size)

    def _to_bot(self, message_id: str, target: str, message: SandboxMessage) -> events.C2CMessage:
        self.last_word[target] = message.at
        return events.C2CMessage(
            message_id,
            events.UserAuthor(target, target),
            message.text,
            message.when,
            message_type=0,
            message_scene=self._scene(),
            attachments=message.attachments,
        )

    def _in_group(self, message_id: str, target: str, message: SandboxMessage) -> events.GroupMessage:
        return events.GroupMessage(
            message_id,
            events.MemberAuthor(message.person.id, message.person.id, username=message.person.name),
            target,
            # The mention of the bot is taken away, and the space after it stays.
            f" {message.text}" if message.text else "",
            message.when,
            group_id=target,
            message_type=0,
            message_scene=self._scene(),
            attachments=message.attachments,
        )

    def _in_channel(self, message_id: str, target: str, message: SandboxMessage) -> events.ChannelMessage:
        return self._guild_message(message_id, target, GUILD_ID, message)

    def _in_dm(self, message_id: str, target: str, message: SandboxMessage) -> events.ChannelMessage:
        payload = self._guild_message(message_id, target, target, message)
        payload.src_guild_id, payload.direct_message = GUILD_ID, True
        return payload

    def _guild_message(
        self, message_id: str, channel_id: str, guild_id: str, message: SandboxMessage
    ) -> events.ChannelMessage:
        return events.ChannelMessage(
            message_id,
            events.GuildUser(message.person.id, message.person.name),
            channel_id,
            guild_id,
            message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
            message.when,
            member=events.GuildMember("2025-01-01T00:00:00+08:00", message.person.name),
            attachments=message.attachments,
        )

    def _keep(
        self, sender: str, scene: str, target: str, message_id: str, text: str, blob: Blob | None, kind: str, name: str
    ) -> None:
        """What was said stands in the world as well; to the bot itself when it was said one to one."""
        one_to_one = scene in ("user", "dm")
        self.server.world.post(
            network="qq",
            platform="qqbot",
            call="say",
            account=self.server.app_id,
            sender=sender,
            target=self.server.app_id if one_to_one else target,
            target_kind=scene,
            kind=kind if blob else "text",
            message_id=message_id,
            text=text,
            name=name,
            blob=blob,
        )


_CONTENT_TYPES = {"video": "video/mp4", "voice": "voice", "file": "file"}
_ALPHABET = bytes.maketrans(b"+/=", b"-.!")
