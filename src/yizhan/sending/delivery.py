"""What one delivery is between the store and the platform: plain values, and the ids that people see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yizhan.errors import Refused
from yizhan.model import PlatformId, State, Target

REPLY, SINGLE, BROADCAST = 0, 10, 50
"""Priorities: a person's reply overtakes a single send, which overtakes a broadcast."""


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery as the lane hands it to the runner."""

    seq: int
    message: int
    target: Target
    priority: int
    expires_at: float | None = None
    first_number: int = 1
    parts_done: int = 0
    asked: bool = False
    attempts: int = 0
    ids: tuple[PlatformId, ...] = ()
    notes: str = ""
    tries: int = 0
    """Of the part that is next, as far as they count against the policy."""
    sending_at: float = 0.0
    """When the last try left, seconds since the epoch."""
    not_before: float = 0.0
    """When it may leave at the earliest, seconds since the epoch."""
    asked_since: float = 0.0
    """For one that is asked again: when the first of the tries in doubt left."""

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for it, so that it goes before broadcasts."""
        return self.priority < BROADCAST

    @property
    def begun(self) -> bool:
        """Whether something of it has left: then it is no longer cancelled, and does not expire in the queue."""
        return bool(self.parts_done) or self.asked


@dataclass(frozen=True, slots=True)
class Submission:
    """One target's share of a call to `submit`, already checked by compose."""

    target: Target
    parts: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a call to `submit` stored: its deliveries' numbers, in the order of the targets."""

    broadcast: int
    seqs: Sequence[int]
    repeated: bool = False
    """The same key had been submitted before; these are the deliveries of then."""
    jobs: Sequence[Job] = ()
    """What is new, ready for the lanes; empty when it is much and better read in portions."""


@dataclass(slots=True)
class Settlement:
    """How a delivery ends, or where it waits."""

    state: State
    due_at: float = 0.0
    detail: str = ""
    error: str = ""
    code: str = ""
    trace_id: str = ""
    ids: tuple[PlatformId, ...] = ()
    parts_done: int = 0
    notes: str = ""
    asked: bool = False
    asked_since: float = 0.0
    attempts: int = 0
    tries: int = 0
    settled_at: float = 0.0


def delivery_id(seq: int) -> str:
    """The id that people see and paste: `d42`."""
    return f"d{seq}"


def delivery_seq(text: str) -> int:
    """Read a delivery's id.

    Raises:
        Refused: it is not one.
    """
    digits = text.strip().lower().removeprefix("d")
    if not digits.isdigit() or len(digits) > 18:
        raise Refused(f"'{text}' is not a delivery's id. Expected d followed by digits, as `send` printed it.")
    return int(digits)
