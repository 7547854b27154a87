"""Exit codes, and errors as one line (or one JSON object): what happened, what was expected, what to do."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from yizhan import errors
from yizhan.cli.ids import wait_for
from yizhan.errors import (
    ConfigError,
    ContentRefused,
    DeliveryFailed,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    PlatformError,
    Refused,
    Rejected,
    StorageError,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
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

_REMEDIES: tuple[tuple[type[PlatformError], str], ...] = (
    (
        NotAllowed,
        "Give the account that right in the platform's console, or ask the receiver to allow messages.",
    ),
    (TargetGone, "Check the target; the receiver may have to add the account (again) first."),
    (ContentRefused, "Send other content: the platform refuses this."),
    (HandleExpired, "Send it again; it will be uploaded again."),
    (WindowClosed, "Send it again once the receiver has written, or when the window opens."),
    (Throttled, "Send it again later, and fewer at once."),
    (Unavailable, "Check whether the address is right and answers: yizhan doctor."),
    (OutcomeUnknown, "Find out whether it arrived, and say so: yizhan deliveries settle ID --as …"),
    (
        LoginNeeded,
        "Log it in (yizhan login PLATFORM.NAME), or correct its secret (yizhan account set PLATFORM.NAME secret=…).",
    ),
    (WireMismatch, "Check whether base_url is the platform's address: yizhan account list."),
    (Rejected, "Sending it again unchanged would fail again; docs/codes.md explains the platform's codes."),
)
"""Remedies by class of error; the first class that fits counts."""


_VALIDATOR_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Input should be a valid integer[^.]*", "expected a whole number"),
        (r"Input should be a valid number[^.]*", "expected a number"),
        (r"Input should be a finite number[^.]*", "expected a finite number"),
        (r"Input should be greater than or equal to (\S+)", r"expected at least \1"),
        (r"Input should be less than or equal to (\S+)", r"expected at most \1"),
        (r"Value error, ", ""),
        (r"\bInput should be\b", "expected"),
    )
)
"""Words of the library that reads the command line, and ours for them."""


def code_of(receipts: Iterable[Receipt]) -> int:
    """Return the exit code for `receipts`.

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


def exit_code_of(kind: type[YizhanError]) -> int:
    """Return the exit code of a command that an error of the class `kind` ends."""
    return next(code for base, _, code in _WORDS if issubclass(kind, base))


def explain(error: YizhanError, *, as_json: bool) -> int:
    """Print `error` on standard error, in one line, and return its exit code."""
    word, code = next((word, code) for kind, word, code in _WORDS if isinstance(error, kind))
    _say(word, type(error).__name__, str(error), as_json=as_json)
    return code


def explain_failures(receipts: Sequence[Receipt], *, as_json: bool) -> None:
    """Print the first of `receipts` that failed or is unknown with its reason, and the number of the others."""
    bad = [receipt for receipt in receipts if receipt.state.final and not receipt.ok]
    if not bad:
        return
    first = bad[0]
    more = f" (and {len(bad) - 1} more of {len(receipts)})" if len(bad) > 1 else ""
    text = f"{first.delivery} to {first.target} is {first.state.value}: {first.detail or 'no reason is known'}{more}"
    name = "OutcomeUnknown" if first.state.value == "unknown" else first.error
    _say("delivery", first.error or "DeliveryFailed", text, as_json=as_json, remedy=remedy_for(name))


@asynccontextmanager
async def explained_when_stopped(
    look: Callable[[], Awaitable[Sequence[Receipt]]], *, as_json: bool
) -> AsyncIterator[None]:
    """Print the progress that `look` returns, and the command for the rest, if Ctrl-C or a signal ends the block."""
    try:
        yield
    except asyncio.CancelledError:
        receipts = await look()
        left = [receipt for receipt in receipts if not receipt.state.final]
        sent = sum(receipt.ok for receipt in receipts)
        half = sum(receipt.half_sent for receipt in receipts)
        also = f", {half:,} in part" if half else ""
        text = f"Stopped; {sent:,} of {len(receipts):,} sent so far{also}."
        _say(
            "stopped",
            "Stopped",
            f"{text} Continue with: {wait_for(left)}" if left else text,
            as_json=as_json,
            remedy="",
        )
        raise


def remedy_for(name: str) -> str:
    """Return the remedy for an error of the class `name`; empty when its text has one."""
    kind = getattr(errors, name, YizhanError)
    return next((remedy for one, remedy in _REMEDIES if issubclass(kind, one)), "")


def usage(text: str, hint: str, *, as_json: bool) -> int:
    """Print that the command line cannot be read."""
    for pattern, words in _VALIDATOR_WORDS:
        text = pattern.sub(words, text)
    _say("usage", "UsageError", text, as_json=as_json, remedy=hint)
    return USAGE


def _say(word: str, name: str, text: str, *, as_json: bool, remedy: str | None = None) -> None:
    """Print an error and, unless its text names a command, the remedy."""
    text = " ".join(text.split())
    remedy = remedy_for(name) if remedy is None else remedy
    if remedy and "yizhan " not in text:
        text = f"{text}{'' if text.endswith(('.', '?', '…')) else '.'} {remedy}"
    if as_json:
        line = json.dumps({"error": word, "class": name, "detail": text}, ensure_ascii=False)
    else:
        line = f"yizhan: {text}" if word in ("usage", "stopped") else f"yizhan: {name}: {text}"
    print(line, file=sys.stderr)
