"""The rows of a broadcast as values: itself, its recipients, and what a list shows of each. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.states import BroadcastState, PauseReason
from yizhan.errors import Refused
from yizhan.model import PlatformId, State, Target

BROADCAST_COLUMNS = (
    "id",
    "name",
    "state",
    "reason",
    "detail",
    "key",
    "message",
    "note",
    "options",
    "complete",
    "total",
    "refused",
    "parent",
    "ended_seen",
    "failed_seen",
    "version",
    "created_at",
    "start_at",
    "started_at",
    "ended_at",
)


class BroadcastRow(Struct, frozen=True):
    """One broadcast as it is stored. Times in seconds since the epoch, 0 where it has not happened."""

    id: int
    name: str
    state: BroadcastState
    reason: PauseReason | None
    detail: str
    key: str | None
    """The caller's: its deliveries carry it, too."""
    message: int
    """Id of the stored message."""
    note: str
    options: BroadcastOptions
    complete: bool
    """Whether all recipients are stored; until then it cannot start."""
    total: int
    refused: int
    """Recipients of `total` that nothing is sent to."""
    parent: int | None
    ended_seen: int
    """Recipients that had ended when a person resumed it last: errors among them do not pause it again."""
    failed_seen: int
    version: int
    created_at: float
    start_at: float
    started_at: float
    ended_at: float

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> BroadcastRow:
        id, name, state, reason, detail, key, message, note, options, complete, *rest = row
        return cls(
            id,
            name,
            BroadcastState(state),
            PauseReason(reason) if reason else None,
            detail,
            key,
            message,
            note,
            msgspec.json.decode(options, type=BroadcastOptions),
            bool(complete),
            *rest,
        )


class Recipient(Struct, frozen=True):
    """One target of a broadcast, with the person's name and values for placeholders."""

    target: Target
    name: str = ""
    values: Mapping[str, str] = {}
    parts: int = 0
    """Of its message, when it was accepted."""
    refused: str = ""
    """Why nothing is sent to it."""
    retry_of: int | None = None
    ord: int = 0
    """From 1, in the order given; set when it is stored."""


class RecipientState(Struct, frozen=True, omit_defaults=True):
    """One row of a broadcast's report. `state` is a delivery's, `waiting` before there is one, or `refused`."""

    ord: int
    target: str
    name: str
    state: str
    delivery: str = ""
    platform_ids: tuple[PlatformId, ...] = ()
    parts_done: int = 0
    error: str = ""
    code: str = ""
    detail: str = ""
    sent_at: float = 0.0
    """When the last attempt left, seconds since the epoch."""
    settled_at: float = 0.0
    recall: str = ""
    """Why its message could not be recalled: `too_late`, `unsupported`, or the platform's words."""


WAITING = "waiting"
REFUSED = "refused"


def broadcast_name(id: int) -> str:
    """Return the id that people see and paste: `b7`."""
    return f"b{id}"


def broadcast_id(text: str) -> int:
    """Read a broadcast's id.

    Raises:
        Refused: it is not one.
    """
    digits = text.strip().lower().removeprefix("b") if isinstance(text, str) else ""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Refused(f"{text!a} is not a broadcast's id. Expected b followed by digits, such as b7.")
    return int(digits)


class Tally(Struct, frozen=True):
    """How many recipients stand where: each of `total` is in exactly one place."""

    total: int
    refused: int
    states: Mapping[State, int]
    """Of those that have a delivery."""

    @property
    def waiting(self) -> int:
        """Recipients without a delivery yet."""
        return self.total - self.refused - sum(self.states.values())

    @property
    def open(self) -> int:
        """Recipients whose delivery has not ended."""
        return sum(n for state, n in self.states.items() if not state.final)

    @property
    def ended(self) -> int:
        return sum(n for state, n in self.states.items() if state.final)

    @property
    def failed(self) -> int:
        return self.states.get(State.FAILED, 0) + self.states.get(State.UNKNOWN, 0)
