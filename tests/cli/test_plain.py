"""What others wrote does not steer the terminal."""

from __future__ import annotations

import pytest

from yizhan.cli.output import Output, plain


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("早上好 👨‍👩‍👧 ok", "早上好 👨‍👩‍👧 ok"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2Jgone\x1b]0;title\x07", "[2Jgone]0;title"),
        ("over\rwritten\b\b", "overwritten"),
        ("sent\u202etnes\u202c\u2066!\u2069", "senttnes!"),
        ("\x9b31mred", "31mred"),
        ("lone \ud83d surrogate", "lone  surrogate"),
    ],
)
def test_only_printable_characters_are_printed(given: str, shown: str) -> None:
    assert shown == plain(given)


def test_lines_and_tables_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.line("a\x1b[31mb")
    out.table(("who", "what"), [("x\x1b[0m", "y\r")])

    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\r" not in said
    assert "a[31mb" in said
