"""Width and height of pictures, from their headers."""

from __future__ import annotations

import struct
from typing import Any

from yizhan.media.probe.reading import Findings, Window, measured

MAX_SEGMENTS = 500
"""JPEG segments or TIFF entries looked at before giving up."""


def png(window: Window) -> Findings:
    def size() -> dict[str, Any]:
        return dict(zip(("width", "height"), window.unpack(">II", 16), strict=True))

    return measured(Findings("image", "image/png", "png"), size)


def gif(window: Window) -> Findings:
    def size() -> dict[str, Any]:
        return dict(zip(("width", "height"), window.unpack("<HH", 6), strict=True))

    return measured(Findings("image", "image/gif", "gif"), size)


def is_bmp(window: Window) -> bool:
    """`BM` alone is too short a signature: the size of the second header must be one that exists."""
    return len(window.head) >= 26 and struct.unpack("<I", window.head[14:18])[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def bmp(window: Window) -> Findings:
    def size() -> dict[str, Any]:
        (header,) = window.unpack("<I", 14)
        width, height = window.unpack("<HH" if header == 12 else "<ii", 18)
        return {"width": abs(width), "height": abs(height)}

    return measured(Findings("image", "image/bmp", "bmp"), size)


def jpeg(window: Window) -> Findings:
    return measured(Findings("image", "image/jpeg", "jpeg"), lambda: _frame_header(window))


def _frame_header(window: Window) -> dict[str, Any]:
    offset = 2
    for _ in range(MAX_SEGMENTS):
        mark, code, length = window.unpack(">BBH", offset)
        if mark != 0xFF:
            raise ValueError("no marker where one must be")
        if code == 0xFF:  # filling
            offset += 1
        elif 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = window.unpack(">HH", offset + 5)
            return {"width": width, "height": height}
        elif code in (0x01, *range(0xD0, 0xD9)):
            offset += 2
        else:
            offset += 2 + max(length, 2)
    raise ValueError("no frame header")


def webp(window: Window) -> Findings:
    def size() -> dict[str, Any]:
        form = window.head[12:16]
        if form == b"VP8X":
            wide, high = (int.from_bytes(window.head[at : at + 3], "little") + 1 for at in (24, 27))
        elif form == b"VP8L":
            (bits,) = window.unpack("<I", 21)
            wide, high = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        else:
            wide, high = (value & 0x3FFF for value in window.unpack("<HH", 26))
        return {"width": wide, "height": high}

    return measured(Findings("image", "image/webp", "webp"), size)


def tiff(window: Window) -> Findings:
    return measured(Findings("image", "image/tiff", "tiff"), lambda: _tiff_size(window))


def _tiff_size(window: Window) -> dict[str, Any]:
    order = "<" if window.head[:2] == b"II" else ">"
    (offset,) = window.unpack(order + "I", 4)
    (count,) = window.unpack(order + "H", offset)
    found = {}
    for index in range(min(count, MAX_SEGMENTS)):
        tag, kind = window.unpack(order + "HH", offset + 2 + index * 12)
        if tag in (256, 257):
            (value,) = window.unpack(order + ("H" if kind == 3 else "I"), offset + 2 + index * 12 + 8)
            found["width" if tag == 256 else "height"] = value
    return found
