"""What the two ends of the pool say to each other, one JSON line each."""

from __future__ import annotations

from msgspec import Struct

THREADS = 4
"""Of one decoder or encoder, on any machine: what comes out depends on their number."""


class ConversionLimits(Struct, frozen=True):
    """What one conversion may cost."""

    seconds: float = 300.0
    """Of the clock. Processor time is capped at what `THREADS` could use of it."""
    memory_bytes: int = 3 << 29
    """Address space of the worker, libraries included."""
    result_bytes: int = 1 << 30
    """The largest file that may be written."""
    pixels: int = 120_000_000
    """Of one picture, when decoded."""
    all_pixels: int = 600_000_000
    """Of all frames of an animation together."""
    media_seconds: int = 4 * 3600
    """How long a sound or video may play."""


class Job(Struct, frozen=True):
    recipe: str
    source: str
    result: str
    limits: ConversionLimits


class Conversion(Struct, frozen=True, omit_defaults=True):
    """What came out. `same`: the media fit as they are, nothing was written."""

    same: bool = False
    width: int = 0
    height: int = 0
    duration_ms: int = 0
    changes: tuple[str, ...] = ()
    """What a person would notice beside the format, in words for the receipt."""


class Answer(Struct, frozen=True, omit_defaults=True):
    """A line from the worker: where it is, or how it ended."""

    step: str = ""
    share: float = 0.0
    """How much is done, from 0 to 1."""
    made: Conversion | None = None
    error: str = ""
    too_large: bool = False
    as_file: bool = False
    machine: bool = False
    """Not the media are at fault, but this machine: no room, a library that does not load."""


class Refusal(Exception):
    """A conversion that cannot be done; the text says why and what would work.

    `as_file`: the media are sound, as far as can be told, and may go as a plain file.
    """

    def __init__(self, text: str, *, too_large: bool = False, as_file: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large
        self.as_file = as_file
