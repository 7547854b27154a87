"""The inside of `get_updates_buf`, as far as it is known: two nested protobuf messages. Pure; clients need none of it.

    get_updates_buf = { 1: inner, 2: bot_token }
    inner           = { 1: last_seq, 2: a time, 3: a time }        sync_buf is the inner message alone

Source: a published live capture of the channel.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass


class BadCursor(ValueError):
    """A cursor that is damaged, or that this server did not make."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`last_seq`: the last message that the holder has seen. `made`, `moved`: milliseconds since the epoch."""

    last_seq: int
    made: int
    moved: int

    def sync_buf(self) -> str:
        return base64.b64encode(self._inner()).decode()

    def updates_buf(self, token: str) -> str:
        inner, text = self._inner(), token.encode()
        packed = b"\x0a" + _varint(len(inner)) + inner + b"\x12" + _varint(len(text)) + text
        return base64.b64encode(packed).decode()

    def _inner(self) -> bytes:
        fields = (self.last_seq, self.made, self.moved)
        return b"".join(bytes([number << 3]) + _varint(value) for number, value in enumerate(fields, 1))


def read_cursor(text: str) -> tuple[Cursor, str]:
    """Return the cursor and the token it belongs to.

    Raises:
        BadCursor: it cannot be read.
    """
    try:
        outer = _fields(base64.b64decode(text, validate=True))
        inner, token = outer[1], outer[2]
        if not isinstance(inner, bytes) or not isinstance(token, bytes):
            raise BadCursor("its fields are of other kinds")
        numbers = _fields(inner)
        values = [value for number in (1, 2, 3) if isinstance(value := numbers[number], int)]
        last_seq, made, moved = values
        return Cursor(last_seq, made, moved), token.decode()
    except (binascii.Error, KeyError, IndexError, UnicodeDecodeError, ValueError) as error:
        raise BadCursor(f"not a cursor: {error}") from error


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise BadCursor("a number in it is too long")


def _fields(data: bytes) -> dict[int, int | bytes]:
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if tag & 7 == 0:
            found[tag >> 3] = value
        elif tag & 7 == 2 and at + value <= len(data):
            found[tag >> 3] = data[at : at + value]
            at += value
        else:
            raise BadCursor("a field in it cannot be read")
    return found
