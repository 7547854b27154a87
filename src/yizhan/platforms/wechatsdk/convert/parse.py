"""Pushes to events. Received media stand as `Forward` segments, whose reference can be fetched and sent on. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from yizhan.model import Event, EventKind, Message, Reply, Target, Text
from yizhan.platforms.wechat_xml import Revoked, parse_friend_request, parse_revoked, split_sender
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.convert.content import addresses, segments_of


@dataclass(frozen=True, slots=True)
class Pushed:
    """One push on its way to events."""

    push: wire.Push
    raw: Mapping[str, Any]
    account: str
    now: float

    @property
    def data(self) -> dict[str, Any]:
        return self.push.data

    @property
    def own(self) -> str:
        """The id of the account that received the push; empty if the push does not say."""
        return str(self.push.robot.get("userName") or self.data.get("to") or self.data.get("userName") or "")

    @property
    def at(self) -> float:
        return float(_int(self.push.pushTime)) or self.now

    @property
    def made_id(self) -> str:
        """An id for a push without one: the same push twice is the same event."""
        digest = hashlib.sha256(msgspec.json.encode(self.raw)).hexdigest()[:24]
        return f"push{self.push.pushType}:{digest}"

    def place(self, id: object) -> Target | None:
        id = str(id or "")
        return Target(self.account, "group" if id.endswith("@chatroom") else "user", id) if id else None

    def event(self, kind: EventKind, **more: Any) -> Event:
        return Event(
            **{"id": self.made_id, "kind": kind, "account": self.account, "at": self.at, **more}, raw=dict(self.raw)
        )


def parse(raw: Mapping[str, Any], account: str, now: float) -> tuple[Event, ...]:
    """Return the events of a push: one, or one for each member who joined or left.

    Raises:
        ValueError: it does not have the documented shape.
    """
    try:
        pushed = Pushed(msgspec.convert(_known(raw), wire.Push, strict=False), raw, account, now)
        reader = _READERS.get(pushed.push.pushType)
        return reader(pushed) if reader else (pushed.event(EventKind.OTHER),)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a push: {error}") from error


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out nulls, which stand for unknown values."""
    return {name: value for name, value in data.items() if value is not None}


# --- messages ---


def _message(pushed: Pushed) -> tuple[Event, ...]:
    data = {**_known(pushed.data), "sender": pushed.data.get("from") or ""}
    message = msgspec.convert(data, wire.Message, strict=False)
    place = message.sender
    in_group = place.endswith("@chatroom") or bool(message.isChatroomMsg)
    author, content = split_sender(message.content) if in_group else (place, message.content)
    info = message.chatroomMemberInfo if in_group else message.talkerInfo
    event = pushed.event(
        EventKind.MESSAGE,
        # Notices that WeChat makes up on the spot have the number 0.
        id=message.id or pushed.made_id,
        at=float(_int(message.createtime) or _int(message.createTime)) or pushed.now,
        target=pushed.place(place),
        sender=author or str(info.get("userName", "")),
        sender_name=str(info.get("remark") or info.get("nickName") or ""),
    )
    match message.type:
        case wire.TYPE_FRIEND_REQUEST:
            return (_friend_request(event, content),)
        case wire.TYPE_REVOKED if (revoked := _revoked(content)) is not None:
            return (_recall(event, revoked),)
    return (_with_content(event, message, content, pushed.own),)


def _with_content(event: Event, message: wire.Message, content: str, own: str) -> Event:
    source = message.reserved1 or message.reversed1
    segments = segments_of(message.type, content, source, own)
    notice = message.type in wire.NOTICES
    return msgspec.structs.replace(
        event,
        kind=EventKind.OTHER if notice else EventKind.MESSAGE,
        message=Message(segments) if segments else None,
        reply=None if notice else Reply(message.id, event.at),
        mentioned=not notice and not message.isSender and addresses(segments, source, own),
    )


def _revoked(content: str) -> Revoked | None:
    try:
        return parse_revoked(content)
    except ValueError:
        return None


