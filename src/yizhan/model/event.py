"""What comes in: messages and other happenings, in one shape for every platform."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from yizhan.model.message import Message, Reply
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
    SENT = "sent"
    """The platform's own word on something that we sent (an echo, an asynchronous result)."""
    LOGIN_LOST = "login_lost"
    OTHER = "other"


class Event(Struct, frozen=True, omit_defaults=True):
    """One happening. `id` is the platform's and is what repeats are recognised by."""

    id: str
    kind: EventKind
    account: str
    at: float
    """Seconds since the epoch."""
    target: Target | None = None
    """Where to answer: the conversation it happened in."""
    sender: str = ""
    sender_name: str = ""
    message: Message | None = None
    """Media in it stand as `Forward` segments, whose `reference` can be saved or sent on."""
    reply: Reply | None = None
    """What an answer refers to; None when it cannot be answered by reference."""
    context: dict[str, Any] = {}
    """What the platform wants back later (a context token, a cursor); treated as a secret."""
    raw: dict[str, Any] = {}
    """The platform's own payload."""
    about: str = ""
    """For `recall`: the id of the message that was withdrawn, as far as the platform names it."""
