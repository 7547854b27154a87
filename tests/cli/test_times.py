"""Times that people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from yizhan.cli.times import seconds_in, time_at
from yizhan.errors import Refused

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).astimezone()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), (" 1.5H ", 5400)]
)
def test_a_length_of_time(text: str, seconds: float) -> None:
    assert seconds == seconds_in(text)


@pytest.mark.parametrize("text", ["", "30", "m", "1w", "-5m", "1h 30m", "half an hour", "1.h"])
def test_text_that_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Write 90s"):
        seconds_in(text)


def test_a_date_with_a_zone_means_that_zone() -> None:
    assert datetime(2026, 12, 1, 1, 0, tzinfo=UTC) == time_at("2026-12-01T09:00+08:00", NOON)


def test_a_date_without_a_zone_means_this_machines() -> None:
    assert datetime(2026, 12, 1, 9, 0).astimezone() == time_at("2026-12-01 09:00", NOON)


def test_a_clock_time_is_the_next_one() -> None:
    later, earlier = NOON + timedelta(hours=1), NOON - timedelta(hours=1)

    assert later == time_at(later.strftime("%H:%M"), NOON)
    assert earlier + timedelta(days=1) == time_at(earlier.strftime("%H:%M:%S"), NOON)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "9", "2026-13-01", "2026-12-01T09:00+99:00"])
def test_a_value_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Write 2026-12-01T09:00"):
        time_at(text, NOON)
