"""Pushes to events. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.model import Event, EventKind, Mention, Message, Quote, Reply, Segment, Target, Text
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.convert.reference import forward_of
from yizhan.platforms.ohwxapi.wire import EventName, MsgType
from yizhan.platforms.wechat_xml import (
    mentioned_ids,
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    parse_words,
    segments_with_media,
)

ACCEPT = 3
"""`VerifyType` of a request that is accepted."""


def parse(push: wire.Push, raw: Mapping[str, Any], account: str, wxid: str, now: float) -> Event:
    """Return the message of a push. Media are `Forward` segments, which can be downloaded or sent on."""
    data = push.CurrentPacket.Data
    if data.EventName == EventName.MSG_NEW and data.AddMsg is not None:
        return _message(data.AddMsg, raw, account, wxid)
    if data.EventName == EventName.FRIEND_REQ:
        return _friend_request(data, raw, account, now)
    place = data.ChatUserName or data.FromUserName or (data.Contact.UserName if data.Contact else "")
    joined = data.EventName == EventName.CHATROOM_INVITE_OTHER
    return Event(
        id=_made_id(data, data.EventName, now),
        kind=_KINDS.get(data.EventName, EventKind.OTHER),
        account=account,
        at=now,
        target=_place(account, place),
        sender=data.InviteUserName or data.FromUserName,
        sender_name=data.InviteNickName,
        message=Message((Text(words),)) if (words := data.Template or data.Reason) else None,
        raw=dict(raw),
        person=data.InvitedUserName if joined else "",
        person_name=data.InvitedNickName if joined else "",
    )


_KINDS: dict[str, EventKind] = {
    EventName.CHATROOM_INVITE: EventKind.GROUP_ADDED,
    EventName.CHATROOM_INVITE_OTHER: EventKind.MEMBER_JOINED,
    EventName.ACCOUNT_OFFLINE: EventKind.LOGIN_LOST,
}


def _made_id(data: Struct, name: str, now: float) -> str:
    """Return an id for an event without one: its content and the second of its arrival."""
    return f"{name}:{hashlib.sha256(msgspec.json.encode(data)).hexdigest()[:16]}:{int(now)}"


def _friend_request(data: wire.EventData, raw: Mapping[str, Any], account: str, now: float) -> Event:
    """Return a friend request; `data` is the request of command 137 that accepts it, as JSON."""
    event = Event(_made_id(data, data.EventName, now), EventKind.OTHER, account, now, raw=dict(raw))
    try:
        asked = parse_friend_request(data.Content)
    except ValueError:
        return event
    accept = wire.VerifyUser(VerifyType=ACCEPT, V1Username=asked.token, V2Ticket=asked.ticket, Sence=asked.scene)
    return msgspec.structs.replace(
        event,
        target=_place(account, asked.username),
        sender=asked.username,
        sender_name=asked.nickname,
        kind=EventKind.FRIEND_REQUESTED,
        message=Message((Text(asked.content),)) if asked.content else None,
        person=asked.username,
        person_name=asked.nickname,
        data=msgspec.json.encode(accept).decode(),
    )


def _message(message: wire.AddMsg, raw: Mapping[str, Any], account: str, wxid: str) -> Event:
    own = message.FromUserName == wxid
    place = message.ToUserName if own else message.FromUserName
    in_group = place.endswith("@chatroom")
    at = float(message.CreateTime)
    numbers = (message.NewMsgIdExt, str(message.NewMsgId))
    # Notices that are made up on the spot have the number 0.
    id = next((number for number in numbers if number not in ("", "0")), _made_id(message, "message", at))
    segments, kind = _content(message, id, wxid), EventKind.SENT if own else EventKind.MESSAGE
    if message.MsgType in _NOTICES and not own:
        kind = EventKind.RECALL if _revoked(message) else EventKind.OTHER
    return Event(
        id=id,
        kind=kind,
        account=account,
        at=at,
        target=_place(account, place),
        sender=wxid if own else (message.ActionUserName if in_group else message.FromUserName),
        sender_name="" if own else _sender_name(message),
        message=Message(segments) if segments else None,
        reply=Reply(_revoked(message) or id, at) if kind in (EventKind.MESSAGE, EventKind.RECALL) else None,
        raw=dict(raw),
        about=_revoked(message) if kind is EventKind.RECALL else "",
        mentioned=kind is EventKind.MESSAGE and _addresses(message, segments, wxid),
    )


def _addresses(message: wire.AddMsg, segments: Iterable[Segment], wxid: str) -> bool:
    """Return whether a message mentions the account or everybody, or quotes the account."""
    if not {wxid, "all"}.isdisjoint(mentioned_ids(message.MsgSource)) or wire.MENTIONED in message.PushContent:
        return True
    return any(_is_about(segment, wxid) for segment in segments)


def _is_about(segment: Segment, wxid: str) -> bool:
    match segment:
        case Mention():
            return segment.own or segment.user == "all"
        case Quote():
            return segment.sender == wxid
    return False


_NOTICES = frozenset({MsgType.EVENT, MsgType.PHONE_STATUS, MsgType.NOTICE_9999, MsgType.NOTICE, MsgType.SYSTEM})


def _place(account: str, id: str) -> Target | None:
    return Target(account, "group" if id.endswith("@chatroom") else "user", id) if id else None


def _content(message: wire.AddMsg, id: str, wxid: str) -> tuple[Segment, ...]:
    """Return the segments of a message. Content that cannot be read is kept as text."""
    try:
        return _read(message, id, wxid)
    except ValueError:
        return (Text(message.Content),) if message.Content else ()


def _read(message: wire.AddMsg, id: str, wxid: str) -> tuple[Segment, ...]:
    match message.MsgType:
        case MsgType.TEXT:
            return parse_words(message.Content, message.MsgSource, wxid)
        case MsgType.CARD:
            return (parse_contact(message.Content),)
        case MsgType.LOCATION:
            return (Text(parse_media(message.Content).location_text()),)
        case MsgType.PHONE_STATUS:
            return ()
        case MsgType.SYSTEM if (revoked := parse_revoked(message.Content)) is not None:
            return (Text(revoked.text),) if revoked.text else ()
    forward = forward_of(message.MsgType, message.Content, id, message.MsgId)
    if forward is not None:
        return (forward,)
    if message.MsgType == MsgType.APP:
        return segments_with_media(parse_card(message.Content), partial(forward_of, id=id, msg_id=message.MsgId))
    return (Text(message.Content),) if message.Content else ()


def _revoked(message: wire.AddMsg) -> str:
    if message.MsgType != MsgType.SYSTEM:
        return ""
    try:
        revoked = parse_revoked(message.Content)
    except ValueError:
        return ""
    return revoked.message_id if revoked else ""


def _sender_name(message: wire.AddMsg) -> str:
    if message.ActionNickName:
        return message.ActionNickName
    name, found, _ = message.PushContent.partition(wire.MENTIONED)
    return name if found else ""
