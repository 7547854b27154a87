"""The states of a broadcast, and which call leads from one to the next. Pure."""

from __future__ import annotations

from enum import StrEnum

from yizhan.errors import Refused


class BroadcastState(StrEnum):
    """`paused` has a reason (`PauseReason`); `recalled` and `cancelled` keep their counts."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    RECALLING = "recalling"
    RECALLED = "recalled"

    @property
    def final(self) -> bool:
        """Whether nothing of the broadcast leaves any more unless a person acts."""
        return self in (BroadcastState.DONE, BroadcastState.CANCELLED, BroadcastState.RECALLED)


class PauseReason(StrEnum):
    PERSON = "person"
    ERRORS = "errors"
    QUIET_HOURS = "quiet_hours"
    LATE = "late"

    @property
    def resumes(self) -> bool:
        """Whether the broadcast resumes by itself."""
        return self is PauseReason.QUIET_HOURS


_D, _S, _R, _P = BroadcastState.DRAFT, BroadcastState.SCHEDULED, BroadcastState.RUNNING, BroadcastState.PAUSED

_ALLOWED: dict[str, tuple[frozenset[BroadcastState], BroadcastState]] = {
    "start": (frozenset({_D, _S}), _R),
    "schedule": (frozenset({_D, _S}), _S),
    "unschedule": (frozenset({_S}), _D),
    "pause": (frozenset({_R, _S}), _P),
    "resume": (frozenset({_P}), _R),
    "cancel": (frozenset({_D, _S, _R, _P}), BroadcastState.CANCELLED),
    "recall": (frozenset({_R, _P, BroadcastState.DONE, BroadcastState.CANCELLED}), BroadcastState.RECALLING),
}


def after(action: str, state: BroadcastState, name: str) -> BroadcastState:
    """Return the state after `action`.

    Raises:
        Refused: the broadcast `name` cannot do that in its state; the text says what it can do.
    """
    allowed, target = _ALLOWED[action]
    if state not in allowed:
        possible = [call for call, (states, _) in _ALLOWED.items() if state in states]
        raise Refused(
            f"Broadcast {name} is {state}; {action} is for one that is {_listed(allowed)}. "
            f"{'Possible now: ' + ', '.join(possible) if possible else 'Nothing can be done with it any more'}."
        )
    return target


def _listed(states: frozenset[BroadcastState]) -> str:
    return " or ".join(state for state in BroadcastState if state in states)
