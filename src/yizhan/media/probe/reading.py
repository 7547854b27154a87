"""Random access to a file for format detection."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, Any

from yizhan.model import Kind

HEAD = 4096
"""Bytes that are read from the beginning."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Format and measures of media; unknown measures are 0."""

    kind: Kind
    mime: str
    format: str
    width: int = 0
    height: int = 0
    duration_ms: int = 0


class FileReader:
    """Random access to the bytes of a file. Reading beyond its end returns nothing."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self.size = size
        self.head = self.at(0, HEAD)

    def at(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`; fewer at the end of the file."""
        if not 0 <= offset < self.size or count <= 0:
            return b""
        self._file.seek(offset)
        data = self._file.read(count)
        while len(data) < count and (more := self._file.read(count - len(data))):
            data += more
        return data

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """Read by a struct layout.

        Raises:
            struct.error: the file is too short.
        """
        return struct.unpack(layout, self.at(offset, struct.calcsize(layout)))


def measured(found: Findings, measure: Callable[[], dict[str, Any]]) -> Findings:
    """Return `found` with the values of `measure`, or unchanged if the header is truncated or invalid."""
    try:
        values: dict[str, Any] = {name: int(value) for name, value in measure().items()}
    except (struct.error, IndexError, ValueError, ArithmeticError, TypeError):
        return found
    return replace(found, **{name: value for name, value in values.items() if 0 <= value < 1 << 31})
