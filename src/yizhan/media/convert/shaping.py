"""Shapes decoded frames for display: upright, with square pixels, in standard colors of limited range.

One chain of FFmpeg's filters for films and for their covers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av

Filter = tuple[str, str]
"""Name and arguments."""

LIMITED_RANGE = 1
_FULL_RANGE = 2
_PQ, _HLG = 16, 18
"""Transfer characteristics of HDR, by their numbers in ITU-T H.273."""
BT709 = 1
_BT2020 = 9
_WHITE_NITS, _PEAK_NITS = 203, 1000
"""The white of standard pictures within HDR (ITU-R BT.2408), and the brightest light that is told apart."""
_KNEE = 0.75
"""Share of the range up to which light stays as it is; above it, highlights are rolled off."""

# Display matrix (a, b, c, d of its two upper rows) to the filters that carry it out.
_TURNS: dict[tuple[int, int, int, int], list[Filter]] = {
    (-1, 0, 0, 1): [("hflip", "")],
    (1, 0, 0, -1): [("vflip", "")],
    (-1, 0, 0, -1): [("hflip", ""), ("vflip", "")],
    (0, 1, -1, 0): [("transpose", "1")],
    (0, -1, 1, 0): [("transpose", "2")],
    (0, 1, 1, 0): [("transpose", "0")],
    (0, -1, -1, 0): [("transpose", "3")],
}


_QUARTERS = {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
"""Degrees against the clock to the display matrix."""


@dataclass(frozen=True)
class Look:
    """The properties of a stream's frames that matter for display."""

    width: int
    height: int
    full_range: bool
    transfer: int
    wide_gamut: bool
    turn: tuple[Filter, ...]
    quarter: bool
    """Whether `turn` exchanges width and height."""
    pixel_aspect: float

    @classmethod
    def of(cls, stream: Any, frame: Any) -> Look:
        """Return the look of `frame`, the first of `stream`."""
        context = stream.codec_context
        matrix = _display_matrix(frame)
        aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio
        return cls(
            frame.width,
            frame.height,
            frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj"),
            int(frame.color_trc),
            int(frame.color_primaries) == _BT2020,
            tuple(_TURNS.get(matrix, ())),
            matrix[0] == 0,
            float(aspect) if aspect and 0.1 < float(aspect) < 10 else 1.0,
        )

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (_PQ, _HLG)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height with square pixels, before the turn. The shorter measure of a pixel is stretched."""
        if self.pixel_aspect >= 1:
            return round(self.width * self.pixel_aspect), self.height
        return self.width, round(self.height / self.pixel_aspect)

    def filters(self, size: tuple[int, int], pixels: str) -> list[Filter]:
        """Return the filters that show it at `size` (before the turn), as `pixels` (yuv420p, rgb24)."""
        range_ = "full" if self.full_range else "limited"
        scaled = f"{size[0]}:{size[1]}:in_range={range_}"
        steps = _standard_colors(self, scaled) if self.is_hdr else [("scale", f"{scaled}:out_range=limited")]
        return [*steps, ("format", pixels), ("setsar", "1"), *self.turn]


def _display_matrix(frame: Any) -> tuple[int, int, int, int]:
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV has no name for the newest kinds of side data (EXIF), and then reads none: only quarter turns are known.
        return _QUARTERS.get(round(frame.rotation) % 360, (1, 0, 0, 1))
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("<9i", bytes(data))
    return _sign(a), _sign(b), _sign(c), _sign(d)


def _sign(value: int) -> int:
    """Return the sign of a 16.16 number; less than a half is an oblique turn, which is not carried out."""
    return 0 if abs(value) < 1 << 15 else 1 if value > 0 else -1


def _standard_colors(look: Look, scaled: str) -> list[Filter]:
    """Bring HDR to BT.709: light out of the signal, the primaries of BT.709, highlights rolled off, a signal again."""
    light = _light_of_pq() if look.transfer == _PQ else _light_of_hlg()
    matrix = "bt2020" if look.wide_gamut else "bt709"
    steps: list[Filter] = [
        ("scale", f"{scaled}:in_color_matrix={matrix}:out_range=full"),
        ("format", "gbrp16le"),
        ("lutrgb", _each(light)),
    ]
    if look.wide_gamut:
        # ITU-R BT.2087, in linear light.
        rows = {"r": (1.6605, -0.5876, -0.0728), "g": (-0.1246, 1.1329, -0.0083), "b": (-0.0182, -0.1006, 1.1187)}
        mixed = ":".join(f"{to}{by}={v}" for to, row in rows.items() for by, v in zip("rgb", row, strict=True))
        steps.append(("colorchannelmixer", mixed))
    steps.append(("lutrgb", _each(_signal_of_light())))
    # As BT.709 from here on; the numbers of HDR would be kept otherwise.
    steps.append(("setparams", "color_primaries=bt709:color_trc=bt709:colorspace=gbr"))
    steps.append(("scale", "out_color_matrix=bt709:in_range=full:out_range=limited"))
    return steps


def _each(expression: str) -> str:
    quoted = expression.replace(",", r"\,")
    return f"r={quoted}:g={quoted}:b={quoted}"


def _light_of_pq() -> str:
    """SMPTE ST 2084: signal to light, as a share of the peak."""
    signal = "pow(val/maxval,1/78.84375)"
    nits = f"10000*pow(max({signal}-0.8359375,0)/(18.8515625-18.6875*{signal}),1/0.1593017578125)"
    return f"min({nits}/{_PEAK_NITS},1)*maxval"


def _light_of_hlg() -> str:
    """ARIB STD-B67: signal to scene light, then the light of a display of 1,000 nits (gamma 1.2)."""
    signal = "val/maxval"
    scene = f"if(lte({signal},0.5),{signal}*{signal}/3,(exp(({signal}-0.55991073)/0.17883277)+0.28466892)/12)"
    return f"pow({scene},1.2)*maxval"


def _signal_of_light() -> str:
    """Light to a BT.709 signal: linear up to the knee, rolled off to white at the peak, the display's gamma of 2.4."""
    light = f"(val/maxval*{_PEAK_NITS / _WHITE_NITS:.6f})"
    above = f"({light}-{_KNEE})"
    span = _PEAK_NITS / _WHITE_NITS - _KNEE
    room = 1 - _KNEE
    # A hyperbola through the knee with slope 1 that reaches white at the peak.
    bend = (span - room) / (span * room)
    rolled = f"({_KNEE}+{above}/(1+{bend:.6f}*{above}))"
    return f"pow(min(if(lte({light},{_KNEE}),{light},{rolled}),1),1/2.4)*maxval"


class Shaper:
    """Carries frames of one stream through the filters of its look."""

    def __init__(self, stream: Any, frame: Any, filters: Sequence[Filter]) -> None:
        self._graph = av.filter.Graph()
        last: Any = self._graph.add_buffer(template=stream, width=frame.width, height=frame.height, format=frame.format)
        for name, arguments in [*filters, ("buffersink", "")]:
            node = self._graph.add(name, arguments) if arguments else self._graph.add(name)
            last.link_to(node)
            last = node
        self._graph.configure()

    def shaped(self, frame: Any) -> Iterator[Any]:
        """Push `frame` and yield what comes out."""
        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
