"""Small real files that the tests make themselves."""

from __future__ import annotations

import io
import random
import struct
import zlib


def png(seed: int = 1, width: int = 64, height: int = 64) -> bytes:
    """A picture of noise; every seed another."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(width * 3) for _ in range(height))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pdf(size: int = 20_000, seed: int = 1) -> bytes:
    """A document of about `size` bytes."""
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n")
    out.write(b"2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\n3 0 obj\n")
    filling = random.Random(seed).randbytes(max(0, size - 260)).hex().encode()[: max(0, size - 260)]
    out.write(b"<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(filling), filling))
    out.write(b"trailer\n<< /Root 1 0 R /Size 4 >>\nstartxref\n0\n%%EOF\n")
    return out.getvalue()
