"""The forecast: when sends begin under limits, one after another."""

from __future__ import annotations

import pytest

from yizhan.model import Target
from yizhan.platforms.adapter import Limit
from yizhan.sending.forecast import EXACT, Forecast, Foretold
from yizhan.sending.quota import DAY, Budget

MINUTE = Limit("minute", "account", "m", 20, 60.0)
ANN, BEN = Target("fake.me", "user", "ann"), Target("fake.me", "user", "ben")


def people(count: int) -> list[Target]:
    return [Target("fake.me", "user", f"u{n}") for n in range(count)]


def begins(forecast: Forecast, limits: list[Limit], targets: list[Target], parts: int = 1) -> list[float | None]:
    return [forecast.next(limits, target, None, parts).at for target in targets]


def test_sends_without_a_limit_begin_at_once() -> None:
    assert [1000.0] * 3 == begins(Forecast(Budget(), 1000.0), [], people(3))


def test_sends_under_a_pace_begin_as_its_window_has_room() -> None:
    assert [0.0] * 20 + [60.0] * 20 + [120.0] * 5 == begins(Forecast(Budget(), 0.0), [MINUTE], people(45))


def test_every_message_that_waits_names_the_limit() -> None:
    forecast = Forecast(Budget(), 0.0)

    found = [forecast.next([MINUTE], target, None, 1) for target in people(25)]

    assert [None] * 20 + [MINUTE] * 5 == [one.limit for one in found]


def test_a_message_of_several_parts_begins_when_there_is_room_for_all_of_them() -> None:
    assert [0.0] * 6 + [60.0] * 6 == begins(Forecast(Budget(), 0.0), [MINUTE], people(12), parts=3)


def test_sends_of_the_past_count_and_the_budget_stays_as_it_was() -> None:
    budget = Budget()
    for _ in range(15):
        budget.spend([MINUTE], ANN, None, 70.0)

    assert [100.0] * 5 + [130.0] * 5 == begins(Forecast(budget, 100.0), [MINUTE], people(10))
    assert [100.0] * 5 + [130.0] * 5 == begins(Forecast(budget, 100.0), [MINUTE], people(10))


def test_a_message_that_waits_for_its_own_target_keeps_no_other_waiting() -> None:
    budget, daily = Budget(), Limit("daily", "target", "d", 1, DAY)
    budget.spend([daily], ANN, None, 50.0)
    forecast = Forecast(budget, 100.0)

    assert [DAY + 50.0, 100.0] == begins(forecast, [daily, MINUTE], [ANN, BEN])
    assert [2 * DAY + 50.0] == begins(forecast, [daily, MINUTE], [ANN])


def test_a_window_that_only_the_other_side_opens_has_no_time() -> None:
    shut = Limit("shut", "target", "s", 0)

    assert Foretold(None, shut) == Forecast(Budget(), 0.0).next([shut, MINUTE], ANN, None, 1)


def test_times_are_moved_out_of_quiet_hours() -> None:
    forecast = Forecast(Budget(), 0.0, lambda at: 500.0 if 60.0 <= at < 500.0 else at)

    assert [0.0] * 20 + [500.0] * 20 + [560.0] == begins(forecast, [MINUTE], people(41))


def test_many_that_go_before_are_passed_over_at_the_pace_of_the_limit() -> None:
    forecast = Forecast(Budget(), 0.0)
    forecast.pass_over([MINUTE], ANN, EXACT + 20_000)

    (at,) = begins(forecast, [MINUTE], [BEN])

    assert at == pytest.approx((EXACT + 20_000) / 20 * 60, abs=60)


@pytest.mark.parametrize("seconds", [0.1, 1 / 3, 59.999999, 86400.0])
def test_rounding_finds_no_window_closed_for_ever(seconds: float) -> None:
    limit = Limit("odd", "account", "o", 1, seconds)

    times = [at for at in begins(Forecast(Budget(), 1_790_000_000.1), [limit], people(50)) if at is not None]

    assert 50 == len(times)
    assert times[-1] == pytest.approx(1_790_000_000.1 + 49 * seconds, abs=0.1)
