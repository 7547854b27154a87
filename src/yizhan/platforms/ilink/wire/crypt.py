"""The cipher of media on the CDN: AES-128-ECB with PKCS7, streamed both ways, and the two forms of its key. Pure.

Blocks do not depend on each other, so content is enciphered from any offset and never kept in memory.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES128

from yizhan.model.media import Content

BLOCK = 16
KEY_BYTES = 16


class BadCiphertext(ValueError):
    """Bytes that are no ciphertext of this key: broken padding, or not a whole number of blocks."""


def padded_size(size: int) -> int:
    """Return the size of the ciphertext of `size` bytes; padding is always added, also to whole blocks."""
    return (size // BLOCK + 1) * BLOCK


def media_key(secret: str, sha256: str) -> bytes:
    """Return the key for some bytes: one per account and content.

    The same content always becomes the same ciphertext, so a CDN that merges equal uploads cannot hand out a blob that
    another key made; without `secret` it cannot be told whether two accounts sent the same bytes.
    """
    return hmac.digest(secret.encode(), f"media {sha256}".encode(), "sha256")[:KEY_BYTES]


def write_key(key: bytes) -> str:
    """Return the form that messages carry: base64 of the hex text, 44 characters.

    The 24-character base64 of the raw bytes shows as a grey picture on the phone (thread chenhg5/cc-connect#310).
    """
    return base64.b64encode(key.hex().encode()).decode()


def read_key(text: str) -> bytes:
    """Read either form: base64 of sixteen bytes, or base64 of their hex text.

    Raises:
        ValueError: it is neither.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        if len(raw) == KEY_BYTES:
            return raw
        return hex_key(raw.decode("ascii"))
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError("not an AES key: expected base64 of 16 bytes or of 32 hex digits") from error


def hex_key(text: str) -> bytes:
    """Read a key written as 32 hex digits.

    Raises:
        ValueError: it is not one.
    """
    raw = binascii.unhexlify(text.strip())
    if len(raw) != KEY_BYTES:
        raise ValueError(f"an AES key has {KEY_BYTES} bytes, not {len(raw)}")
    return raw


class Enciphered:
    """Content as the CDN stores it; enciphered piece by piece while it is read."""

    def __init__(self, plain: Content, key: bytes) -> None:
        self.plain = plain
        self.key = key

    @property
    def size(self) -> int:
        return padded_size(self.plain.size)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        if start >= end:
            return
        position = start // BLOCK * BLOCK
        async for piece in self._blocks(position, min(padded_size(end - 1), self.size)):
            yield piece[max(0, start - position) : max(0, end - position)]
            position += len(piece)

    async def _blocks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the ciphertext between two block borders."""
        encryptor: Any = _cipher(self.key).encryptor()
        async for data in self.plain.chunks(start, min(stop, self.plain.size)):
            if piece := encryptor.update(data):
                yield piece
        if stop == self.size:
            fill = BLOCK - self.plain.size % BLOCK
            yield encryptor.update(bytes([fill]) * fill)


async def deciphered(chunks: AsyncIterator[bytes], key: bytes) -> AsyncIterator[bytes]:
    """Yield the plain bytes of a ciphertext as it arrives; the last block waits until its padding is checked.

    Raises:
        BadCiphertext: the padding is wrong: it was made with another key, or bytes are missing.
    """
    decryptor: Any = _cipher(key).decryptor()
    last_block = b""
    async for chunk in chunks:
        plain = last_block + decryptor.update(chunk)
        last_block = plain[-BLOCK:]
        if len(plain) > BLOCK:
            yield plain[:-BLOCK]
    if _finish(decryptor) or len(last_block) != BLOCK:
        raise BadCiphertext("the ciphertext is not a whole number of blocks")
    fill = last_block[-1]
    if not 1 <= fill <= BLOCK or last_block[-fill:] != bytes([fill]) * fill:
        raise BadCiphertext("the padding is wrong: these bytes were enciphered with another key")
    if fill < BLOCK:
        yield last_block[:-fill]


def _finish(decryptor: Any) -> bool:
    """Return whether bytes of an unfinished block are left."""
    try:
        decryptor.finalize()
    except ValueError:
        return True
    return False


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    # The vendor's choice of mode, not ours.
    return Cipher(AES128(key), modes.ECB())  # noqa: S305
