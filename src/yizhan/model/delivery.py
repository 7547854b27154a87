"""Deliveries, attempts and receipts as values."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class State(StrEnum):
    """Where a delivery stands. `unknown` is said, never guessed away."""

    QUEUED = "queued"
    SENDING = "sending"
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RECALLED = "recalled"

    @property
    def final(self) -> bool:
        """Whether it stays so unless a person acts."""
        return self not in _OPEN


_OPEN = frozenset({State.QUEUED, State.SENDING, State.HELD})


class PlatformId(Struct, frozen=True, omit_defaults=True):
    """What the platform called one sent part; `extra` keeps what recall or a quote will need."""

    id: str
    at: float = 0.0
    """Seconds since the epoch, by the platform if it said, else by our clock."""
    extra: dict[str, Any] = {}


class SendKey(Struct, frozen=True):
    """The key under which one part of one delivery is sent, the same at every try."""

    token: int
    """Unique per delivery and part, below 2**53; for wires with a client message id."""
    number: int
    """Counts up from 1 per account and answered message; for wires that number answers (QQ's msg_seq).

    For a message that answers nothing it is 1 plus the part's index.
    """


class Handle(Struct, frozen=True, omit_defaults=True):
    """What a platform gave for placed media."""

    token: str
    """The platform's own words, opaque to everything above the adapter (often JSON)."""
    scope: str
    """The set of targets it is good for: `user`, `group`, `account`, or one target."""
    expires_at: float | None = None
    """Seconds since the epoch; None when the platform set no end."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """How a delivery stands or ended: state, the platform's ids, its own words, when."""

    delivery: str
    target: str
    state: State
    platform_ids: tuple[PlatformId, ...] = ()
    attempts: int = 0
    """Sends that were made, over all parts: more than there are parts where one had to be repeated."""
    detail: str = ""
    """Why, in words: the platform's own and ours."""
    error: str = ""
    """Name of the error class, such as `Throttled`; empty when there was none."""
    code: str = ""
    """The platform's own code, if it gave one."""
    trace_id: str = ""
    settled_at: float = 0.0
    due_at: float = 0.0
    """For `queued` and `held`: when it will be tried, seconds since the epoch; 0 when not known."""
    parts: int = 0
    """How many parts it was accepted with; 0 where that was not stored."""
    retry_of: str | None = None
    """The delivery whose missing parts this one carries."""

    @property
    def parts_done(self) -> int:
        return len(self.platform_ids)

    @property
    def ok(self) -> bool:
        return self.state in (State.SENT, State.RECALLED)
