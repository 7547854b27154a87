"""Decides what follows an error: one table, pure. `DeliveryRun` carries the decision out."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

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
    """How patient to be. Times in seconds."""

    first_delay: float = 1.0
    factor: float = 2.0
    longest_delay: float = 300.0
    max_attempts: int = 8
    """Attempts at one part before it fails; waiting for a window or for pace is not an attempt."""
    max_resends: int = 5
    """Resends under the same key while the outcome is unknown, on wires that recognize a repeat."""
    max_throttles: int = 20
    """Refusals in a row for being too fast, without a time and at one target alone, before its delivery fails."""
    closed_delay: float = 3600.0
    """How long to hold when a platform closed a window without saying until when."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the same part again after `delay` seconds."""

    delay: float
    slow_seconds: float = 0.0
    """Seconds for which the account's other sends wait as well."""
    counts: bool = True
    """Whether the attempt counts against the policy."""
    words: ClassVar[str] = "retry"


@dataclass(frozen=True, slots=True)
class ResendSameKey:
    """The outcome is unknown and the wire recognizes a repeat: send again under the same key."""

    delay: float
    words: ClassVar[str] = "resend under the same key"


@dataclass(frozen=True, slots=True)
class RenewHandles:
    """Drop the handles, upload again, and try at once."""

    words: ClassVar[str] = "renew the handles"


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold it until `until`, seconds since the epoch, or until the other side writes."""

    until: float
    words: ClassVar[str] = "hold"


@dataclass(frozen=True, slots=True)
class Pause:
    """The account cannot send until it logs in; the delivery stays queued."""

    words: ClassVar[str] = "pause the account"


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The delivery ends here, in `state`."""

    state: State
    why: str = ""
    words: ClassVar[str] = "give up"


@dataclass(frozen=True, slots=True)
class Arrived:
    """The platform has it from an earlier attempt."""

    words: ClassVar[str] = "it had arrived"


Decision: TypeAlias = Retry | ResendSameKey | RenewHandles | Hold | Pause | GiveUp | Arrived


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The facts about an attempt that failed."""

    number: int
    """1 for the first attempt at this part."""
    repeatable: bool
    """Whether the wire recognizes a repeat under the same key."""
    in_doubt: bool
    """Whether an earlier attempt at this part ended without a readable answer."""
    renewed: bool
    """Whether the handles were renewed for this part already."""
    answers: bool
    """Whether the message is an answer, whose window does not open again."""
    now: float
    throttled: int = 0
    """How often in a row the platform found this delivery too fast before."""
    others_throttled: int = 0
    """How many other targets it found too fast since a send to any target succeeded."""


def decide(error: Exception, failed: FailedAttempt, policy: Policy, chance: random.Random) -> Decision:
    """Return what to do after `error`. Pure but for `chance`, which spreads waiting times."""
    decision = _decide(error, failed, policy, chance)
    if failed.in_doubt and isinstance(decision, (GiveUp, Hold)):
        # A refused repeat says nothing about the attempt before it, which may have arrived and used up the window.
        return GiveUp(State.UNKNOWN, decision.why if isinstance(decision, GiveUp) else "")
    return decision


def _decide(error: Exception, failed: FailedAttempt, policy: Policy, chance: random.Random) -> Decision:
    match error:
        case Refused():
            return GiveUp(State.FAILED)
        case Duplicate():
            if failed.in_doubt:
                return Arrived()
            return GiveUp(State.FAILED, "the platform has another message under the same key")
        case HandleExpired():
            return GiveUp(State.FAILED, "also after a fresh upload") if failed.renewed else RenewHandles()
        case Throttled():
            return _throttled(error, failed, policy, chance)
        case WindowClosed():
            if failed.answers:
                return GiveUp(State.FAILED, "the message it answers can no longer be answered")
            if error.opens_at is None:
                return Hold(failed.now + policy.closed_delay)
            # Not at once, whatever clock the platform goes by.
            return Hold(max(error.opens_at, failed.now + policy.first_delay))
        case LoginNeeded():
            return Pause()
        case Unavailable() | StorageError():
            if failed.in_doubt and not failed.repeatable:
                return GiveUp(State.UNKNOWN)
            if failed.number >= policy.max_attempts:
                return GiveUp(State.FAILED, f"after {failed.number} attempts")
            return Retry(_backoff(failed.number, policy, chance))
        case OutcomeUnknown() | WireMismatch():
            if failed.repeatable and failed.number < policy.max_resends:
                return ResendSameKey(_backoff(failed.number, policy, chance))
            return GiveUp(State.UNKNOWN)
        case PlatformError():
            return GiveUp(State.FAILED)
    return GiveUp(State.FAILED, "an error inside yizhan")


def _throttled(error: Throttled, failed: FailedAttempt, policy: Policy, chance: random.Random) -> Decision:
    """Wait as the platform says. Without a time, only this target waits, unless other targets meet it as well."""
    if error.retry_after:
        slow = error.retry_after if error.concerns == "account" else 0.0
        return Retry(error.retry_after, slow, counts=False)
    delay = _backoff(failed.throttled + 1, policy, chance)
    if error.concerns == "account" and failed.others_throttled:
        return Retry(delay, delay, counts=False)
    if failed.throttled + 1 >= policy.max_throttles:
        return GiveUp(State.FAILED, f"this target alone was refused {failed.throttled + 1} times for being too fast")
    return Retry(delay, counts=False)


def _backoff(number: int, policy: Policy, chance: random.Random) -> float:
    full = min(policy.first_delay * policy.factor ** min(number - 1, 64), policy.longest_delay)
    return full * (0.5 + chance.random() / 2)
