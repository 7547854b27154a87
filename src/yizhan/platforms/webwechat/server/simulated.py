"""Simulated people: they write, quote, withdraw, come and go; and the owner of the account writes on the phone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec

from yizhan.errors import did_you_mean
from yizhan.model import Card, CardLine, Kind, Quote
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.contacts import push_changed, push_gone
from yizhan.platforms.webwechat.server.messages import friend_request, link_xml, recall_notice, received
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.server.state import SandboxMessage, ServerState, find_group
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT
from yizhan.platforms.webwechat.wire.content import escape_content, image_xml, summarize_card, video_xml
from yizhan.platforms.webwechat.wire.session import AddMsg, DelContact, MessageType
from yizhan.platforms.wechat_xml import MENTION_END, WEBWECHAT, compose_card, compose_quote
from yizhan.platforms.wechat_xml.cards import DATATYPES
from yizhan.platforms.wechat_xml.record import RecordItem
from yizhan.wire.filename import safe_name
from yizhan.world import Blob, Group, Person

DEFAULT_MILLISECONDS = 1000
"""Length of a simulated person's voice message or video."""
_QUOTED_TYPES: Mapping[str, MessageType] = {
    "text": MessageType.TEXT,
    "image": MessageType.IMAGE,
    "video": MessageType.VIDEO,
}


