"""Exit codes, and errors as one line (or one JSON object): what happened, what was expected, what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from yizhan.errors import (
    ConfigError,
    DeliveryFailed,
    LoginNeeded,
    OutcomeUnknown,
    PlatformError,
    Refused,
    StorageError,
    YizhanError,
)

if TYPE_CHECKING:
    from yizhan.model import Receipt

SENT, FAILED, USAGE, PARTLY, UNFINISHED, UNKNOWN = range(6)

_WORDS: tuple[tuple[type[BaseException], str, int], ...] = (
    (ConfigError, "config", USAGE),
    (Refused, "refused", USAGE),
    (OutcomeUnknown, "unknown", UNKNOWN),
    (LoginNeeded, "login", FAILED),
    (PlatformError, "platform", FAILED),
    (DeliveryFailed, "delivery", FAILED),
    (StorageError, "storage", FAILED),
    (YizhanError, "failed", FAILED),
)


def code_of(receipts: Iterable[Receipt]) -> int:
    """Return the exit code that says how `receipts` stand.

    Some failed: 1 when all did, else 3. None failed: 5 when one is unknown, 4 when one still waits, else 0.
    """
    from yizhan.model import State

    states = {
        "sent"
        if receipt.ok
        else "unknown"
        if receipt.state is State.UNKNOWN
        else "bad"
        if receipt.state.final
        else "on"
        for receipt in receipts
    }
    if "bad" in states:
        return FAILED if states == {"bad"} else PARTLY
    return UNKNOWN if "unknown" in states else UNFINISHED if "on" in states else SENT


def explain(error: YizhanError, *, as_json: bool) -> int:
    """Say `error` on standard error, in one line, and return its exit code."""
    word, code = next((word, code) for kind, word, code in _WORDS if isinstance(error, kind))
    _say(word, type(error).__name__, " ".join(str(error).split()), as_json=as_json)
    return code


def explain_failures(receipts: Sequence[Receipt], *, as_json: bool) -> None:
    """Say on standard error which of `receipts` failed or are unknown, and why: the first one, and how many more."""
    bad = [receipt for receipt in receipts if receipt.state.final and not receipt.ok]
    if not bad:
        return
    first = bad[0]
    more = f" (and {len(bad) - 1} more of {len(receipts)})" if len(bad) > 1 else ""
    text = f"{first.delivery} to {first.target} is {first.state.value}: {first.detail or 'no reason is known'}{more}"
    _say("delivery", first.error or "DeliveryFailed", " ".join(text.split()), as_json=as_json)


def usage(text: str, hint: str, *, as_json: bool) -> int:
    """Say that the command line itself cannot be read."""
    _say("usage", "UsageError", " ".join(f"{text} {hint}".split()), as_json=as_json)
    return USAGE


def _say(word: str, name: str, text: str, *, as_json: bool) -> None:
    if as_json:
        line = json.dumps({"error": word, "class": name, "detail": text}, ensure_ascii=False)
    else:
        line = f"yizhan: {text}" if word == "usage" else f"yizhan: {name}: {text}"
    print(line, file=sys.stderr)
