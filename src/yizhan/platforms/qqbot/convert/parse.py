"""Pushed payloads to events. Pure, and lenient: an event that cannot be read still arrives, as `other`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from yizhan.model import Event, EventKind, Mention, Message, Quote, Reply, Segment, Target
from yizhan.platforms.qqbot.convert.content import guild_segments, scene_segments
from yizhan.platforms.qqbot.wire import events
from yizhan.platforms.qqbot.wire.emoji import emoji_text
from yizhan.platforms.qqbot.wire.gateway import Frame

T = TypeVar("T")

ADDRESSED = ("GROUP_AT_MESSAGE_CREATE", "AT_MESSAGE_CREATE")
"""Events that come only for messages that mention the bot; groups take the mention away."""


@dataclass(frozen=True, slots=True)
class Own:
    """The receiving bot, as messages may refer to it."""

    id: str = ""
    """The bot's own id, as the gateway's READY names it; the one that guilds use."""
    references: Collection[str] = ()
    """Ids and reference indexes of messages that the bot sent lately."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One dispatch frame on its way to an event."""

    frame: Frame
    raw: dict[str, Any]
    account: str
    own: Own

    @property
    def id(self) -> str:
        return self.frame.id or str(self.raw.get("id") or f"{self.frame.t}:{self.frame.s}")

    @property
    def payload(self) -> dict[str, Any]:
        """The platform's payload, with the name of the event beside it."""
        return {"t": self.frame.t, "id": self.frame.id, "d": self.raw}

    def read(self, shape: type[T]) -> T:
        return msgspec.convert(_without_nulls(self.raw), shape, strict=False)

    def target(self, kind: str, id: str) -> Target:
        return Target(self.account, kind, id)

    def reply(self, at: float) -> Reply | None:
        """Return the reference by which this event, which is no message, is answered."""
        return Reply(self.frame.id, at, "event") if self.frame.id else None


def parse(frame: Frame, account: str, now: float, own: Own = Own()) -> Event | None:
    """Return the event in a dispatch frame; None if it concerns the session only.

    `account`: `platform.name`. `now`: for events that bring no time.
    """
    if frame.t is None or frame.t in ("READY", "RESUMED"):
        return None
    pushed = Pushed(frame, frame.d if isinstance(frame.d, dict) else {}, account, own)
    reader = _READERS.get(frame.t)
    try:
        found = reader(pushed) if reader else None
    except (msgspec.ValidationError, RecursionError):
        found = None
    event = found or Event(pushed.id, EventKind.OTHER, account, _time(pushed.raw) or now, raw=pushed.payload)
    return event if event.at else msgspec.structs.replace(event, at=now)


# --- messages ---


def _c2c(pushed: Pushed) -> Event:
    d = pushed.read(events.C2CMessage)
    target = pushed.target("user", d.author.user_openid)
    return _scene_message(pushed, d, target, d.author.user_openid)


def _group(pushed: Pushed) -> Event:
    d = pushed.read(events.GroupMessage)
    if pushed.frame.t in ADDRESSED:
        # The platform takes the mention away and leaves the space that followed it.
        d = msgspec.structs.replace(d, content=d.content.removeprefix(" "))
    return _scene_message(pushed, d, pushed.target("group", d.group_openid), d.author.member_openid)


def _scene_message(pushed: Pushed, d: events.C2CMessage | events.GroupMessage, target: Target, sender: str) -> Event:
    segments = scene_segments(d, pushed.own.id)
    ref_idx = d.message_scene.value("msg_idx") if d.message_scene else ""
    event = _message(pushed, d.id, d.timestamp, target, sender, d.author.username, segments)
    return msgspec.structs.replace(event, context={"ref_idx": ref_idx}) if ref_idx else event


def _channel(pushed: Pushed) -> Event:
    d = pushed.read(events.ChannelMessage)
    kind, place = ("dm", d.guild_id) if pushed.frame.t == "DIRECT_MESSAGE_CREATE" else ("channel", d.channel_id)
    segments = guild_segments(d, pushed.own.id or _mentioned_bot(pushed.frame.t, d))
    event = _message(pushed, d.id, d.timestamp, pushed.target(kind, place), d.author.id, d.author.username, segments)
    return msgspec.structs.replace(event, mentioned=True) if d.mention_everyone else event


def _mentioned_bot(event: str | None, d: events.ChannelMessage) -> str:
    """Return the bot's id in a message that mentions it; empty if several bots are mentioned, or none."""
    bots = [entry.id for entry in d.mentions if entry.bot]
    return bots[0] if event in ADDRESSED and len(bots) == 1 else ""


def _message(
    pushed: Pushed, id: str, timestamp: str, target: Target, sender: str, name: str, segments: list[Segment]
) -> Event:
    at = events.clock_seconds(timestamp)
    return Event(
        id=id,
        kind=EventKind.MESSAGE,
        account=pushed.account,
        at=at,
        target=target,
        sender=sender,
        sender_name=name,
        message=Message(tuple(segments)),
        reply=Reply(id, at),
        raw=pushed.payload,
        mentioned=pushed.frame.t in ADDRESSED or any(_addresses(segment, pushed.own) for segment in segments),
    )


def _addresses(segment: Segment, own: Own) -> bool:
    match segment:
        case Mention(user, _, is_own):
            return is_own or user == "all"
        case Quote(message_id, _, sender):
            return bool(own.id and sender == own.id) or message_id in own.references
    return False


# --- relations and members ---


