"""Values as a configuration writes them: spans of time, sizes, lists, one word of several."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS: Mapping[str, float] = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)", re.IGNORECASE)
_BYTES: Mapping[str, int] = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


class Span(float):
    """Seconds, written as `90s`, `30m`, `12h`, `30d`, `2w`, or `forever` (infinity)."""

    @classmethod
    def read(cls, raw: object) -> Span:
        """Return the span that `raw` writes.

        Raises:
            ValueError: the text is malformed; the error says what is expected.
        """
        text = str(raw).strip()
        if text == "forever":
            return FOREVER
        found = _SPAN.fullmatch(text)
        if found is None:
            raise ValueError("a span such as 12h, 30d, 2w, or forever")
        return cls(float(found[1]) * _SECONDS[found[2]])

    def __str__(self) -> str:
        if self == FOREVER:
            return "forever"
        unit = next((unit for unit in "dhm" if self and not self % _SECONDS[unit]), "s")
        return f"{self / _SECONDS[unit]:g}{unit}"

    __repr__ = __str__


FOREVER = Span("inf")


class Size(int):
    """Bytes, written as a number or as `500MB`, `2GB` (powers of 1000)."""

    @classmethod
    def read(cls, raw: object) -> Size:
        """Return the size that `raw` writes.

        Raises:
            ValueError: the text is malformed; the error says what is expected.
        """
        text = str(raw).strip()
        if text.isdecimal():
            return cls(text)
        found = _SIZE.fullmatch(text)
        if found is None:
            raise ValueError("bytes as a number, or a size such as 500MB or 2GB")
        return cls(float(found[1]) * _BYTES[found[2].lower()])


def read_value(hint: Any, raw: object) -> Any:
    """Return `raw`, a value of a TOML file or the text of a variable, as the type `hint` names.

    Raises:
        ValueError: the text is malformed; the error says what is expected.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return read_value(arguments[0], raw)
    if origin in (Union, types.UnionType):
        return read_value(next(one for one in arguments if one is not type(None)), raw)
    if origin is Literal:
        return _word(arguments, raw)
    if origin is tuple:
        return _list(arguments[0], raw)
    if hint in (Span, Size):
        return hint.read(raw)
    if hint is int:
        return _number(raw)
    if not isinstance(raw, str):
        raise ValueError("a text in quotes")
    return Path(raw).expanduser() if hint is Path else raw


def _word(words: tuple[str, ...], raw: object) -> str:
    text = str(raw).strip().lower()
    if text not in words:
        raise ValueError(f"one of {', '.join(words)}")
    return text


def _list(hint: Any, raw: object) -> tuple[Any, ...]:
    if isinstance(raw, str):
        raw = [one.strip() for one in raw.split(",") if one.strip()]
    if not isinstance(raw, list):
        raise ValueError('a list such as ["one", "two"]')
    return tuple(read_value(hint, one) for one in raw)


def _number(raw: object) -> int:
    if isinstance(raw, bool) or not str(raw).strip().isdecimal():
        raise ValueError("a whole number")
    return int(str(raw))
