"""Deliveries, attempts and receipts as values."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, to_builtins


class State(StrEnum):
    """The state of a delivery. `unknown` means that it may or may not have arrived."""

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
        """Whether the state changes only if a person acts."""
        return self not in _OPEN


_OPEN = frozenset({State.QUEUED, State.SENDING, State.HELD})


class PlatformId(Struct, frozen=True, omit_defaults=True):
    """The platform's id of one sent part; `extra` holds fields that recall and quotes need."""

    id: str
    at: float = 0.0
    """Seconds since the epoch: the platform's time if it gave one, else ours."""
    extra: dict[str, Any] = {}
    note: str = ""
    """A remark for the receipt that came up while the part was sent, such as another form than the one asked for."""
    recalled: bool = False
    """Whether the part was withdrawn."""


class SendKey(Struct, frozen=True):
    """The key under which one part of one delivery is sent, the same at every attempt."""

    token: int
    """Unique per delivery and part, below 2**53; for wires with a client message id."""
    number: int
    """Counts from 1 for each account and answered message, for wires that number answers (QQ's msg_seq).

    For a message that answers nothing it is 1 plus the index of the part.
    """
    at: float = 0.0
    """When the part was first sent, seconds since the epoch; for wires whose client message ids are times."""
    serial: int = 0
    """Counts up over the deliveries and parts of a store; tells sends of the same moment apart."""


class Handle(Struct, frozen=True, omit_defaults=True):
    """A platform's reference to uploaded media."""

    token: str
    """The reference itself, opaque to everything above the adapter (often JSON)."""
    scope: str
    """The targets that it serves: `user`, `group`, `account`, or one target."""
    expires_at: float | None = None
    """Seconds since the epoch; None if the platform set no end."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """The state of a delivery, with the platform's ids, words and times."""

    delivery: str
    target: str
    state: State
    platform_ids: tuple[PlatformId, ...] = ()
    attempts: int = 0
    """Sends over all parts; more than the number of parts if some were repeated."""
    detail: str = ""
    """The reason in words, the platform's own and ours."""
    error: str = ""
    """Name of the error class, such as `Throttled`; empty if there was none."""
    code: str = ""
    """The platform's own code, if it gave one."""
    trace_id: str = ""
    settled_at: float = 0.0
    due_at: float = 0.0
    """For `queued` and `held`: the time of the next attempt, seconds since the epoch; 0 if not known."""
    parts: int = 0
    """How many parts it was accepted with; 0 where that was not stored."""
    retry_of: str | None = None
    """The delivery whose missing parts this one carries."""

    @property
    def parts_done(self) -> int:
        return len(self.platform_ids)

    @property
    def half_sent(self) -> bool:
        """Whether some of its parts were sent, and others were not."""
        return 0 < self.parts_done < self.parts

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain values for JSON, those included that say nothing, with `parts_done`."""
        fields = {name: to_builtins(getattr(self, name)) for name in self.__struct_fields__}
        ids = [to_builtins(one) for one in self.platform_ids]
        return {**fields, "platform_ids": ids, "parts_done": self.parts_done}

    def __repr__(self) -> str:
        parts = f", {self.parts_done} of {self.parts} parts" if self.parts > 1 else ""
        why = f": {self.detail}" if self.detail else ""
        return f"<Receipt {self.delivery} {self.state} to {self.target}{parts}{why}>"

    @property
    def ok(self) -> bool:
        return self.state in (State.SENT, State.RECALLED)
