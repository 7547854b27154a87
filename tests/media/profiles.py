"""Small ICC profiles, written here: Display P3, and a gray one with a gamma of its own."""

from __future__ import annotations

import struct

D50 = (0.9642, 1.0, 0.8249)
P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
"""Red, green and blue of Display P3 in XYZ, adapted to D50."""


def display_p3() -> bytes:
    """Return a profile with the primaries of Display P3 and a gamma of 2.2."""
    colors = [(name, _xyz(*xyz)) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3, strict=True)]
    curves = [(name, _gamma(2.2)) for name in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", "Display P3", [*colors, *curves])


def gray(gamma: float) -> bytes:
    """Return a profile of grays."""
    return _profile(b"GRAY", f"Gray Gamma {gamma:g}", [(b"kTRC", _gamma(gamma))])


def _profile(space: bytes, title: str, own: list[tuple[bytes, bytes]]) -> bytes:
    tags = [(b"desc", _description(title)), (b"cprt", b"text\0\0\0\0CC0\0"), (b"wtpt", _xyz(*D50)), *own]
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02200000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _description(title: str) -> bytes:
    text = title.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(8) + bytes(3) + bytes(67)
