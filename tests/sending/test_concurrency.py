"""The concurrency of a broadcast beside urgent sends."""

from __future__ import annotations

from yizhan.sending.concurrency import AdaptiveConcurrency


def served(width: AdaptiveConcurrency, sends: int, seconds: float, at_once: int) -> None:
    """Send as many at a time as allowed to a platform that serves `at_once` in `seconds` and the rest behind them."""
    for _ in range(sends):
        width.record(0.0, seconds * max(1.0, width.now / at_once))


def test_concurrency_grows_quickly_at_a_slow_platform_with_room() -> None:
    width = AdaptiveConcurrency(4, 60)
    widths = []
    for _ in range(5):
        widths.append(width.now)
        served(width, width.now, 0.2, at_once=1000)

    assert [4, 8, 16, 32, 60] == widths


def test_concurrency_settles_at_the_number_that_a_busy_platform_serves() -> None:
    width = AdaptiveConcurrency(4, 60)
    served(width, 10_000, 0.003, at_once=10)

    assert 10 <= width.now <= 16


def test_concurrency_never_falls_below_its_minimum() -> None:
    width = AdaptiveConcurrency(4, 60)
    width.record(0.0, 0.001)
    for _ in range(1000):
        width.record(0.0, 1.0)

    assert 4 == width.now


def test_sends_that_began_before_a_restart_of_the_measurement_do_not_count() -> None:
    width = AdaptiveConcurrency(4, 60)
    width.restart(100.0)
    for _ in range(60):
        width.record(99.9, 100.1)
    early = width.now
    width.record(100.0, 100.003)

    assert (4, 5) == (early, width.now)
