"""What the platform pushes to events. Pure, and lenient: an event that cannot be read still arrives, as `other`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from yizhan.model import Event, EventKind, Forward, Message, Quote, Reply, Segment, Target, Text
from yizhan.platforms.qqbot.wire import events
from yizhan.platforms.qqbot.wire.gateway import Frame

T = TypeVar("T")

QUOTES = 103
"""`message_type` of a message that quotes another."""


def parse(frame: Frame, account: str, now: float) -> Event | None:
    """Return the event in a dispatch frame; None for what only concerns the session.

    `account`: `platform.name`. `now`: for events that bring no time.
    """
    if frame.t is None or frame.t in ("READY", "RESUMED"):
        return None
    raw = frame.d if isinstance(frame.d, dict) else {}
    reader = _READERS.get(frame.t)
    try:
        found = reader(frame, raw, account) if reader else None
    except (msgspec.ValidationError, RecursionError):
        found = None
    event = found or Event(_id(frame, raw), EventKind.OTHER, account, _time(raw) or now, raw=_typed(frame, raw))
    return event if event.at else msgspec.structs.replace(event, at=now)


def _c2c(frame: Frame, raw: dict[str, Any], account: str) -> Event:
    d = _read(raw, events.C2CMessage)
    return _message(
        frame, raw, d, Target(account, "user", d.author.user_openid), d.author.user_openid, d.author.username
    )


def _group(frame: Frame, raw: dict[str, Any], account: str) -> Event:
    d = _read(raw, events.GroupMessage)
    target = Target(account, "group", d.group_openid)
    # The platform takes the @ away and leaves the space that followed it.
    d = msgspec.structs.replace(d, content=d.content.removeprefix(" "))
    return _message(frame, raw, d, target, d.author.member_openid, d.author.username)


def _channel(frame: Frame, raw: dict[str, Any], account: str) -> Event:
    d = _read(raw, events.ChannelMessage)
    kind, place = ("dm", d.guild_id) if frame.t == "DIRECT_MESSAGE_CREATE" else ("channel", d.channel_id)
    text = d.content.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    d = msgspec.structs.replace(d, content=text)
    return _message(frame, raw, d, Target(account, kind, place), d.author.id, d.author.username)


def _message(frame: Frame, raw: dict[str, Any], d: Any, target: Target, sender: str, sender_name: str) -> Event:
    at = events.clock_seconds(d.timestamp)
    scene = getattr(d, "message_scene", None)
    ref_idx = scene.value("msg_idx") if scene else ""
    return Event(
        id=d.id,
        kind=EventKind.MESSAGE,
        account=target.account,
        at=at,
        target=target,
        sender=sender,
        sender_name=sender_name,
        message=Message(tuple(_segments(d, scene))),
        reply=Reply(d.id, at),
        context={"ref_idx": ref_idx} if ref_idx else {},
        raw=_typed(frame, raw),
    )


def _segments(d: Any, scene: events.MessageScene | None) -> list[Segment]:
    segments: list[Segment] = []
    if getattr(d, "message_type", 0) == QUOTES:
        segments.append(_quote(d.msg_elements, scene))
    if text := d.content or _card_text(d):
        segments.append(Text(text))
    segments += [_attachment(attachment) for attachment in d.attachments]
    return segments or [Text("")]


def _card_text(d: Any) -> str:
    card: events.Card | None = getattr(d, "ark_data", None)
    return card.prompt if card else ""


def _quote(elements: list[dict[str, Any]], scene: events.MessageScene | None) -> Quote:
    first = elements[0] if elements else {}
    author = first.get("author")
    author = author if isinstance(author, dict) else {}
    message_id = (scene.value("ref_msg_idx") if scene else "") or str(first.get("msg_idx") or "")
    return Quote(
        message_id,
        str(first.get("content") or ""),
        str(author.get("id") or author.get("member_openid") or author.get("user_openid") or ""),
        str(author.get("username") or ""),
    )


def _attachment(attachment: events.Attachment) -> Forward:
    url = attachment.url if "://" in attachment.url else f"https://{attachment.url.lstrip('/')}"
    reference = msgspec.to_builtins(attachment) | {"url": url}
    return Forward(_kind(attachment.content_type), reference, attachment.filename)


def _kind(content_type: str) -> str:
    family = content_type.partition("/")[0]
    return {"image": "image", "video": "video", "voice": "voice", "audio": "voice"}.get(family, "file")


def _user_relation(kind: EventKind, answerable: bool) -> Callable[[Frame, dict[str, Any], str], Event]:
    def read(frame: Frame, raw: dict[str, Any], account: str) -> Event:
        d = _read(raw, events.UserRelation)
        return _relation(frame, raw, kind, Target(account, "user", d.openid), d.openid, d.timestamp, answerable)

    return read


def _group_relation(kind: EventKind, answerable: bool) -> Callable[[Frame, dict[str, Any], str], Event]:
    def read(frame: Frame, raw: dict[str, Any], account: str) -> Event:
        d = _read(raw, events.GroupRelation)
        target = Target(account, "group", d.group_openid)
        return _relation(frame, raw, kind, target, d.op_member_openid, d.timestamp, answerable)

    return read


def _relation(
    frame: Frame, raw: dict[str, Any], kind: EventKind, target: Target, sender: str, timestamp: int, answerable: bool
) -> Event:
    reply = Reply(frame.id, timestamp, "event") if answerable and frame.id else None
    return Event(_id(frame, raw), kind, target.account, timestamp, target, sender, reply=reply, raw=_typed(frame, raw))


def _interaction(frame: Frame, raw: dict[str, Any], account: str) -> Event:
    d = _read(raw, events.Interaction)
    target = None
    if d.user_openid:
        target = Target(account, "user", d.user_openid)
    elif d.group_openid:
        target = Target(account, "group", d.group_openid)
    at = events.clock_seconds(d.timestamp)
    reply = Reply(frame.id, at, "event") if frame.id and target else None
    sender = d.user_openid or d.group_member_openid
    return Event(_id(frame, raw), EventKind.OTHER, account, at, target, sender, reply=reply, raw=_typed(frame, raw))


def _audit(frame: Frame, raw: dict[str, Any], account: str) -> Event:
    d = _read(raw, events.Audit)
    target = Target(account, "channel", d.channel_id) if d.channel_id else None
    at = events.clock_seconds(d.audit_time)
    return Event(_id(frame, raw), EventKind.SENT, account, at, target, raw=_typed(frame, raw))


_READERS: dict[str, Callable[[Frame, dict[str, Any], str], Event]] = {
    "C2C_MESSAGE_CREATE": _c2c,
    "GROUP_AT_MESSAGE_CREATE": _group,
    "GROUP_MESSAGE_CREATE": _group,
    "AT_MESSAGE_CREATE": _channel,
    "MESSAGE_CREATE": _channel,
    "DIRECT_MESSAGE_CREATE": _channel,
    "FRIEND_ADD": _user_relation(EventKind.FRIEND_ADDED, answerable=True),
    "FRIEND_DEL": _user_relation(EventKind.FRIEND_REMOVED, answerable=False),
    "C2C_MSG_RECEIVE": _user_relation(EventKind.ACTIVE_ALLOWED, answerable=True),
    "C2C_MSG_REJECT": _user_relation(EventKind.ACTIVE_REFUSED, answerable=False),
    "GROUP_ADD_ROBOT": _group_relation(EventKind.GROUP_ADDED, answerable=True),
    "GROUP_DEL_ROBOT": _group_relation(EventKind.GROUP_REMOVED, answerable=False),
    "GROUP_MSG_RECEIVE": _group_relation(EventKind.ACTIVE_ALLOWED, answerable=True),
    "GROUP_MSG_REJECT": _group_relation(EventKind.ACTIVE_REFUSED, answerable=False),
    "INTERACTION_CREATE": _interaction,
    "MESSAGE_AUDIT_PASS": _audit,
    "MESSAGE_AUDIT_REJECT": _audit,
}


def _read(raw: dict[str, Any], shape: type[T]) -> T:
    return msgspec.convert(_without_nulls(raw), shape, strict=False)


def _without_nulls(value: Any) -> Any:
    """Null means absent, at any depth."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _id(frame: Frame, raw: dict[str, Any]) -> str:
    return frame.id or str(raw.get("id") or f"{frame.t}:{frame.s}")


def _time(raw: dict[str, Any]) -> float:
    timestamp = raw.get("timestamp")
    return events.clock_seconds(timestamp) if isinstance(timestamp, (str, int, float)) else 0.0


def _typed(frame: Frame, raw: dict[str, Any]) -> dict[str, Any]:
    """The platform's payload, with the name of the event beside it."""
    return {"t": frame.t, "id": frame.id, "d": raw}
