"""Received messages to events. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from yizhan.model import Event, EventKind, Forward, Mention, Message, Quote, Segment, Target, Text
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.platforms.webwechat.wire.content import (
    cdn_reference,
    display_name,
    emoticon_md5,
    split_speaker,
    unescape_content,
)
from yizhan.platforms.webwechat.wire.foreign import VerifyUserEntry
from yizhan.platforms.webwechat.wire.session import AddMsg, AppMessageType, MessageType
from yizhan.platforms.wechat_xml import MENTION_END, Card, parse_card, parse_contact, parse_revoked
from yizhan.wire.filename import safe_name

EVERYONE_NAMES = ("所有人", "all")
"""The displayed names of a mention of everybody."""
_MENTION = re.compile(f"@([^@{MENTION_END}]{{1,64}}){MENTION_END}")


@dataclass(frozen=True, slots=True)
class Reader:
    """The login in which a message is read."""

    account: str
    me: str
    scope: str
    book: AddressBook


def parse(added: AddMsg, reader: Reader) -> Event | None:
    """Return the event of a received message; None for a message that is meant for the page's script only."""
    if added.MsgType in (MessageType.STATUS_NOTIFY, MessageType.NOTICE):
        return None
    own = added.FromUserName == reader.me
    chat = added.ToUserName if own else added.FromUserName
    # Own messages in a room have no speaker in front.
    speaker, content = split_speaker(added.Content) if chat.startswith("@@") and not own else ("", added.Content)
    speaker = speaker or added.FromUserName
    own = own or speaker == reader.me
    kind, message = _content_of(added, content, reader)
    if own and kind is EventKind.MESSAGE:
        kind = EventKind.SENT
    event = Event(
        id=added.MsgId,
        kind=kind,
        account=reader.account,
        at=float(added.CreateTime),
        target=target_of(chat, reader),
        sender=reader.book.id_of(speaker),
        sender_name=reader.book.name_of(speaker, chat if chat.startswith("@@") else ""),
        message=message,
        mentioned=not own and message is not None and any(map(_addresses_me, message.segments)),
        raw=msgspec.to_builtins(added),
    )
    return _with_request(event, added) if kind is EventKind.FRIEND_REQUESTED else event


def _addresses_me(segment: Segment) -> bool:
    return isinstance(segment, Mention) and (segment.own or segment.user == "all")


def _with_request(event: Event, added: AddMsg) -> Event:
    """Add person and data of a friend request; `data` is an entry of webwxverifyuser's VerifyUserList."""
    info = added.RecommendInfo
    entry = VerifyUserEntry(Value=info.UserName, VerifyUserTicket=info.Ticket)
    data = msgspec.json.encode(entry).decode()
    return msgspec.structs.replace(event, person=info.UserName, person_name=display_name(info.NickName), data=data)


def target_of(user_name: str, reader: Reader) -> Target:
    kind: Literal["user", "group"] = "group" if user_name.startswith("@@") else "user"
    return Target(reader.account, kind, reader.book.id_of(user_name))


def _content_of(added: AddMsg, content: str, reader: Reader) -> tuple[EventKind, Message | None]:
    text = unescape_content(content)
    match added.MsgType:
        case MessageType.TEXT if added.SubMsgType == MessageType.LOCATION:
            return EventKind.MESSAGE, _location(added, text, reader)
        case MessageType.TEXT:
            return EventKind.MESSAGE, _message(*_text(added, text, reader))
        case MessageType.CARD:
            return EventKind.MESSAGE, _message(*_contact(text))
        case MessageType.APP:
            return EventKind.MESSAGE, _message(*_app(added, text, reader))
        case MessageType.RECALL:
            return EventKind.RECALL, None
        case MessageType.FRIEND_REQUEST:
            return EventKind.FRIEND_REQUESTED, _message(Text(added.RecommendInfo.Content))
        case MessageType.SYSTEM:
            return EventKind.OTHER, _message(Text(text))
    forward = _media(added, text, reader)
    return (EventKind.MESSAGE, _message(forward)) if forward else (EventKind.OTHER, None)


