"""Reading a file out of a JSON answer while it arrives: one Base64 field is decoded, the rest is kept."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator

FIELD = re.compile(rb'"FileBase64"\s*:\s*"')
MAX_HEAD = 1 << 20
"""Bytes in front of the field; real answers have some hundred."""
_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})|\\(.)")


class Base64Field:
    """`bytes_in` yields the field's bytes; `rest` has the other fields, or all when there is no such field."""

    def __init__(self) -> None:
        self.rest = b""
        self.found = False

    async def bytes_in(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Raises ValueError: the field is not Base64, or ends in the middle."""
        text = b""
        async for chunk in chunks:
            text += chunk
            if not self.found:
                text = self._look(text)
                if not self.found:
                    continue
            end = text.find(b'"')
            ready = text if end < 0 else text[:end]
            whole = ready if end >= 0 else ready[: _whole(ready)]
            data = _unescaped(whole)
            usable = len(data) if end >= 0 else len(data) // 4 * 4
            if usable:
                yield base64.b64decode(data[:usable], validate=True)
            if end >= 0:
                self.rest += text[end:]
                async for tail in chunks:
                    self.rest += tail
                return
            text = data[usable:] + ready[len(whole) :]
        if self.found:
            raise ValueError("the answer ends in the middle of the file")

    def _look(self, text: bytes) -> bytes:
        match = FIELD.search(text)
        if match is None:
            if len(text) > MAX_HEAD:
                raise ValueError("the answer is long and holds no file")
            self.rest = text
            return text
        self.found = True
        self.rest = text[: match.end()]
        return text[match.end() :]


def _whole(text: bytes) -> int:
    """Up to where no escape (at most six bytes) is cut in two."""
    cut = text.rfind(b"\\", max(0, len(text) - 6))
    return cut if cut >= 0 else len(text)


def _unescaped(text: bytes) -> bytes:
    """Some writers of JSON escape `/` or `+`."""
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(lambda m: bytes([int(m[1], 16) & 0x7F]) if m[1] else m[2], text)
