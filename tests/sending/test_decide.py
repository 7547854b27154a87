"""The table of decisions after an error."""

from __future__ import annotations

import random

import pytest

from yizhan.errors import (
    ContentRefused,
    Duplicate,
    HandleExpired,
    LoginNeeded,
    MediaFormat,
    NotAllowed,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    StorageError,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.model import State
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

NOW = 1000.0
FIRST = FailedAttempt(1, repeatable=False, in_doubt=False, renewed=False, answers=False, now=NOW)
REPEATABLE = FailedAttempt(1, repeatable=True, in_doubt=False, renewed=False, answers=False, now=NOW)
ASKED = FailedAttempt(2, repeatable=True, in_doubt=True, renewed=False, answers=False, now=NOW)
ANSWER = FailedAttempt(1, repeatable=True, in_doubt=False, renewed=False, answers=True, now=NOW)
LAST = FailedAttempt(8, repeatable=False, in_doubt=False, renewed=False, answers=False, now=NOW)
RENEWED = FailedAttempt(1, repeatable=False, in_doubt=False, renewed=True, answers=False, now=NOW)


@pytest.mark.parametrize(
    ("error", "this", "expected"),
    [
        (Throttled(retry_after=7), FIRST, Retry(7, 7, counts=False)),
        (Throttled(retry_after=7, concerns="target"), FIRST, Retry(7, counts=False)),
        (HandleExpired(), FIRST, RenewHandles()),
        (HandleExpired(), RENEWED, GiveUp(State.FAILED, "also after a fresh upload")),
        (WindowClosed(opens_at=2000), FIRST, Hold(2000)),
        (WindowClosed(opens_at=NOW - 5), FIRST, Hold(NOW + 1)),
        (WindowClosed(), FIRST, Hold(NOW + 3600)),
        (WindowClosed(), ANSWER, GiveUp(State.FAILED, "the message it answers can no longer be answered")),
        (LoginNeeded(), FIRST, Pause()),
        (Unavailable(), LAST, GiveUp(State.FAILED, "after 8 attempts")),
        (OutcomeUnknown(), FIRST, GiveUp(State.UNKNOWN)),
        (OutcomeUnknown(), LAST, GiveUp(State.UNKNOWN)),
        (WireMismatch(), FIRST, GiveUp(State.UNKNOWN)),
        (Duplicate(), ASKED, Arrived()),
        (Duplicate(), REPEATABLE, GiveUp(State.FAILED, "the platform has another message under the same key")),
        (NotAllowed(), FIRST, GiveUp(State.FAILED)),
        (TargetGone(), FIRST, GiveUp(State.FAILED)),
        (ContentRefused(), FIRST, GiveUp(State.FAILED)),
        (Rejected(), FIRST, GiveUp(State.FAILED)),
        (MediaFormat(), FIRST, GiveUp(State.FAILED)),
        (ValueError(), FIRST, GiveUp(State.FAILED, "an error inside yizhan")),
    ],
)
def test_every_error_has_its_decision(error: Exception, this: FailedAttempt, expected: Decision) -> None:
    assert expected == decide(error, this, Policy(), random.Random(1))


@pytest.mark.parametrize(("number", "least", "most"), [(1, 0.5, 1), (2, 1, 2), (4, 4, 8), (7, 32, 64)])
def test_waiting_doubles_and_is_spread(number: int, least: float, most: float) -> None:
    delays = set()
    for seed in range(50):
        this = FailedAttempt(number, repeatable=False, in_doubt=False, renewed=False, answers=False, now=NOW)
        decision = decide(Unavailable(), this, Policy(), random.Random(seed))
        assert isinstance(decision, Retry)
        delays.add(decision.delay)

    assert least <= min(delays) < max(delays) <= most
    assert 40 < len(delays)


@pytest.mark.parametrize("error", [OutcomeUnknown(), WireMismatch()])
def test_an_unknown_outcome_is_resent_only_under_a_key_that_the_wire_recognizes(error: Exception) -> None:
    assert isinstance(decide(error, REPEATABLE, Policy(), random.Random(1)), ResendSameKey)
    assert isinstance(decide(error, FIRST, Policy(), random.Random(1)), GiveUp)


def test_resending_ends_as_unknown_and_never_as_failed() -> None:
    this = FailedAttempt(8, repeatable=True, in_doubt=True, renewed=False, answers=False, now=NOW)

    assert GiveUp(State.UNKNOWN) == decide(OutcomeUnknown(), this, Policy(), random.Random(1))
    assert GiveUp(State.UNKNOWN, "after 8 attempts") == decide(Unavailable(), this, Policy(), random.Random(1))


@pytest.mark.parametrize(
    "error",
    [
        NotAllowed(),
        TargetGone(),
        ContentRefused(),
        Rejected(),
        MediaFormat(),
        PlatformError("no"),
        ValueError(),
        WindowClosed(),
        WindowClosed(opens_at=2000),
        StorageError("gone"),
    ],
)
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_delivery_in_doubt_never_fails_because_its_resend_was_refused(error: Exception, repeatable: bool) -> None:
    asked = FailedAttempt(8, repeatable=repeatable, in_doubt=True, renewed=True, answers=True, now=NOW)

    decision = decide(error, asked, Policy(), random.Random(1))

    assert isinstance(decision, GiveUp)
    assert State.UNKNOWN == decision.state


def test_throttling_without_a_time_backs_off_exponentially() -> None:
    delays = []
    for throttled in range(6):
        this = FailedAttempt(
            1, repeatable=False, in_doubt=False, renewed=False, answers=False, now=NOW, throttled=throttled
        )
        decision = decide(Throttled(retry_after=0), this, Policy(), random.Random(1))
        assert isinstance(decision, Retry)
        delays.append(decision.delay)

    assert sorted(delays) == delays
    assert delays[0] > 0.4
    assert delays[-1] > 15
