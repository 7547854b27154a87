"""The ids by which WeChat's CDN names stored objects (`fileid`, `cdnattachurl`, `cdnmidimgurl` …).

Nobody documents them; the shape was worked out from printed ones: 89 bytes of nested TLV as 178 hex digits, with the
object's name as a UUID in text form, the time of the upload and the CDN's file type inside. Only those who make ids
need the shape: other lengths exist, so readers treat them as opaque.
"""

from __future__ import annotations

import random
import re
from uuid import UUID

_HEAD = bytes.fromhex("3057020100044b3049020100")
_UUID = re.compile(rb"\x04\x24([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\x02\x04")


def make_cdn_id(chance: random.Random, file_type: int, uploaded_at: float) -> str:
    """Return a new id for an object of a CDN file type (1 to 15), uploaded at `uploaded_at` (seconds since the epoch).

    What is not understood is taken from `chance`, so a seed gives the same ids.
    """
    name = str(UUID(int=chance.getrandbits(128), version=4)).encode()
    return b"".join(
        (
            _HEAD,
            b"\x02\x04" + chance.randbytes(4),
            b"\x02\x03\x2f" + chance.randbytes(2),
            b"\x02\x04" + chance.randbytes(4),
            b"\x02\x04" + (int(uploaded_at) & 0xFFFFFFFF).to_bytes(4, "big"),
            b"\x04\x24" + name,
            b"\x02\x04\x05\x24\x00" + bytes([file_type & 0xFF]),
            b"\x02\x01\x00",
            b"\x04\x05\x00\x4c" + chance.randbytes(2) + b"\x00",
        )
    ).hex()


def object_of_cdn_id(file_id: str) -> str:
    """Return the object's name inside an id; empty when there is none (the id may still be a good one)."""
    try:
        found = _UUID.search(bytes.fromhex(file_id))
    except ValueError:
        return ""
    return found[1].decode() if found else ""