def _recall(event: Event, revoked: Revoked) -> Event:
    return msgspec.structs.replace(
        event,
        kind=EventKind.RECALL,
        message=Message((Text(revoked.text),)) if revoked.text else None,
        reply=Reply(revoked.message_id, event.at),
        about=revoked.message_id,
    )


def _friend_request(event: Event, content: str) -> Event:
    """Add person and data of a friend request; `data` is the request of interface 10035, as JSON."""
    try:
        asked = parse_friend_request(content)
    except ValueError:
        words = Message((Text(content),)) if content else None
        return msgspec.structs.replace(event, kind=EventKind.OTHER, message=words)
    accept = wire.AcceptFriend(encryptUserName=asked.token, ticket=asked.ticket, scene=asked.scene)
    return msgspec.structs.replace(
        event,
        kind=EventKind.FRIEND_REQUESTED,
        target=Target(event.account, "user", asked.username) if asked.username else None,
        sender=asked.username,
        sender_name=asked.nickname,
        message=Message((Text(asked.content),)) if asked.content else None,
        person=asked.username,
        person_name=asked.nickname,
        data=msgspec.json.encode(accept).decode(),
    )


# --- other pushes ---


def _asynchronous(pushed: Pushed) -> tuple[Event, ...]:
    number = pushed.data.get("szMsgSvrID") or pushed.data.get("msgSvrID")
    return (
        pushed.event(
            EventKind.SENT,
            # The echo of the same message has the bare number.
            id=f"push{wire.PUSH_ASYNC}:{number}" if number else pushed.made_id,
            context={"asyncUserData": pushed.data.get("asyncUserData", pushed.push.asyncUserData)},
        ),
    )


def _own_message(pushed: Pushed) -> tuple[Event, ...]:
    data = pushed.data
    # The id was spelled msgSvrId before 2024-07-01.
    number = data.get("szMsgSvrID") or data.get("msgSvrID") or data.get("msgSvrId")
    segments = segments_of(_int(data.get("msgType")) or wire.TYPE_TEXT, str(data.get("content") or ""), "", pushed.own)
    return (
        pushed.event(
            EventKind.SENT,
            id=str(number or pushed.made_id),
            target=pushed.place(data.get("talker")),
            message=Message(segments) if segments else None,
        ),
    )


def _login(pushed: Pushed) -> tuple[Event, ...]:
    words = "logged in" if pushed.data.get("step") == 1 else str(pushed.data.get("desc") or "")
    return (pushed.event(EventKind.OTHER, message=Message((Text(words),)) if words else None),)


def _logout(pushed: Pushed) -> tuple[Event, ...]:
    return (pushed.event(EventKind.LOGIN_LOST),)


def _group(pushed: Pushed) -> tuple[Event, ...]:
    kind = _GROUP_KINDS.get(_int(pushed.data.get("subType")), EventKind.OTHER)
    target = pushed.place(pushed.data.get("chatroomUserName"))
    members = msgspec.convert(pushed.data.get("members") or [], list[wire.ChangedMember], strict=False)
    if kind not in (EventKind.MEMBER_JOINED, EventKind.MEMBER_LEFT) or not members:
        return (pushed.event(kind, target=target),)
    return tuple(
        pushed.event(
            kind,
            id=f"{pushed.made_id}:{member.userName}",
            target=target,
            sender=member.userName,
            sender_name=member.name,
            person=member.userName,
            person_name=member.name,
        )
        for member in members
    )


_GROUP_KINDS = {
    wire.MEMBERS_JOINED: EventKind.MEMBER_JOINED,
    wire.MEMBERS_LEFT: EventKind.MEMBER_LEFT,
    wire.SELF_JOINED: EventKind.GROUP_ADDED,
    wire.SELF_LEFT: EventKind.GROUP_REMOVED,
}
_READERS = {
    wire.PUSH_ASYNC: _asynchronous,
    wire.PUSH_MESSAGE: _message,
    wire.PUSH_LOGIN: _login,
    wire.PUSH_LOGOUT: _logout,
    wire.PUSH_OWN: _own_message,
    wire.PUSH_GROUP: _group,
}


def _int(value: object) -> int:
    text = str(value)
    return int(text[:15]) if text.isascii() and text.isdecimal() else 0
