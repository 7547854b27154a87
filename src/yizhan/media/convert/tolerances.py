"""How far a converted medium may be from its source: the one table, for the notes of receipts and for the tests."""

from __future__ import annotations

from msgspec import Struct


class Tolerances(Struct, frozen=True):
    """The largest differences that a person does not notice, and that formats force."""

    side_pixels: int = 1
    """The sides of H.264 are even."""
    aspect: float = 0.03
    """Share by which width to height may differ."""
    length_ms: int = 120
    """Encoders of sound pad both ends, up to a frame of MP3 or AAC each."""
    frame_ms: int = 10
    """A GIF counts hundredths of a second, and browsers take less than two of them for ten."""
    color_levels: int = 12
    """Of 255: what a lossy encoder may change in an even area."""
    gray_levels: int = 4
    """Of 255: grays of HDR against the tone curve."""
    pitch: float = 0.02
    """Share by which the pitch of a sound may differ."""


TOLERANCES = Tolerances()