class SimulatedPeople(ServerState):
    """The people of the world, as this platform's phones show them."""

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person write to every login (`to="bot"`) or in a room; text and media are two messages.

        `kind` may also be `link` (`text` is the address, `name` the title) or `sticker`.

        Raises:
            LookupError: there is no such person or room; the text suggests close names.
        """
        person, group = self._person(sender), self._group(to)
        messages = self._said(person, group, text, media, kind, name)
        ids = [await self._deliver(message, person, group) for message in messages]
        return ids[-1] if ids else ""

    async def take_back(self, message_id: str) -> None:
        """Let the sender recall a message. Its file stays on the CDN.

        Raises:
            LookupError: there is no such message.
        """
        message = self._message(message_id)
        if message.post is not None:
            message.post.recalled = True
        for session in self.readers(message):
            session.push(recall_notice(session, message, self.new_message_id(), self.now()))

    async def event(self, event: SimulatedEvent) -> str:
        """Play `event`; return the id of the message, or the event's own name where it has no id.

        Raises:
            LookupError: web WeChat has no such event, or it names a person, room or message that does not exist.
        """
        players: Mapping[str, Callable[[SimulatedEvent], Awaitable[str]]] = {
            "message": self._write,
            "recall": self._withdraw,
            "sent": self._write_by_hand,
            "friend_requested": self._play_ask_to_be_friend,
            "friend_added": self._play_become_friend,
            "friend_removed": self._play_end_friendship,
            "member_joined": self._play_join,
            "member_left": self._play_leave,
            "group_added": self._play_invite,
            "group_removed": self._play_expel,
            "login_lost": self._play_log_out,
            "raw": self._push_raw,
        }
        if event.event not in players:
            guess, known = did_you_mean(event.event, players), ", ".join(players)
            raise LookupError(f"Web WeChat has no event '{event.event}'.{guess} It has: {known}.")
        return await players[event.event](event)

    # --- messages ---

    async def _write(self, said: SimulatedEvent) -> str:
        """Let a person write; each of several media, a card and a quote are messages of their own."""
        person, group = self._person(said.sender), self._group(said.to)
        messages = []
        if said.text and not said.quote:
            messages.append(self._words(person, group, self._with_mentions(said, group)))
        messages += [self._with_media(person, group, media, said) for media in said.media]
        if said.card is not None or said.lines:
            messages.append(self._card(person, group, said))
        if said.xml:
            messages.append(self._as_card(person, group, said.xml))
        if said.quote:
            messages.append(self._quote(person, group, said))
        if not messages:
            raise LookupError("a message has text, media, a card, lines or a quote")
        return [await self._deliver(message, person, group) for message in messages][-1]

    async def _deliver(self, message: SandboxMessage, person: Person, group: Group | None) -> str:
        if message.blob is not None and message.kind in ("image", "video"):
            message.thumb_size = self.thumb_sizes[message.blob.sha256] = await pictures.thumb_size(message.blob)
        self.keep(
            message,
            call="say",
            account=next(iter(self.accounts), "me"),
            target=group.name if group else "bot",
            target_kind="group" if group else "user",
            extra={"xml": message.xml} if message.xml else {},
        )
        heard = person.friends or group is not None
        for session in self.readers(message):
            session.push(received(self, session, message) if heard else friend_request(session, person, message))
        return message.id

    def _said(
        self, person: Person, group: Group | None, text: str, media: Blob | None, kind: str, name: str
    ) -> Iterator[SandboxMessage]:
        if text:
            message = self._words(person, group, text)
            if kind == "link":
                message.kind, message.xml = "link", link_xml(text, name)
                message.text = message.name = name or text
            yield message
        if media is not None:
            yield self._file(person, group, media, kind, name)

    def _words(self, person: Person, group: Group | None, text: str) -> SandboxMessage:
        message = self._new_message(person, group, "text")
        message.text = text
        return message

    def _with_media(
        self, person: Person, group: Group | None, media: SaidMedia, said: SimulatedEvent
    ) -> SandboxMessage:
        kind = "sticker" if said.data == "sticker" else media.kind
        return self._file(person, group, media.blob, kind, media.name)

    def _file(self, person: Person, group: Group | None, blob: Blob, kind: str, name: str) -> SandboxMessage:
        message = self._new_message(person, group, kind)
        message.blob, message.md5, message.name = blob, blob.md5, safe_name(name, "file")
        message.milliseconds = DEFAULT_MILLISECONDS if kind in ("voice", "video") else 0
        return message

    def _with_mentions(self, said: SimulatedEvent, group: Group | None) -> str:
        """Return the text with its mentions written out: this wire has them in the text alone."""
        ids = list(said.mentions)
        if group is not None and said.addressed and not {"bot", "all"} & {*ids}:
            ids.insert(0, "bot")
        own = next(iter(self.accounts), "me")
        names = [own if id == "bot" else "所有人" if id == "all" else self._person(id).name for id in ids]
        return "".join(f"@{name}{MENTION_END}" for name in names) + said.text

    def _card(self, person: Person, group: Group | None, said: SimulatedEvent) -> SandboxMessage:
        xml = compose_card(said.card or Card("聊天记录"), [self._line(line) for line in said.lines])
        return self._as_card(person, group, xml)

    def _line(self, line: SimulatedEvent) -> RecordItem:
        words = CardLine(line.text, self._person(line.sender).name, self.now())
        if not line.media:
            return RecordItem(words)
        media = line.media[0]
        blob, reference = media.blob, self.cdn.place(media.blob)
        return RecordItem(
            words, DATATYPES[media.kind], reference.url, reference.aeskey, blob.md5, blob.size, media.name
        )

    def _quote(self, person: Person, group: Group | None, said: SimulatedEvent) -> SandboxMessage:
        quoted = self._message(said.quote)
        type_ = _QUOTED_TYPES.get(quoted.kind, MessageType.APP if quoted.xml else MessageType.TEXT)
        name = next((p.name for p in self.network.people.values() if p.id == quoted.sender[1]), quoted.sender[1])
        quote = Quote(quoted.id, self._quoted_content(quoted), quoted.sender[1], name, float(int(quoted.at)))
        xml = compose_quote(said.text, quote, WEBWECHAT, chat=group.id if group else "", kind=type_)
        return self._as_card(person, group, xml)

    def _quoted_content(self, quoted: SandboxMessage) -> str:
        if quoted.blob is None or quoted.kind not in ("image", "video"):
            return quoted.xml or quoted.text or quoted.name
        reference = self.cdn.place(quoted.blob)
        if quoted.kind == "image":
            return image_xml(reference, quoted.blob.size, quoted.thumb_size)
        seconds = quoted.milliseconds // 1000
        return video_xml(reference, quoted.blob.size, seconds, quoted.sender[1], quoted.thumb_size)

    def _as_card(self, person: Person, group: Group | None, xml: str) -> SandboxMessage:
        if not xml.lstrip().startswith("<appmsg"):
            message = self._new_message(person, group, "contact_card")
            message.xml = xml
            return message
        card = summarize_card(xml)
        message = self._new_message(person, group, card.kind)
        message.xml, message.text, message.name = xml, card.title, card.title
        return message

    async def _withdraw(self, event: SimulatedEvent) -> str:
        await self.take_back(event.message_id)
        return event.message_id

    async def _write_by_hand(self, event: SimulatedEvent) -> str:
        """Let the account's owner write on the phone, to the room `to` or the person `from`."""
        id, group = self.new_message_id(), self._group(event.to)
        person = None if group else self._person(event.sender)

        def message(session: Session) -> AddMsg:
            chat = session.names.of("room", group.id) if group else session.names.of("person", person.id)  # type: ignore[union-attr]
            return self._notice(session, id, MessageType.TEXT, session.me, chat, event.text)

        self.push_to_all(lambda session: [message(session)])
        return id

    # --- people and rooms that come and go ---

    async def _play_ask_to_be_friend(self, event: SimulatedEvent) -> str:
        person = self._person(event.sender)
        message = self._words(person, None, event.text)
        self.push_to_all(lambda session: [friend_request(session, person, message)])
        return message.id

    async def _play_become_friend(self, event: SimulatedEvent) -> str:
        person = self._person(event.sender)
        person.friends = True
        push_changed(self, person)
        return event.event

    async def _play_end_friendship(self, event: SimulatedEvent) -> str:
        person = self._person(event.sender)
        person.friends = False
        self.push_to_all(lambda session: [DelContact(session.names.of("person", person.id), 0)])
        return event.event

    async def _play_join(self, event: SimulatedEvent) -> str:
        person, group = self._person(event.sender), find_group(self.network, event.to)
        if person.id not in group.members:
            group.members.append(person.id)
        push_changed(self, group)
        id, words = self.new_message_id(), f'"{person.name}"通过扫描二维码加入群聊'

        def notice(session: Session) -> AddMsg:
            room = session.names.of("room", group.id)
            return self._notice(session, id, MessageType.SYSTEM, room, session.me, words)

        self.push_to_all(lambda session: [notice(session)])
        return id

    async def _play_leave(self, event: SimulatedEvent) -> str:
        """Let a person leave. The room's list of members changes without a notice, as in WeChat."""
        person, group = self._person(event.sender), find_group(self.network, event.to)
        group.members[:] = [member for member in group.members if member != person.id]
        push_changed(self, group)
        return event.event

    async def _play_invite(self, event: SimulatedEvent) -> str:
        group = find_group(self.network, event.to)
        group.gone = False
        push_changed(self, group)
        return event.event

    async def _play_expel(self, event: SimulatedEvent) -> str:
        group = find_group(self.network, event.to)
        push_gone(self, group)
        group.gone = True
        return event.event

    async def _play_log_out(self, event: SimulatedEvent) -> str:
        for session in list(self.sessions.values()):
            self.end_session(session, LOGGED_OUT)
        return event.event

    async def _push_raw(self, event: SimulatedEvent) -> str:
        """Push `body` as an entry of AddMsgList, from the person `from` if it names no sender."""
        try:
            message = msgspec.convert(dict(event.body), AddMsg)
        except msgspec.ValidationError as error:
            raise LookupError('a raw event needs a body such as {"MsgType": 10000, "Content": "…"}') from error
        message.MsgId = message.MsgId or self.new_message_id()
        message.CreateTime = message.CreateTime or int(self.now())

        def addressed(session: Session) -> AddMsg:
            sender = message.FromUserName or session.names.of("person", self._person(event.sender).id)
            return msgspec.structs.replace(message, FromUserName=sender, ToUserName=message.ToUserName or session.me)

        self.push_to_all(lambda session: [addressed(session)])
        return message.MsgId

    # --- made and looked up ---

    def _notice(self, session: Session, id: str, type_: int, sender: str, to: str, text: str) -> AddMsg:
        return AddMsg(
            MsgId=id,
            NewMsgId=int(id),
            FromUserName=sender,
            ToUserName=to,
            MsgType=type_,
            Content=escape_content(text),
            CreateTime=int(self.now()),
        )

    def _new_message(self, person: Person, group: Group | None, kind: str) -> SandboxMessage:
        """Return an empty message from `person`, in a room or to every login."""
        id, now = self.new_message_id(), self.now()
        if group is not None:
            return SandboxMessage(id, kind, now, ("person", person.id), ("room", group.id))
        return SandboxMessage(id, kind, now, ("person", person.id), ("account", "*"))

    def _message(self, id: str) -> SandboxMessage:
        if id not in self.messages:
            raise LookupError(f"there is no message '{id}'")
        return self.messages[id]

    def _group(self, to: str) -> Group | None:
        return None if to == "bot" else find_group(self.network, to)

    def _person(self, text: str) -> Person:
        people = self.network.people
        found = people.get(text) or next((p for p in people.values() if text in (p.name, p.remark)), None)
        if found is None:
            known = [*people, *(p.name for p in people.values())]
            raise LookupError(f"no one called '{text}' on the wechat network.{did_you_mean(text, known)}")
        return found
