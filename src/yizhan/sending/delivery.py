"""One delivery as it was accepted, its progress, and the ids that people see. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import Refused
from yizhan.model import PlatformId, Receipt, State, Target

REPLY, SINGLE, BROADCAST = 0, 10, 50
"""Priorities: an answer overtakes a single send, which overtakes a broadcast."""

_PROGRESS_COLUMNS = (
    "state",
    "due_at",
    "ids",
    "notes",
    "attempts",
    "part_attempts",
    "in_doubt",
    "in_doubt_since",
    "sending_at",
    "sent_as",
    "detail",
    "error",
    "code",
    "trace_id",
    "settled_at",
)
DELIVERY_COLUMNS = (
    "seq",
    "message",
    "broadcast",
    "account",
    "kind",
    "target",
    "priority",
    "expires_at",
    "not_before",
    "first_number",
    "parts",
    "retry_of",
    *_PROGRESS_COLUMNS,
)
"""The columns of the table of deliveries that `Delivery.from_row` reads, in its order."""

_encode_ids = msgspec.json.Encoder().encode
_decode_ids = msgspec.json.Decoder(tuple[PlatformId, ...]).decode


class Progress(Struct, frozen=True):
    """Everything about a delivery that changes after it was accepted. Times in seconds since the epoch."""

    state: State = State.QUEUED
    due_at: float = 0.0
    """When it is tried next; 0 for at once or, if held, for not before the other side writes."""
    ids: tuple[PlatformId, ...] = ()
    """The platform's ids of the parts that are done."""
    notes: tuple[str, ...] = ()
    """Remarks for the receipt, such as a downgrade to a plain file."""
    attempts: int = 0
    """Sends that were made, over all parts."""
    part_attempts: int = 0
    """Attempts at the part that is next, as far as they count against the policy."""
    in_doubt: bool = False
    """Whether an earlier attempt at the part that is next ended without a readable answer."""
    in_doubt_since: float = 0.0
    """When the first of the attempts in doubt left."""
    sending_at: float = 0.0
    """When the last attempt left."""
    sent_as: str = ""
    """The session under which the last attempt left (`Adapter.session`): a key means the same only within it."""
    detail: str = ""
    error: str = ""
    code: str = ""
    trace_id: str = ""
    settled_at: float = 0.0
    """When it ended; 0 while it has not."""

    @property
    def parts_done(self) -> int:
        return len(self.ids)

    @property
    def begun(self) -> bool:
        """Whether a part has left: then it is no longer cancelled, and does not expire in the queue."""
        return bool(self.ids) or self.in_doubt

    def to_row(self) -> dict[str, Any]:
        """Return the values of its columns by name; `parts_done` is there for the conditions of statements."""
        return {
            "state": self.state.value,
            "due_at": self.due_at,
            "ids": _encode_ids(self.ids).decode(),
            "parts_done": len(self.ids),
            "notes": "\n".join(self.notes),
            "attempts": self.attempts,
            "part_attempts": self.part_attempts,
            "in_doubt": self.in_doubt,
            "in_doubt_since": self.in_doubt_since,
            "sending_at": self.sending_at,
            "sent_as": self.sent_as,
            "detail": self.detail,
            "error": self.error,
            "code": self.code,
            "trace_id": self.trace_id,
            "settled_at": self.settled_at,
        }

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Progress:
        """Read the last columns of `DELIVERY_COLUMNS`, from `state` on."""
        state, due_at, ids, notes, attempts, part_attempts, in_doubt, *rest = row
        return cls(
            State(state),
            due_at,
            () if ids == "[]" else _decode_ids(ids),
            tuple(notes.split("\n")) if notes else (),
            attempts,
            part_attempts,
            bool(in_doubt),
            *rest,
        )


class Delivery(Struct, frozen=True):
    """One message to one target, as it was accepted, with the progress that it had when it was read."""

    seq: int
    message: int
    """The stored message's id."""
    broadcast: int
    """The broadcast that fed it; 0 for none."""
    target: Target
    priority: int
    """As accepted. A delivery that a message of the other side released goes in front, as an answer does."""
    expires_at: float | None = None
    not_before: float = 0.0
    """When it may leave at the earliest, seconds since the epoch."""
    first_number: int = 1
    parts: int = 0
    """How many parts it had when it was accepted; 0 where that was not stored."""
    retry_of: int | None = None
    """The delivery whose missing parts this one carries."""
    progress: Progress = Progress()

    @property
    def urgent(self) -> bool:
        """Whether a caller waits for it, so that it goes before broadcasts."""
        return self.priority < BROADCAST

    def to_row(self) -> dict[str, Any]:
        """Return the values of its columns by name, those of its progress included."""
        return {
            "seq": self.seq,
            "message": self.message,
            "broadcast": self.broadcast,
            "account": self.target.account,
            "kind": self.target.kind,
            "target": self.target.id,
            "priority": self.priority,
            "expires_at": self.expires_at,
            "not_before": self.not_before,
            "first_number": self.first_number,
            "parts": self.parts,
            "retry_of": self.retry_of,
            **self.progress.to_row(),
        }

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Delivery:
        """Read a row of `DELIVERY_COLUMNS`."""
        seq, message, broadcast, account, kind, target, priority, expires_at, not_before, first, parts, retry_of = row[
            :_HEAD
        ]
        return cls(
            seq,
            message,
            broadcast,
            Target(account, kind, target),
            priority,
            expires_at,
            not_before,
            first,
            parts,
            retry_of,
            Progress.from_row(row[_HEAD:]),
        )


_HEAD = len(DELIVERY_COLUMNS) - len(_PROGRESS_COLUMNS)


@dataclass(frozen=True, slots=True)
class Submission:
    """One target's share of a call to `submit`, already checked by compose."""

    target: Target
    parts: int
    ord: int = 0
    """Its place among the recipients of a broadcast; 0 for none."""
    message_id: int = 0
    """Its own message, where that differs from the others'."""
    retry_of: int | None = None
    ids: tuple[PlatformId, ...] = ()
    """The parts that the delivery it retries had sent."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The deliveries that a call to `submit` stored or found, in the order of its targets."""

    seqs: Sequence[int]
    repeated: bool = False
    """The same key had been submitted before; these are the deliveries of that call."""
    deliveries: Sequence[Delivery] = ()
    """The new ones, ready for the lanes; empty when there are many, which are better read in portions."""


def receipt_of(delivery: Delivery, progress: Progress | None = None) -> Receipt:
    """Return the receipt of `delivery` after `progress`, its own where none is given."""
    now = delivery.progress if progress is None else progress
    return Receipt(
        delivery_id(delivery.seq),
        str(delivery.target),
        now.state,
        now.ids,
        now.attempts,
        " ".join(filter(None, (now.detail, "\n".join(now.notes)))),
        now.error,
        now.code,
        now.trace_id,
        now.settled_at,
        now.due_at,
        delivery.parts,
        None if delivery.retry_of is None else delivery_id(delivery.retry_of),
    )


def delivery_id(seq: int) -> str:
    """Return the id that people see and paste: `d42`."""
    return f"d{seq}"


def delivery_seq(text: str) -> int:
    """Read a delivery's id.

    Raises:
        Refused: it is not one.
    """
    digits = text.strip().lower().removeprefix("d") if isinstance(text, str) else ""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Refused(f"{text!a} is not a delivery's id. Expected d followed by digits, as `send` printed it.")
    return int(digits)
