"""States, hours, pace and pauses of a broadcast, as plain values."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from yizhan.broadcasts.options import BroadcastOptions, PauseAfter, QuietHours
from yizhan.broadcasts.states import BroadcastState, after
from yizhan.errors import Refused

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-12-01 21:59", None),
        ("2026-12-01 22:00", "2026-12-02 08:00"),
        ("2026-12-01 23:59", "2026-12-02 08:00"),
        ("2026-12-02 00:00", "2026-12-02 08:00"),
        ("2026-12-02 07:59", "2026-12-02 08:00"),
        ("2026-12-02 08:00", None),
        ("2026-12-02 12:00", None),
    ],
)
def test_quiet_hours_over_midnight_end_in_the_morning(now: str, end: str | None) -> None:
    quiet = QuietHours("22:00", "08:00")

    assert (None if end is None else at(end)) == quiet.until(at(now))


@pytest.mark.parametrize(
    ("now", "end"), [("2026-12-01 11:59", None), ("2026-12-01 12:00", "2026-12-01 14:00"), ("2026-12-01 14:00", None)]
)
def test_quiet_hours_within_a_day(now: str, end: str | None) -> None:
    assert (None if end is None else at(end)) == QuietHours("12:00", "14:00").until(at(now))


def test_quiet_hours_follow_the_clock_of_their_zone_when_it_changes() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 10, 24, 23, 0, tzinfo=berlin).timestamp()

    end = QuietHours("22:00", "08:00", "Europe/Berlin").until(before)

    assert datetime(2026, 10, 25, 8, 0, tzinfo=berlin).timestamp() == end
    assert end is not None
    assert 10 * 3600 == end - before, "the night of the change is an hour longer"


def test_an_unknown_zone_is_refused_in_words() -> None:
    with pytest.raises(Refused, match=r"no time zone 'Asia/Beijng'\. Use a name such as"):
        QuietHours("22:00", "08:00", "Asia/Beijng").until(0.0)


@pytest.mark.parametrize("hours", [{"from": "24:00", "to": "08:00"}, {"from": "8:00", "to": "9:00"}, {"to": "08:00"}])
def test_hours_that_are_none_are_refused(hours: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(hours, QuietHours)


@pytest.mark.parametrize(
    ("failed", "ended", "in_a_row", "words"),
    [
        (0, 1000, 0, ""),
        (3, 49, 3, ""),
        (3, 50, 3, "3 of 50 failed (6 %, the limit is 5 %)"),
        (2, 50, 2, ""),
        (19, 19, 19, ""),
        (20, 20, 20, "20 failed in a row"),
    ],
)
def test_a_broadcast_pauses_when_too_much_fails(failed: int, ended: int, in_a_row: int, words: str) -> None:
    assert words == PauseAfter().reached(failed, ended, in_a_row)


@pytest.mark.parametrize(
    ("late", "seconds", "too_late"),
    [(3600.0, 3600, False), (3600.0, 3601, True), ("send", 10**6, False), ("ask", 0, False), ("ask", 60, True)],
)
def test_a_start_that_was_missed_waits_for_a_person_after_a_while(late: object, seconds: int, too_late: bool) -> None:
    options = msgspec.convert({"late": late}, BroadcastOptions)

    assert too_late == options.too_late(1000.0, 1000.0 + seconds)


@pytest.mark.parametrize(
    ("action", "state", "result"),
    [
        ("start", "draft", "running"),
        ("start", "scheduled", "running"),
        ("schedule", "draft", "scheduled"),
        ("unschedule", "scheduled", "draft"),
        ("pause", "running", "paused"),
        ("resume", "paused", "running"),
        ("cancel", "draft", "cancelled"),
        ("cancel", "paused", "cancelled"),
        ("recall", "done", "recalling"),
        ("recall", "running", "recalling"),
        ("recall", "cancelled", "recalling"),
    ],
)
def test_a_call_leads_from_one_state_to_the_next(action: str, state: str, result: str) -> None:
    assert result == after(action, BroadcastState(state), "b1")


@pytest.mark.parametrize(
    ("action", "state", "possible"),
    [
        ("start", "running", "Possible now: pause, cancel, recall."),
        ("resume", "running", "Possible now: pause, cancel, recall."),
        ("start", "done", "Possible now: recall."),
        ("cancel", "recalled", "Nothing can be done with it any more."),
        ("recall", "draft", "Possible now: start, schedule, cancel."),
    ],
)
def test_a_call_that_does_not_fit_the_state_is_refused_with_those_that_do(
    action: str, state: str, possible: str
) -> None:
    with pytest.raises(Refused) as caught:
        after(action, BroadcastState(state), "b1")

    assert f"Broadcast b1 is {state}; {action} is for one that is" in str(caught.value)
    assert str(caught.value).endswith(possible)
