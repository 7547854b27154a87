"""How wide a broadcast goes beside somebody who waits."""

from __future__ import annotations

from yizhan.sending.concurrency import AdaptiveConcurrency


def served(width: AdaptiveConcurrency, sends: int, seconds: float, at_once: int) -> None:
    """Send as many at a time as are let, to somebody who serves `at_once` in `seconds` and the others behind them."""
    for _ in range(sends):
        width.record(0.0, seconds * max(1.0, width.now / at_once))


def test_a_road_that_is_long_but_empty_is_wide_after_a_few_turns() -> None:
    width = AdaptiveConcurrency(4, 60)
    widths = []
    for _ in range(5):
        widths.append(width.now)
        served(width, width.now, 0.2, at_once=1000)

    assert [4, 8, 16, 32, 60] == widths


def test_a_crowded_one_is_as_wide_as_it_carries_without_much_waiting() -> None:
    width = AdaptiveConcurrency(4, 60)
    served(width, 10_000, 0.003, at_once=10)

    assert 10 <= width.now <= 16


def test_it_is_never_narrower_than_the_least() -> None:
    width = AdaptiveConcurrency(4, 60)
    width.record(0.0, 0.001)
    for _ in range(1000):
        width.record(0.0, 1.0)

    assert 4 == width.now


def test_what_left_before_it_began_tells_nothing() -> None:
    width = AdaptiveConcurrency(4, 60)
    width.restart(100.0)
    for _ in range(60):
        width.record(99.9, 100.1)
    early = width.now
    width.record(100.0, 100.003)

    assert (4, 5) == (early, width.now)
