"""Plays events by name, as `POST /_sandbox/event` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec

from yizhan.errors import did_you_mean
from yizhan.model import Card, CardLine, Quote
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.server.accounts import Account, Accounts
from yizhan.platforms.ohwxapi.server.cdn import Cdn
from yizhan.platforms.ohwxapi.server.contacts import Contacts
from yizhan.platforms.ohwxapi.server.messages import Draft, Messages, sticker_xml
from yizhan.platforms.ohwxapi.wire import EventName, FileType, MsgType
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.platforms.wechat_xml import EVERYONE, MENTION_END, as_received, compose_card, compose_quote, parse_card
from yizhan.platforms.wechat_xml.cards import DATATYPES
from yizhan.platforms.wechat_xml.record import RecordItem
from yizhan.platforms.wechat_xml.xml import escape
from yizhan.world import Group, Post

_FILE_TYPES = {"image": FileType.IMAGE, "video": FileType.VIDEO, "voice": 15, "file": FileType.FILE}


class EventPlayer:
    """Plays the events of one gateway. Their names are those of `EventKind`, and `raw`."""

    def __init__(self, accounts: Accounts, messages: Messages, contacts: Contacts, cdn: Cdn) -> None:
        self._accounts = accounts
        self._messages = messages
        self._contacts = contacts
        self._cdn = cdn
        self._players: Mapping[str, Callable[[SimulatedEvent], str]] = {
            "message": self._message,
            "recall": self._withdraw,
            "friend_requested": self._request_friendship,
            "member_joined": self._join,
            "member_left": self._leave,
            "group_added": self._invite,
            "login_lost": self._log_out,
            "raw": self._raw,
        }

    def play(self, event: SimulatedEvent) -> str:
        """Play `event`; return the id of the message, or the event's own name where it has no id.

        Raises:
            LookupError: the gateway has no such event, or it names a person or thing that is not there.
        """
        player = self._players.get(event.event)
        if player is None:
            guess, known = did_you_mean(event.event, self._players), ", ".join(self._players)
            raise LookupError(f"ohwxapi has no event '{event.event}'.{guess} It has: {known}.")
        return player(event)

    # --- messages ---

    def _message(self, said: SimulatedEvent) -> str:
        person = self._accounts.network.person(said.sender)
        group = self._group(said.to)
        if group is None and not person.friends:
            return self._request_friendship(said)
        drafts = [self._media(media, said) for media in said.media]
        if said.card is not None or said.lines:
            drafts.append(self._card(said))
        if said.xml:
            drafts.append(self._own_words(said))
        if said.quote:
            drafts.append(self._quote(said, group))
        drafts = drafts or [self._text(said, group)]
        return [self._messages.deliver(said.sender, self._account(said), group, draft) for draft in drafts][-1]

    def _text(self, said: SimulatedEvent, group: Group | None) -> Draft:
        text, mentioned = self._mentions(said, group)
        return Draft("say", MsgType.TEXT, text, "text", text, mentioned=mentioned)

    def _mentions(self, said: SimulatedEvent, group: Group | None) -> tuple[str, tuple[str, ...]]:
        """Return the text with its mentions written out, and the mentioned ids as the wire has them."""
        names = list(said.mentions)
        if group is not None and said.addressed and said.text and not {"bot", "all"} & {*names}:
            names.insert(0, "bot")
        own = self._accounts.first.wxid
        ids = [own if name == "bot" else EVERYONE if name == "all" else name for name in names]
        shown = ("所有人" if id == EVERYONE else self._accounts.name_of(id) for id in ids)
        text = "".join(f"@{name}{MENTION_END}" for name in shown) + said.text
        return text, tuple(ids) if group is not None else ()

    def _media(self, media: SaidMedia, said: SimulatedEvent) -> Draft:
        if said.data == "sticker":
            blob = media.blob
            xml = sticker_xml(said.sender, self._account(said).wxid, blob.md5, blob.size)
            return Draft("say", MsgType.STICKER, xml, "sticker", blob.md5, blob=blob)
        return self._messages.said(said.sender, said.text, media.blob, media.kind, media.name)

    def _card(self, said: SimulatedEvent) -> Draft:
        card = said.card or Card("聊天记录")
        xml = compose_card(card, [self._item(line) for line in said.lines])
        return Draft("say", MsgType.APP, as_received(xml, said.sender), "card", card.title, extra={"xml": xml})

    def _own_words(self, said: SimulatedEvent) -> Draft:
        """Return a card as its XML has it: an `<appmsg>`, or the `<msg>` of a contact card."""
        if said.xml.lstrip().startswith("<appmsg"):
            xml, card = said.xml, parse_card(said.xml)
            return Draft("say", MsgType.APP, as_received(xml, said.sender), card.kind, card.title, extra={"xml": xml})
        return Draft("say", MsgType.CARD, said.xml, "contact_card", extra={"xml": said.xml})

    def _item(self, line: SimulatedEvent) -> RecordItem:
        words = CardLine(line.text, self._accounts.name_of(line.sender), self._messages.world.now())
        if not line.media:
            return RecordItem(words)
        media = line.media[0]
        placed = self._cdn.place(media.blob, _FILE_TYPES[media.kind], media.name)
        blob = media.blob
        return RecordItem(words, DATATYPES[media.kind], placed.file_id, placed.key, blob.md5, blob.size, media.name)

    def _quote(self, said: SimulatedEvent, group: Group | None) -> Draft:
        post = self._post(said.quote)
        message_type, content = self._quoted(post)
        name = self._accounts.name_of(post.sender)
        quoted = Quote(post.message_id, content, post.sender, name, float(int(post.at)))
        text, mentioned = self._mentions(replace(said, addressed=False), group)
        xml = compose_quote(text, quoted, chat=group.id if group else "", kind=message_type)
        return Draft("say", MsgType.APP, as_received(xml, said.sender), "quote", text, mentioned=mentioned)

    def _quoted(self, post: Post) -> tuple[int, str]:
        match post.kind:
            case "image" | "video" | "voice" | "file" as kind if post.blob is not None:
                draft = self._messages.said(post.sender, "", post.blob, kind, post.name)
                return draft.type, draft.content
        return (MsgType.APP, str(post.extra["xml"])) if "xml" in post.extra else (MsgType.TEXT, post.text)

    def _withdraw(self, event: SimulatedEvent) -> str:
        post = self._post(event.message_id)
        post.recalled = True
        words = (
            f'<sysmsg type="revokemsg"><revokemsg><session>{escape(post.target)}</session>'
            f"<msgid>{post.extra['MsgId']}</msgid><newmsgid>{post.message_id}</newmsgid>"
            f'<replacemsg><![CDATA["{escape(self._accounts.name_of(post.sender))}" 撤回了一条消息]]></replacemsg>'
            "</revokemsg></sysmsg>"
        )
        in_group = post.target_kind == "group"
        listeners = self._accounts.in_group(self._accounts.network.group(post.target)) if in_group else [self._first]
        for listener in listeners:
            self._messages.notice(listener, post.target if in_group else post.sender, words, MsgType.SYSTEM)
        return post.message_id

    # --- other acts ---

    def _request_friendship(self, event: SimulatedEvent) -> str:
        person = self._accounts.network.person(event.sender)
        return self._contacts.ask_to_be_friend(person, self._account(event), event.text)

    def _join(self, event: SimulatedEvent) -> str:
        self._accounts.network.person(event.sender)
        self._contacts.join(self._accounts.network.group(event.to), event.sender)
        return event.event

    def _leave(self, event: SimulatedEvent) -> str:
        self._contacts.leave(self._accounts.network.group(event.to), event.sender)
        return event.event

    def _invite(self, event: SimulatedEvent) -> str:
        self._contacts.invite(self._accounts.network.group(event.to), self._first)
        return event.event

    def _log_out(self, event: SimulatedEvent) -> str:
        self._first.online = False
        data = wire.EventData(Reason=event.text or "logged out", EventName=EventName.ACCOUNT_OFFLINE)
        self._messages.sockets.push(self._first.wxid, data)
        return event.event

    def _raw(self, event: SimulatedEvent) -> str:
        """Push `body` as the `Data` of a frame."""
        try:
            data = msgspec.convert(event.body, wire.EventData)
        except msgspec.ValidationError as error:
            raise LookupError('a raw event needs a body such as {"EventName": "ON_EVENT_SNS_NEW"}') from error
        self._messages.sockets.push(self._first.wxid, data)
        return data.EventName

    # --- looked up ---

    @property
    def _first(self) -> Account:
        return self._accounts.first

    def _account(self, event: SimulatedEvent) -> Account:
        return self._accounts.known.get(event.to, self._first)

    def _group(self, to: str) -> Group | None:
        return None if to == "bot" or to in self._accounts.known else self._accounts.network.group(to)

    def _post(self, id: str) -> Post:
        post = self._messages.world.find_post("ohwxapi", id)
        if post is None:
            raise LookupError(f"there is no message '{id}'")
        return post
