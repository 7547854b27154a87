"""What to do after an error: one table, pure. The runner carries the decision out."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TypeAlias

from yizhan.errors import (
    Duplicate,
    HandleExpired,
    LoginNeeded,
    OutcomeUnknown,
    PlatformError,
    Refused,
    StorageError,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.model import State


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be. Seconds throughout."""

    first_delay: float = 1.0
    factor: float = 2.0
    longest_delay: float = 300.0
    max_attempts: int = 8
    """Attempts at one part before it fails; waiting for a window or for pace is not an attempt."""
    max_resends: int = 5
    """Resends under the same key while the outcome is unknown, on wires that recognize a repeat."""
    closed_delay: float = 3600.0
    """How long to hold when a platform closed a window without saying until when."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try the same part again after `delay`; `slow` also keeps the account's other sends waiting as long."""

    delay: float
    slow: bool = False
    counts: bool = True
    """Whether this was a try that counts against the policy."""


@dataclass(frozen=True, slots=True)
class ResendSameKey:
    """The outcome is unknown and the wire recognises a repeat: send again under the same key."""

    delay: float


@dataclass(frozen=True, slots=True)
class Renew:
    """Drop the handles, upload again, and try at once."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep it until `until`, seconds since the epoch, or until the other side writes."""

    until: float


@dataclass(frozen=True, slots=True)
class Pause:
    """The account cannot send until somebody logs in; the delivery stays queued."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The delivery ends here, in `state`."""

    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The platform has it from an earlier try."""


Decision: TypeAlias = Again | ResendSameKey | Renew | Hold | Pause | GiveUp | Arrived


@dataclass(frozen=True, slots=True)
class Try:
    """What is known when a try failed."""

    number: int
    """1 for the first try of this part."""
    repeatable: bool
    """Whether the wire recognises a repeat under the same key."""
    in_doubt: bool
    """Whether an earlier try of this part ended without a readable answer."""
    renewed: bool
    """Whether the handles were renewed for this part already."""
    answers: bool
    """Whether the message is an answer, whose window does not open again."""
    now: float
    throttled: int = 0
    """How often in a row the platform found it too fast before."""


def decide(error: Exception, this: Try, policy: Policy, chance: random.Random) -> Decision:
    """Return what to do after `error`. Pure but for `chance`, which spreads waiting times."""
    decision = _decide(error, this, policy, chance)
    if this.in_doubt and isinstance(decision, (GiveUp, Hold)):
        # A refused repeat says nothing about the try before it: that one may have arrived, and used up the window.
        return GiveUp(State.UNKNOWN, decision.why if isinstance(decision, GiveUp) else "")
    return decision


def _decide(error: Exception, this: Try, policy: Policy, chance: random.Random) -> Decision:
    match error:
        case Refused():
            return GiveUp(State.FAILED)
        case Duplicate():
            if this.in_doubt:
                return Arrived()
            return GiveUp(State.FAILED, "the platform has another message under the same key")
        case HandleExpired():
            return GiveUp(State.FAILED, "also after a fresh upload") if this.renewed else Renew()
        case Throttled():
            delay = error.retry_after or _backoff(this.throttled + 1, policy, chance)
            return Again(delay, slow=error.concerns == "account", counts=False)
        case WindowClosed():
            if this.answers:
                return GiveUp(State.FAILED, "the message it answers can no longer be answered")
            if error.opens_at is None:
                return Hold(this.now + policy.closed_delay)
            # Not at once, whatever clock the platform goes by.
            return Hold(max(error.opens_at, this.now + policy.first_delay))
        case LoginNeeded():
            return Pause()
        case Unavailable() | StorageError():
            if this.in_doubt and not this.repeatable:
                return GiveUp(State.UNKNOWN)
            if this.number >= policy.max_attempts:
                return GiveUp(State.FAILED, f"after {this.number} tries")
            return Again(_backoff(this.number, policy, chance))
        case OutcomeUnknown() | WireMismatch():
            if this.repeatable and this.number < policy.max_resends:
                return ResendSameKey(_backoff(this.number, policy, chance))
            return GiveUp(State.UNKNOWN)
        case PlatformError():
            return GiveUp(State.FAILED)
    return GiveUp(State.FAILED, "an error inside yizhan")


def _backoff(number: int, policy: Policy, chance: random.Random) -> float:
    full = min(policy.first_delay * policy.factor ** min(number - 1, 64), policy.longest_delay)
    return full * (0.5 + chance.random() / 2)
