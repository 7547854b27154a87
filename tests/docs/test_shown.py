"""The outputs that pages show have the structure of a run; their numbers are those of the run they were taken from."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.docs.pages import marked, name_of
from tests.docs.shown import SOMETIMES, always, demo, ratio, ratios_zh, shape, shapes

DEMOS = [pytest.param(block, id=name_of(block.page)) for block in marked("shown") if block.name == "demo"]
RATIOS = [pytest.param(block, id=name_of(block.page)) for block in marked("shown") if block.name == "ratios"]


@cache
def small_demo() -> tuple[str, ...]:
    return tuple(shapes(demo("--scale", "0.1")))


@pytest.mark.xdist_group("demo")
@pytest.mark.parametrize("block", DEMOS)
def test_the_demo_is_shown_line_by_line_as_it_runs(block) -> None:  # type: ignore[no-untyped-def]
    shown, run = shapes(block.text), list(small_demo())

    assert always(run) == always(shown), "show a run of today: python -m tests.docs.shown --write demo"
    assert [] == [line for line in shown if SOMETIMES.search(line) and not _plausible(line, run)]


def _plausible(line: str, run: list[str]) -> bool:
    """A line that this run may not have had; where it had one of the kind, it must be the same."""
    kind = SOMETIMES.search(line)
    alike = [other for other in run if kind and kind[0] in other]
    return not alike or line in alike


@pytest.mark.parametrize("block", DEMOS)
def test_the_demo_that_is_shown_went_well(block) -> None:  # type: ignore[no-untyped-def]
    claims = re.findall(r"^  (ok  |FAIL) ", block.text, re.MULTILINE)

    assert ["ok  "] * len(claims) == claims
    assert len(claims) >= 6
    assert "All of it was checked" in block.text


@pytest.mark.parametrize("block", RATIOS)
def test_speed_is_shown_in_ratios_alone(block) -> None:  # type: ignore[no-untyped-def]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in block.text.splitlines()[2:]]

    assert rows
    for what, value, wanted in rows:
        assert "÷" in what or what == "uploads per scope"
        assert re.fullmatch(r"\d+\.\d\d", value)
        assert re.fullmatch(r"[≤≥] [\d.]+|–", wanted)


def test_the_chinese_page_shows_the_same_ratios() -> None:
    (english,) = [block.text for block in marked("shown") if block.name == "ratios"]
    (chinese,) = [block.text for block in marked("shown") if block.name == "ratios-zh"]

    assert ratios_zh(english) == chinese


def test_a_shape_has_no_numbers_in_it() -> None:
    assert "# QQ users" == shape("    500 QQ users")
    assert shape("  on disk: 503 sent, 36 in flight") == shape("  on disk: 1,203 sent, 7 in flight")
    assert "read back: ID ID" == shape("read back: 4b3458af9921 6b4a8db4e415")


def test_a_measurement_is_read_without_its_absolute_figures() -> None:
    line = f"{'import yizhan ÷ bare Python':<66} {2.3:>8.2f}  {'≤ 60 ms over':<14} {'yes':<4} 18.3 ms over"

    assert ("import yizhan ÷ bare Python", "2.30", "–") == ratio(line)
    assert ratio("client ÷ raw") is None
