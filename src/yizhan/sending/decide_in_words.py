"""The decisions about failed attempts in words, from the very function that makes them: for `explain` and the pages."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable
from typing import Any

from yizhan.sending.decide import (
    Arrived,
    Decision,
    FailedAttempt,
    GiveUp,
    Hold,
    Pause,
    Policy,
    RenewHandles,
    ResendSameKey,
    Retry,
    decide,
)

_TRY: dict[str, Any] = {
    "number": 1,
    "repeatable": False,
    "in_doubt": False,
    "renewed": False,
    "answers": False,
    "now": 0.0,
}
_CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {}),
    ("while other targets are refused as well", {"others_throttled": 1}),
    ("an answer", {"answers": True}),
    ("where the wire knows a repeat", {"repeatable": True}),
    ("after it was sent again", {"repeatable": True, "in_doubt": True}),
    ("after a fresh upload", {"renewed": True}),
)


def decided(error: Exception, *, without: Iterable[str] = ()) -> str:
    """Return in words what becomes of a delivery after `error`; `without`: cases that the platform has not."""
    usual, *others = [
        (case, _decision(decide(error, FailedAttempt(**{**_TRY, **more}), Policy(), random.Random(1)), error))
        for case, more in _CASES
        if not set(more) & set(without)
    ]
    said = {usual[1]: usual[1]}
    for case, text in others:
        # A case that is answered as an earlier one needs no mention.
        said.setdefault(text, f"{case}: {text}")
    return "; ".join(said.values())


def _decision(decision: Decision, error: Exception) -> str:
    match decision:
        case Retry(delay, slow_seconds, counts):
            told = getattr(error, "retry_after", None)
            wait = f"waits {delay:g} s" if told else "waits"
            tries = f", {Policy().max_attempts} times in all" if counts else ""
            return f"{'the whole account ' if slow_seconds else ''}{wait} and tries again{tries}"
        case ResendSameKey():
            return "sent again under the same key"
        case RenewHandles():
            return "uploads again, once, and sends"
        case Hold():
            return "held"
        case Pause():
            return "queued; the account waits for a login"
        case Arrived():
            return "sent, since an earlier try had arrived"
        case GiveUp(state):
            return state.value
    raise AssertionError(decision)


def first_sentence(kind: type) -> str:
    """Return the first sentence of a docstring."""
    text = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("`", "")
    return f"{text.partition('. ')[0].rstrip('.')}."