def _text(added: AddMsg, text: str, reader: Reader) -> tuple[Segment, ...]:
    """Return the text of a room with its mentions, which are `@name` and a narrow space."""
    room = added.FromUserName if added.FromUserName.startswith("@@") else added.ToUserName
    if not room.startswith("@@"):
        return (Text(text),)
    segments: list[Segment] = []
    position = 0
    for match in _MENTION.finditer(text):
        mention = _mention(match[1], room, reader)
        if mention is not None:
            segments += [Text(text[position : match.start()]), mention]
            position = match.end()
    return (*segments, Text(text[position:]))


def _mention(name: str, room: str, reader: Reader) -> Mention | None:
    """Return the mention of a member called `name`; None if the room has none."""
    if name in EVERYONE_NAMES:
        return Mention("all", name)
    member = reader.book.member(room, name) if not name.startswith("@") else None
    return Mention(name, name, own=member == reader.me) if member is not None else None


_MEDIA_KINDS: dict[int, str] = {
    MessageType.IMAGE: "image",
    MessageType.VOICE: "voice",
    MessageType.VIDEO: "video",
    MessageType.SHORT_VIDEO: "video",
    MessageType.EMOTICON: "sticker",
}


def _media(added: AddMsg, content: str, reader: Reader) -> Forward | None:
    kind = _MEDIA_KINDS.get(added.MsgType)
    if kind is None:
        return None
    reference = _reference(added, content, reader)
    if kind in ("image", "video") and "<" in content:
        # The CDN reference in the XML outlives the login and a recall; a token does not.
        reference["lasts"] = True
    if kind == "sticker":
        reference["md5"] = emoticon_md5(content)
        reference["lasts"] = True
    return Forward(kind, reference, duration_ms=added.VoiceLength if kind == "voice" else added.PlayLength * 1000)


def _app(added: AddMsg, content: str, reader: Reader) -> Sequence[Segment]:
    if added.AppMsgType == AppMessageType.FILE:
        name = unescape_content(added.FileName)
        reference = _reference(added, content, reader)
        reference |= {"media_id": added.MediaId, "file_name": name, "file_size": added.FileSize}
        size = int(added.FileSize) if re.fullmatch("[0-9]{1,15}", added.FileSize) else 0
        return (Forward("file", reference, safe_name(name), size=size),)
    try:
        card = parse_card(content)
    except ValueError:
        return (Text(unescape_content(added.FileName)),)
    segments = tuple(_with_media(segment, card, reader) for segment in card.segments(as_cards=True))
    return segments or (Text(unescape_content(added.FileName)),)


def _with_media(segment: Segment, card: Card, reader: Reader) -> Segment:
    """Add the picture or video to a quote of one: fetched by the id of its message, sent on by its CDN reference."""
    if not isinstance(segment, Quote):
        return segment
    type_, content = card.quoted()
    kind = _MEDIA_KINDS.get(type_)
    if kind not in ("image", "video") or cdn_reference(content) is None:
        return segment
    fetched = {"scope": reader.scope, "msg_id": segment.message_id}
    media = Forward(kind, {**fetched, "msg_type": type_, "content": content, "lasts": True})
    return msgspec.structs.replace(segment, media=(media,))


def _contact(content: str) -> Sequence[Segment]:
    try:
        return (parse_contact(content),)
    except ValueError:
        return ()


def _location(added: AddMsg, text: str, reader: Reader) -> Message | None:
    label = text.partition(":\n")[0]
    reference = _reference(added, added.OriContent, reader)
    return _message(Text(label), Forward("location", {**reference, "lasts": True}))


def _reference(added: AddMsg, content: str, reader: Reader) -> dict[str, Any]:
    return {
        "scope": reader.scope,
        "msg_id": added.MsgId,
        "msg_type": added.MsgType,
        "content": content,
        "sender": added.FromUserName,
    }


def _message(*segments: Segment) -> Message | None:
    kept = tuple(s for s in segments if not (isinstance(s, Text) and not s.text))
    return Message(kept) if kept else None


def recalled_id(added: AddMsg) -> str:
    """Return the MsgId in a recall notice; empty if there is none."""
    try:
        revoked = parse_revoked(unescape_content(split_speaker(added.Content)[1]))
    except ValueError:
        return ""
    if revoked is None:
        return ""
    # 0 means "the last own message" and identifies none.
    return next((id for id in (revoked.local_id, revoked.message_id) if id not in ("", "0")), "")
