"""Width and height of pictures, from their headers."""

from __future__ import annotations

import struct
from typing import Any

from yizhan.media.probe.reading import FileReader, Findings, measured

MAX_SEGMENTS = 500
"""JPEG segments, PNG chunks or TIFF entries that are read."""


def png(reader: FileReader) -> Findings:
    def size() -> dict[str, Any]:
        return dict(zip(("width", "height"), reader.unpack(">II", 16), strict=True))

    still = Findings("image", "image/png", "png")
    return measured(Findings("image", "image/apng", "apng") if _is_animated(reader) else still, size)


def _is_animated(reader: FileReader) -> bool:
    """Whether a PNG is an animation: the chunk that says so stands before the first pixels."""
    offset = 8
    for _ in range(MAX_SEGMENTS):
        head = reader.at(offset, 8)
        if head[4:] == b"acTL":
            return True
        if len(head) < 8 or head[4:] == b"IDAT":
            break
        offset += 12 + int.from_bytes(head[:4], "big")
    return False


def gif(reader: FileReader) -> Findings:
    def size() -> dict[str, Any]:
        return dict(zip(("width", "height"), reader.unpack("<HH", 6), strict=True))

    return measured(Findings("image", "image/gif", "gif"), size)


def is_bmp(reader: FileReader) -> bool:
    """Whether `BM` begins a BMP: the size of the second header must be a known one."""
    return len(reader.head) >= 26 and struct.unpack("<I", reader.head[14:18])[0] in (12, 16, 40, 52, 56, 64, 108, 124)


def bmp(reader: FileReader) -> Findings:
    def size() -> dict[str, Any]:
        (header,) = reader.unpack("<I", 14)
        width, height = reader.unpack("<HH" if header == 12 else "<ii", 18)
        return {"width": abs(width), "height": abs(height)}

    return measured(Findings("image", "image/bmp", "bmp"), size)


def jpeg(reader: FileReader) -> Findings:
    return measured(Findings("image", "image/jpeg", "jpeg"), lambda: _frame_header(reader))


def _frame_header(reader: FileReader) -> dict[str, Any]:
    offset = 2
    for _ in range(MAX_SEGMENTS):
        mark, code, length = reader.unpack(">BBH", offset)
        if mark != 0xFF:
            raise ValueError("no marker where one must be")
        if code == 0xFF:  # filling
            offset += 1
        elif 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            height, width = reader.unpack(">HH", offset + 5)
            return {"width": width, "height": height}
        elif code in (0x01, *range(0xD0, 0xD9)):
            offset += 2
        else:
            offset += 2 + max(length, 2)
    raise ValueError("no frame header")


def webp(reader: FileReader) -> Findings:
    def size() -> dict[str, Any]:
        form = reader.head[12:16]
        if form == b"VP8X":
            wide, high = (int.from_bytes(reader.head[at : at + 3], "little") + 1 for at in (24, 27))
        elif form == b"VP8L":
            (bits,) = reader.unpack("<I", 21)
            wide, high = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        else:
            wide, high = (value & 0x3FFF for value in reader.unpack("<HH", 26))
        return {"width": wide, "height": high}

    return measured(Findings("image", "image/webp", "webp"), size)


def tiff(reader: FileReader) -> Findings:
    return measured(Findings("image", "image/tiff", "tiff"), lambda: _tiff_size(reader))


def _tiff_size(reader: FileReader) -> dict[str, Any]:
    order = "<" if reader.head[:2] == b"II" else ">"
    (offset,) = reader.unpack(order + "I", 4)
    (count,) = reader.unpack(order + "H", offset)
    found = {}
    for index in range(min(count, MAX_SEGMENTS)):
        tag, kind = reader.unpack(order + "HH", offset + 2 + index * 12)
        if tag in (256, 257):
            (value,) = reader.unpack(order + ("H" if kind == 3 else "I"), offset + 2 + index * 12 + 8)
            found["width" if tag == 256 else "height"] = value
    return found
