"""The protocol between pool and worker: JSON, one message a line."""

from __future__ import annotations

from msgspec import Struct

THREADS = 4
"""Threads of one decoder or encoder. Fixed, since the output depends on their number."""


class ConversionLimits(Struct, frozen=True):
    """Limits of one conversion."""

    seconds: float = 300.0
    """Wall-clock time. Processor time is limited to what `THREADS` can use in it."""
    memory_bytes: int = 3 << 29
    """Address space of the worker, including libraries."""
    result_bytes: int = 1 << 30
    """The largest file that may be written."""
    pixels: int = 120_000_000
    """Pixels of one decoded picture."""
    all_pixels: int = 600_000_000
    """Pixels of all frames of an animation."""
    media_seconds: int = 4 * 3600
    """Duration of a sound or video."""


class Job(Struct, frozen=True):
    recipe: str
    source: str
    result: str
    limits: ConversionLimits


class Conversion(Struct, frozen=True, omit_defaults=True):
    """The result. `same`: the media fit unchanged, and nothing was written."""

    same: bool = False
    width: int = 0
    height: int = 0
    duration_ms: int = 0
    changes: tuple[str, ...] = ()
    """The differences that a person may notice, each in a few words, for the receipt."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """A line from the worker: progress, or the result."""

    step: str = ""
    share: float = 0.0
    """Share done, from 0 to 1."""
    made: Conversion | None = None
    error: str = ""
    too_large: bool = False
    as_file: bool = False
    machine: bool = False
    """Whether this machine is at fault and not the media: a full disk, a library that does not load."""


class Refusal(Exception):
    """A conversion is impossible; the text says why and what would work.

    `as_file`: the media seem intact and may go as a plain file.
    """

    def __init__(self, text: str, *, too_large: bool = False, as_file: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large
        self.as_file = as_file
