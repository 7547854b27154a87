"""Incoming events: messages and others, in one shape for every platform."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from yizhan.model.message import Message, Reply, Segment
from yizhan.model.target import Target


class EventKind(StrEnum):
    MESSAGE = "message"
    RECALL = "recall"
    FRIEND_ADDED = "friend_added"
    FRIEND_REMOVED = "friend_removed"
    GROUP_ADDED = "group_added"
    GROUP_REMOVED = "group_removed"
    ACTIVE_ALLOWED = "active_allowed"
    ACTIVE_REFUSED = "active_refused"
    FRIEND_REQUESTED = "friend_requested"
    """`person` asks to become a friend; `data` is what accepts the request."""
    MEMBER_JOINED = "member_joined"
    """`person` came into the group `target`."""
    MEMBER_LEFT = "member_left"
    REACTION = "reaction"
    """`person` reacted to the message `about`; `data` is the reaction."""
    BUTTON_PRESSED = "button_pressed"
    """`person` pressed a button of the message `about`; `data` is the button's."""
    SENT = "sent"
    """The platform reports on a message that this account sent: an echo, or a later result."""
    LOGIN_LOST = "login_lost"
    OTHER = "other"


class Event(Struct, frozen=True, omit_defaults=True):
    """One event. Repeats are recognized by `id`, which is the platform's."""

    id: str
    kind: EventKind
    account: str
    at: float
    """Seconds since the epoch."""
    target: Target | None = None
    """The conversation, to which answers go."""
    sender: str = ""
    sender_name: str = ""
    message: Message | None = None
    """Media in it stand as `Forward` segments, whose `reference` can be saved or sent on."""
    reply: Reply | None = None
    """The reference for an answer; None if the event cannot be answered by reference."""
    context: dict[str, Any] = {}
    """Values that the platform wants back later, such as a context token; treated as a secret."""
    raw: dict[str, Any] = {}
    """The platform's own payload."""
    about: str = ""
    """The message that was withdrawn or reacted to, or whose button was pressed, by id where the wire has it."""
    mentioned: bool = False
    """Whether the message addresses this account: by its id, as everyone, or as a reply to something it sent."""
    person: str = ""
    """The person who joined, left, reacted, pressed or asks, by the platform's id."""
    person_name: str = ""
    data: str = ""
    """The button's data, the reaction, or what accepts a friend request."""

    @property
    def text(self) -> str:
        """The words of the message; empty where there is none."""
        return "" if self.message is None else self.message.text

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of the message; none where there is no message."""
        return () if self.message is None else tuple(self.message.segments)
