"""What arrived, as events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from yizhan.model import (
    Event,
    EventKind,
    Forward,
    Message,
    Segment,
    Target,
    Text,
)
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.convert.book import Book
from yizhan.platforms.webwechat.wire.content import plain, read_md5, split_room
from yizhan.platforms.webwechat.wire.session import Added
from yizhan.platforms.wechat_xml import (
    parse_card,
    parse_contact,
    parse_revoked,
)
from yizhan.wire.filename import safe_name


@dataclass(frozen=True, slots=True)
class Reader:
    """What is needed to understand what arrives in one login."""

    account: str
    me: str
    scope: str
    book: Book


Chat = Literal["user", "group"]


def parse(added: Added, reader: Reader) -> Event | None:
    """Return the event for one message; None for what is between the service and the page only."""
    if added.MsgType in (wire.STATUS_NOTIFY, wire.NOTICE):
        return None
    own = added.FromUserName == reader.me
    chat = added.ToUserName if own else added.FromUserName
    # What oneself wrote in a room has nobody's name before it.
    speaker, content = split_room(added.Content) if chat.startswith("@@") and not own else ("", added.Content)
    speaker = speaker or added.FromUserName
    own = own or speaker == reader.me
    kind, message = _understood(added, content, reader)
    if own and kind is EventKind.MESSAGE:
        kind = EventKind.SENT
    return Event(
        id=added.MsgId,
        kind=kind,
        account=reader.account,
        at=float(added.CreateTime),
        target=target_of(chat, reader),
        sender=reader.book.id_of(speaker),
        sender_name=reader.book.name_of(speaker, chat if chat.startswith("@@") else ""),
        message=message,
        raw=msgspec.to_builtins(added),
    )


def target_of(user_name: str, reader: Reader) -> Target:
    kind: Chat = "group" if user_name.startswith("@@") else "user"
    return Target(reader.account, kind, reader.book.id_of(user_name))


def _understood(added: Added, content: str, reader: Reader) -> tuple[EventKind, Message | None]:
    text = plain(content)
    match added.MsgType:
        case wire.TEXT if added.SubMsgType == wire.LOCATION:
            return EventKind.MESSAGE, _location(added, text, reader)
        case wire.TEXT:
            return EventKind.MESSAGE, _message(Text(text))
        case wire.CARD:
            return EventKind.MESSAGE, _message(*_card(text))
        case wire.APP:
            return EventKind.MESSAGE, _message(*_app(added, text, reader))
        case wire.RECALL:
            return EventKind.RECALL, None
        case wire.FRIEND_REQUEST:
            return EventKind.OTHER, _message(Text(added.RecommendInfo.Content))
        case wire.SYSTEM:
            return EventKind.OTHER, _message(Text(text))
    forward = _media(added, text, reader)
    return (EventKind.MESSAGE, _message(forward)) if forward else (EventKind.OTHER, None)


_MEDIA = {
    wire.IMAGE: "image",
    wire.VOICE: "voice",
    wire.VIDEO: "video",
    wire.SHORT_VIDEO: "video",
    wire.EMOTICON: "sticker",
}


def _media(added: Added, content: str, reader: Reader) -> Forward | None:
    kind = _MEDIA.get(added.MsgType)
    if kind is None:
        return None
    reference = _reference(added, content, reader)
    if kind in ("image", "video") and "<" in content:
        # The three values in the XML outlive the login (and a recall); a token does not.
        reference["lasts"] = True
    if kind == "sticker":
        reference["md5"] = read_md5(content)
        reference["lasts"] = True
    return Forward(kind, reference)


def _app(added: Added, content: str, reader: Reader) -> Sequence[Segment]:
    if added.AppMsgType == wire.APP_FILE:
        name = plain(added.FileName)
        reference = _reference(added, content, reader)
        reference |= {"media_id": added.MediaId, "file_name": name, "file_size": added.FileSize}
        return (Forward("file", reference, safe_name(name)),)
    try:
        return parse_card(content).segments() or (Text(plain(added.FileName)),)
    except ValueError:
        return (Text(plain(added.FileName)),)


def _card(content: str) -> Sequence[Segment]:
    try:
        return (parse_contact(content),)
    except ValueError:
        return ()


def _location(added: Added, text: str, reader: Reader) -> Message | None:
    label = text.partition(":\n")[0]
    reference = _reference(added, added.OriContent, reader)
    return _message(Text(label), Forward("location", {**reference, "lasts": True}))


def _reference(added: Added, content: str, reader: Reader) -> dict[str, Any]:
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


def recalled_id(added: Added) -> str:
    """Return the MsgId that a recall notice names; empty when it cannot be read."""
    try:
        revoked = parse_revoked(plain(split_room(added.Content)[1]))
    except ValueError:
        return ""
    if revoked is None:
        return ""
    # 0 stands for the last own message, and names none.
    return next((id for id in (revoked.local_id, revoked.message_id) if id not in ("", "0")), "")
