"""Ids of objects on WeChat's CDN (`fileid`, `cdnattachurl`, `cdnmidimgurl` …).

The format is undocumented and was derived from published examples: 89 bytes of nested TLV as 178 hex digits. They hold
the object's name (a UUID in text form), the upload time and the CDN's file type. Only the sandbox needs the format, to
make ids; ids of other lengths exist, so readers treat them as opaque.
"""

from __future__ import annotations

import random
import re
from uuid import UUID

_HEAD = bytes.fromhex("3057020100044b3049020100")
_UUID = re.compile(rb"\x04\x24([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\x02\x04")


def make_cdn_id(rng: random.Random, file_type: int, uploaded_at: float) -> str:
    """Return a new id for an object of a CDN file type (1 to 15), uploaded at `uploaded_at` (seconds since the epoch).

    Bytes of unknown meaning come from `rng`, so that a seeded generator repeats its ids.
    """
    name = str(UUID(int=rng.getrandbits(128), version=4)).encode()
    return b"".join(
        (
            _HEAD,
            b"\x02\x04" + rng.randbytes(4),
            b"\x02\x03\x2f" + rng.randbytes(2),
            b"\x02\x04" + rng.randbytes(4),
            b"\x02\x04" + (int(uploaded_at) & 0xFFFFFFFF).to_bytes(4, "big"),
            b"\x04\x24" + name,
            b"\x02\x04\x05\x24\x00" + bytes([file_type & 0xFF]),
            b"\x02\x01\x00",
            b"\x04\x05\x00\x4c" + rng.randbytes(2) + b"\x00",
        )
    ).hex()


def object_of_cdn_id(file_id: str) -> str:
    """Return the object's name inside an id; empty if there is none (the id may still be valid)."""
    try:
        found = _UUID.search(bytes.fromhex(file_id))
    except ValueError:
        return ""
    return found[1].decode() if found else ""