def _user_relation(kind: EventKind, answerable: bool) -> Callable[[Pushed], Event]:
    def read(pushed: Pushed) -> Event:
        d = pushed.read(events.UserRelation)
        return _relation(pushed, kind, pushed.target("user", d.openid), d.openid, d.timestamp, answerable)

    return read


def _group_relation(kind: EventKind, answerable: bool) -> Callable[[Pushed], Event]:
    def read(pushed: Pushed) -> Event:
        d = pushed.read(events.GroupRelation)
        target = pushed.target("group", d.group_openid)
        return _relation(pushed, kind, target, d.op_member_openid, d.timestamp, answerable)

    return read


def _relation(pushed: Pushed, kind: EventKind, target: Target, sender: str, at: float, answerable: bool) -> Event:
    reply = pushed.reply(at) if answerable else None
    return Event(pushed.id, kind, pushed.account, at, target, sender, reply=reply, raw=pushed.payload)


def _member(kind: EventKind) -> Callable[[Pushed], Event]:
    def read(pushed: Pushed) -> Event:
        d = pushed.read(events.MemberChange)
        return Event(
            pushed.id,
            kind,
            pushed.account,
            events.clock_seconds(d.timestamp),
            pushed.target("group", d.group_openid),
            d.member_openid,
            d.username,
            raw=pushed.payload,
            person=d.member_openid,
            person_name=d.username,
        )

    return read


def _guild_member(kind: EventKind) -> Callable[[Pushed], Event]:
    def read(pushed: Pushed) -> Event:
        d = pushed.read(events.GuildMemberChange)
        name = d.nick or d.user.username
        at = events.clock_seconds(d.joined_at) if kind is EventKind.MEMBER_JOINED else 0.0
        return Event(
            pushed.id,
            kind,
            pushed.account,
            at,
            sender=d.user.id,
            sender_name=name,
            raw=pushed.payload,
            person=d.user.id,
            person_name=name,
        )

    return read


# --- reactions, buttons, reviews ---


def _reaction(pushed: Pushed) -> Event:
    d = pushed.read(events.Reaction)
    return Event(
        pushed.id,
        EventKind.REACTION,
        pushed.account,
        0.0,
        pushed.target("channel", d.channel_id),
        d.user_id,
        raw=pushed.payload,
        about=d.target.id,
        person=d.user_id,
        data=emoji_text(d.emoji.id, d.emoji.type),
    )


def _deletion(pushed: Pushed) -> Event:
    d = pushed.read(events.Deletion)
    place = ("dm", "guild_id") if pushed.frame.t == "DIRECT_MESSAGE_DELETE" else ("channel", "channel_id")
    id = str(d.message.get(place[1]) or "")
    return Event(
        pushed.id,
        EventKind.RECALL,
        pushed.account,
        0.0,
        pushed.target(place[0], id) if id else None,
        d.op_user.id,
        raw=pushed.payload,
        about=str(d.message.get("id") or ""),
    )


def _interaction(pushed: Pushed) -> Event:
    d = pushed.read(events.Interaction)
    resolved = d.data.get("resolved")
    resolved = resolved if isinstance(resolved, dict) else {}
    person = d.user_openid or d.group_member_openid or str(resolved.get("user_id") or "")
    target = _place(pushed, d)
    at = events.clock_seconds(d.timestamp)
    pressed = d.type in events.ACKNOWLEDGED_TYPES
    return Event(
        pushed.id,
        EventKind.BUTTON_PRESSED if pressed else EventKind.OTHER,
        pushed.account,
        at,
        target,
        person,
        reply=pushed.reply(at) if target else None,
        raw=pushed.payload,
        about=str(resolved.get("message_id") or ""),
        person=person if pressed else "",
        data=str(resolved.get("button_data") or resolved.get("feature_id") or "") if pressed else "",
    )


def _place(pushed: Pushed, d: events.Interaction) -> Target | None:
    places = (("user", d.user_openid), ("group", d.group_openid), ("channel", d.channel_id))
    return next((pushed.target(kind, id) for kind, id in places if id), None)


def _audit(pushed: Pushed) -> Event:
    d = pushed.read(events.Audit)
    target = pushed.target("channel", d.channel_id) if d.channel_id else None
    at = events.clock_seconds(d.audit_time)
    return Event(pushed.id, EventKind.SENT, pushed.account, at, target, raw=pushed.payload)


_READERS: dict[str, Callable[[Pushed], Event]] = {
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
    "GROUP_MEMBER_ADD": _member(EventKind.MEMBER_JOINED),
    "GROUP_MEMBER_REMOVE": _member(EventKind.MEMBER_LEFT),
    "GUILD_MEMBER_ADD": _guild_member(EventKind.MEMBER_JOINED),
    "GUILD_MEMBER_REMOVE": _guild_member(EventKind.MEMBER_LEFT),
    "MESSAGE_REACTION_ADD": _reaction,
    **dict.fromkeys(("MESSAGE_DELETE", "PUBLIC_MESSAGE_DELETE", "DIRECT_MESSAGE_DELETE"), _deletion),
    "INTERACTION_CREATE": _interaction,
    "MESSAGE_AUDIT_PASS": _audit,
    "MESSAGE_AUDIT_REJECT": _audit,
}


def _without_nulls(value: Any) -> Any:
    """Null means absent, at any depth."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _time(raw: dict[str, Any]) -> float:
    timestamp = raw.get("timestamp")
    return events.clock_seconds(timestamp) if isinstance(timestamp, (str, int, float)) else 0.0
