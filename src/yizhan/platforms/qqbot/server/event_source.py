"""Events of the sandbox: utterances of people, relations, members, reactions, presses; and which may be answered."""

from __future__ import annotations

import binascii
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from yizhan.model import Kind
from yizhan.platforms.qqbot.server import payloads
from yizhan.platforms.qqbot.server.address_book import GUILD_ID, AddressBook
from yizhan.platforms.qqbot.server.files import Files
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.server.gateway import Gateway
from yizhan.platforms.qqbot.server.interactions import Interactions
from yizhan.platforms.qqbot.server.payloads import SandboxMessage, guild_text
from yizhan.platforms.qqbot.server.state import ORIGIN, ServerState
from yizhan.platforms.qqbot.server.webhooks import Webhooks
from yizhan.platforms.qqbot.wire import events
from yizhan.platforms.qqbot.wire.gateway import Frame, Op
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.world import Blob, Post

MAX_REFERENCES = 50_000


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


class EventSource:
    def __init__(
        self,
        state: ServerState,
        address_book: AddressBook,
        files: Files,
        interactions: Interactions,
        gateway: Gateway,
        webhooks: Webhooks,
    ) -> None:
        self.state = state
        self.address_book = address_book
        self.files = files
        self.interactions = interactions
        self.gateway = gateway
        self.webhooks = webhooks
        self.messages: dict[str, Answerable] = {}
        self.events: dict[str, Answerable] = {}
        self.last_word: dict[str, float] = {}
        """When each person last wrote to the bot; wake-up messages count from it."""
        self._references: OrderedDict[str, str] = OrderedDict()
        """Reference index of each message, by message id."""

    def reset(self) -> None:
        self.messages.clear()
        self.events.clear()
        self.last_word.clear()
        self._references.clear()

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
        """Let a person write. `to`: `bot`, a group or channel, or `dm` for a guild direct message.

        In groups and channels the message mentions the bot.

        Raises:
            LookupError: there is no such person or group.
        """
        found = [SaidMedia(media, kind, name)] if media else []
        return await self.write(SimulatedEvent("message", sender, to, text, media=found), message_id)

    async def write(self, said: SimulatedEvent, message_id: str = "") -> str:
        """Let a person write a message with everything that `said` holds; return its id.

        Raises:
            LookupError: there is no such person, group or quoted message.
        """
        scene, target = self._place(said)
        message_id = message_id or (self.new_guild_id() if scene in ("channel", "dm") else self.new_message_id())
        message = self._message(said, scene, target, message_id)
        event = _MESSAGE_EVENTS[scene][0 if said.addressed else 1]
        self.messages[message_id] = Answerable(event, scene, target, message.at)
        for media in said.media or (None,):
            self._keep(message, scene, said.text, media)
        if scene == "user":
            self.last_word[target] = message.at
        await self.push(event, self._payload(message, scene, said.addressed), scene=scene, target=target)
        return message_id

    def _place(self, said: SimulatedEvent) -> tuple[str, str]:
        person = self.state.network.person(said.sender)
        if said.to == "bot":
            return "user", person.id
        if said.to == "dm":
            return "dm", self.address_book.open_dm(person)
        return "channel" if self.state.network.group(said.to).kind == "channel" else "group", said.to

    def _message(self, said: SimulatedEvent, scene: str, target: str, message_id: str) -> SandboxMessage:
        mentions = [self._mentioned(id) for id in said.mentions]
        text = guild_text(said.text) if scene in ("channel", "dm") else said.text
        mark = "<@!{}>" if scene in ("channel", "dm") else "<@{}>"
        text = " ".join(filter(None, [*(mark.format(entry.id) for entry in mentions), text]))
        return SandboxMessage(
            message_id,
            target,
            self.state.network.person(said.sender),
            text,
            self.state.now(),
            self.reference_of(message_id),
            [self._attachment(media) for media in said.media],
            mentions,
            self._quoted(said.quote) if said.quote else None,
            said.quote,
            events.Card(said.card.title, "share", said.card.kind, _card_fields(said)) if said.card else None,
            [self._line(line) for line in said.lines],
        )

    def _payload(self, message: SandboxMessage, scene: str, addressed: bool) -> Any:
        match scene:
            case "user":
                return payloads.to_bot(message)
            case "dm":
                return payloads.in_dm(message)
            case "channel":
                return payloads.in_channel(message)
        return payloads.in_group(message, addressed=addressed)

    def _mentioned(self, id: str) -> events.Mentioned:
        if id == "all":
            return events.Mentioned("all", username="全体成员", scope="all")
        if id == "bot":
            bot_id = self.state.bot_id
            return events.Mentioned(bot_id, bot_id, self.state.bot_name, bot=True, is_you=True)
        person = self.state.network.person(id)
        return events.Mentioned(person.id, person.id, person.name)

    def _quoted(self, quoted: str) -> events.Element:
        """Return a quoted message, by its id or by its reference index."""
        message_id = next((id for id, index in self._references.items() if index == quoted), quoted)
        post = self.state.world.find_post("qqbot", message_id)
        if post is None:
            raise LookupError(f"there is no message '{message_id}' to quote")
        own = post.sender == self.state.app_id
        id = self.state.bot_id if own else post.sender
        author = events.ElementAuthor(id, id, username=self.state.bot_name if own else "", bot=own)
        attachments = [self._attachment(SaidMedia(post.blob, _kind_of(post), post.name))] if post.blob else []
        return events.Element(
            self.reference_of(message_id), author, 0, post.text, events.clock_text(int(post.at)), attachments
        )

    def _line(self, line: SimulatedEvent) -> events.Element:
        person = self.state.network.person(line.sender)
        attachments = [self._attachment(media) for media in line.media]
        author = events.ElementAuthor(person.id, person.id, username=person.name)
        at = events.clock_text(int(self.state.now()))
        return events.Element("", author, 0, line.text, at, attachments)

    # --- relations, members, reactions, presses ---

    async def relate(self, event: str, openid: str, by: str = "") -> str:
        """Push FRIEND_ADD, C2C_MSG_REJECT, GROUP_ADD_ROBOT or their like, with its effect; return the event's id."""
        now = int(self.state.now())
        if event.startswith(("FRIEND_", "C2C_")):
            person = self.state.network.person(openid)
            person.friends = (event != "FRIEND_DEL" and person.friends) or event == "FRIEND_ADD"
            if event.startswith("C2C_MSG_"):
                person.active_allowed = event == "C2C_MSG_RECEIVE"
            return await self.push(event, events.UserRelation(openid, now), scene="user", target=openid)
        group = self.state.network.group(openid)
        if event in ("GROUP_ADD_ROBOT", "GROUP_DEL_ROBOT"):
            group.gone = event == "GROUP_DEL_ROBOT"
        if event.startswith("GROUP_MSG_"):
            group.active_allowed = event == "GROUP_MSG_RECEIVE"
        relation = events.GroupRelation(openid, now, by)
        return await self.push(event, relation, scene="group", target=openid)

    async def press(
        self, sender: str, to: str = "bot", *, button_id: str = "", data: str = "", message_id: str = ""
    ) -> str:
        """Let a person press a button; return the interaction's id, which wants an answer.

        `message_id`: the message whose keyboard has the button `button_id`, which then gives the data.

        Raises:
            LookupError: there is no such person, group, message or button, or the button is not for this person.
        """
        person = self.state.network.person(sender)
        if message_id:
            data = data or self._button_data(message_id, button_id, person.id)
        scene, target = ("user", person.id) if to == "bot" else self._place(SimulatedEvent("", sender, to))
        interaction_id = self.state.world.hex(32)
        resolved = {"button_id": button_id, "button_data": data, "message_id": message_id}
        if scene == "channel":
            resolved["user_id"] = person.id
        d = events.Interaction(
            interaction_id,
            type=events.MESSAGE_BUTTON,
            chat_type={"channel": 0, "group": 1, "user": 2}[scene],
            scene={"channel": "guild", "group": "group", "user": "c2c"}[scene],
            timestamp=events.clock_text(int(self.state.now())),
            user_openid=person.id if scene == "user" else "",
            group_openid=target if scene == "group" else "",
            group_member_openid=person.id if scene == "group" else "",
            channel_id=target if scene == "channel" else "",
            guild_id=GUILD_ID if scene == "channel" else "",
            data={"type": events.MESSAGE_BUTTON, "resolved": resolved},
            application_id=self.state.app_id,
        )
        self.interactions.waiting.add(interaction_id)
        await self.push("INTERACTION_CREATE", d, scene=scene, target=target)
        return interaction_id

    def _button_data(self, message_id: str, button_id: str, person: str) -> str:
        """Return the data of a button under a message that was sent."""
        post = self.state.world.find_post("qqbot", message_id)
        keyboard = post.extra.get("keyboard", {}) if post is not None else {}
        rows = keyboard.get("content", {}).get("rows", [])
        buttons = {str(button.get("id")): button for row in rows for button in row["buttons"]}
        if button_id not in buttons:
            raise LookupError(f"the message '{message_id}' has no button '{button_id}'; it has: {', '.join(buttons)}")
        action = buttons[button_id].get("action", {})
        permission = action.get("permission", {})
        if permission.get("type") == 0 and person not in permission.get("specify_user_ids", []):
            raise LookupError(f"the button '{button_id}' is not for '{person}'")
        return str(action.get("data", ""))

    async def change_member(self, event: str, member: str, group: str, by: str = "") -> str:
        """Push GROUP_MEMBER_ADD or GROUP_MEMBER_REMOVE, with its effect on the group; return the event's id."""
        members = self.state.network.group(group).members
        if event == "GROUP_MEMBER_ADD" and member not in members:
            members.append(member)
        elif event == "GROUP_MEMBER_REMOVE" and member in members:
            members.remove(member)
        change = events.MemberChange(group, member, int(self.state.now()), by)
        return await self.push(event, change, scene="group", target=group)

    async def react(self, sender: str, channel: str, message_id: str, emoji: str) -> str:
        """Push MESSAGE_REACTION_ADD; `emoji` is the id of one of the platform's own, or a character."""
        digits = emoji.isascii() and emoji.isdigit()
        shown = events.Emoji(emoji, 1) if digits else events.Emoji(str(ord(emoji[:1] or "👍")), 2)
        target = events.ReactionTarget(message_id)
        reaction = events.Reaction(self.state.network.person(sender).id, GUILD_ID, channel, target, shown)
        return await self.push("MESSAGE_REACTION_ADD", reaction, scene="channel", target=channel)

    async def withdraw(self, message_id: str) -> str:
        """Let a person withdraw a message of a channel; groups and one-to-one chats report none.

        Raises:
            LookupError: there is no such message in a channel.
        """
        post = self.state.world.find_post("qqbot", message_id)
        if post is None or post.target_kind != "channel":
            raise LookupError(f"there is no message '{message_id}' in a channel; QQ reports withdrawals only there")
        post.recalled = True
        message = {"id": message_id, "channel_id": post.target, "guild_id": GUILD_ID, "author": {"id": post.sender}}
        deleted = events.Deletion(message, events.GuildUser(post.sender))
        return await self.push("PUBLIC_MESSAGE_DELETE", deleted, scene="channel", target=post.target)

    async def push(self, event: str, d: Any, *, scene: str = "", target: str = "") -> str:
        """Send an event to every socket that wants it and every webhook; return its outer id."""
        event_id = f"{event}:{self.state.world.hex(32)}"
        self.events[event_id] = Answerable(event, scene, target, self.state.now())
        frame = Frame(int(Op.DISPATCH), msgspec.Raw(msgspec.json.encode(d)), t=event, id=event_id)
        self.gateway.dispatch(frame, getattr(d, "guild_id", ""))
        self.webhooks.dispatch(frame)
        return event_id

    def new_message_id(self) -> str:
        """Return `ROBOT1.0_` and base64 in which `-`, `.` and `!` replace `+`, `/` and `=`."""
        return f"ROBOT1.0_{self._text(48)}"

    def new_guild_id(self) -> str:
        return f"08{self.state.world.hex(32)}"

    def reference_of(self, message_id: str) -> str:
        """Return the reference index of a message, by which it can be quoted."""
        if message_id not in self._references:
            self._references[message_id] = f"REFIDX_{self._text(12)}"
            while len(self._references) > MAX_REFERENCES:
                self._references.popitem(last=False)
        return self._references[message_id]

    def _text(self, size: int) -> str:
        data = self.state.world.random.randbytes(size)
        return binascii.b2a_base64(data, newline=False).translate(_ALPHABET).decode()

    def _attachment(self, media: SaidMedia) -> events.Attachment:
        blob = media.blob
        file_id = self.files.offer(blob)
        content_type = _CONTENT_TYPES.get(media.kind) or f"image/{format_of(blob.head()) or 'jpeg'}"
        return events.Attachment(
            content_type,
            f"{ORIGIN}/qqmedia/{file_id}",
            media.name or blob.md5.upper(),
            blob.size,
            asr_refer_text=media.transcript,
        )

    def _keep(self, message: SandboxMessage, scene: str, text: str, media: SaidMedia | None) -> None:
        """Put the utterance into the world as well; to the bot itself when it was said one to one."""
        one_to_one = scene in ("user", "dm")
        self.state.record(
            "say",
            message.person.id,
            self.state.app_id if one_to_one else message.target,
            media.kind if media else "text",
            account=self.state.app_id,
            target_kind=scene,
            message_id=message.id,
            text=text,
            name=media.name if media else "",
            blob=media.blob if media else None,
        )


_MESSAGE_EVENTS = {
    "user": ("C2C_MESSAGE_CREATE", "C2C_MESSAGE_CREATE"),
    "group": ("GROUP_AT_MESSAGE_CREATE", "GROUP_MESSAGE_CREATE"),
    "channel": ("AT_MESSAGE_CREATE", "MESSAGE_CREATE"),
    "dm": ("DIRECT_MESSAGE_CREATE", "DIRECT_MESSAGE_CREATE"),
}
"""Per scene: the event of a message that mentions the bot, and of any other."""
_CONTENT_TYPES = {"video": "video/mp4", "voice": "voice", "file": "file"}
_ALPHABET = bytes.maketrans(b"+/=", b"-.!")


def _card_fields(said: SimulatedEvent) -> Any:
    card = said.card
    return {"title": card.title, "desc": card.description, "url": card.url} if card else None


def _kind_of(post: Post) -> Kind:
    return post.kind if post.kind in ("image", "video", "voice") else "file"  # type: ignore[return-value]
