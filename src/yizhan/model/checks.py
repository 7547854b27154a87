"""Checks of values that callers pass: text that UTF-8 can carry, and numbers within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from yizhan.errors import Refused

MAX_SECONDS = 1e11
"""Seconds; more than three thousand years, and far below the limits of clocks and stores."""


def check_text(text: str, what: str) -> str:
    """Return `text` if UTF-8 can carry it.

    Raises:
        Refused: it is not a string, or holds half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise Refused(f"{what} is text, not {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            f"{what} holds half a character at position {error.start}: a lone surrogate. The text was cut inside an "
            "emoji, or decoded from another encoding; give whole Unicode text."
        ) from error
    return text


def check_segment(segment: Struct) -> None:
    """Check every text inside a segment.

    Raises:
        Refused: as `check_text`.
    """
    tag = segment.__struct_config__.tag or type(segment).__name__
    for name in segment.__struct_fields__:
        # A path may have surrogates, which represent bytes of a file name in another encoding.
        if name != "media":
            _check_value(getattr(segment, name), f"The field '{name}' of the {tag}")
    if tag == "text":
        check_text(getattr(segment, "text"), "The field 'text' of the text")  # noqa: B009


def _check_value(value: Any, what: str) -> None:
    if isinstance(value, str):
        check_text(value, what)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            _check_value(key, what)
            _check_value(one, what)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _check_value(one, what)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            if name != "media":
                _check_value(getattr(value, name), what)


def check_seconds(seconds: float, what: str) -> float:
    """Return `seconds` as a float between 0 and `MAX_SECONDS`.

    Raises:
        Refused: it is no such number.
    """
    try:
        value = math.nan if isinstance(seconds, (bool, str)) else float(seconds)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= MAX_SECONDS:
        raise Refused(f"{what} is {_shown(seconds)}. Expected seconds, from 0 to {MAX_SECONDS:.0f}.")
    return value


def check_integer(number: int, what: str, least: int, most: int) -> int:
    """Return `number` if it is an integer from `least` to `most`.

    Raises:
        Refused: it is not.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise Refused(f"{what} is {_shown(number)}. Expected a whole number from {least} to {most}.")
    return int(number)


def _shown(value: object) -> str:
    # Not repr of the whole: Python refuses to print integers of thousands of digits.
    try:
        return repr(value)[:40]
    except ValueError:
        return "a very large number"
