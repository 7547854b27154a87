"""Files on the simulated CDN: references and tokens by which received media are forwarded."""

from __future__ import annotations

import hashlib

from yizhan.platforms.webwechat.wire.content import CdnReference
from yizhan.world import Blob


class Cdn:
    """Files by CDN reference or token. Both outlive the message and the login."""

    def __init__(self) -> None:
        self._by_url: dict[str, tuple[CdnReference, Blob]] = {}
        self._by_token: dict[str, Blob] = {}

    def place(self, blob: Blob) -> CdnReference:
        """Return the reference of `blob`, the same at every call."""
        url = "3053" + hashlib.sha256(f"url/{blob.sha256}".encode()).hexdigest()
        placed = self._by_url.get(url)
        if placed is None:
            key = hashlib.sha256(f"key/{blob.sha256}".encode()).hexdigest()[:32]
            placed = self._by_url[url] = CdnReference(key, url, blob.md5), blob
        return placed[0]

    def find(self, reference: CdnReference) -> Blob | None:
        """Return the file of a reference; None if its key or MD5 is wrong."""
        placed = self._by_url.get(reference.url)
        if placed is None:
            return None
        known, blob = placed
        return blob if known.aeskey == reference.aeskey and reference.md5 in ("", known.md5) else None

    def token_of(self, blob: Blob) -> str:
        """Return the opaque token of `blob`."""
        token = "@" + hashlib.sha512(f"token/{blob.sha256}".encode()).hexdigest()
        self._by_token[token] = blob
        return token

    def find_token(self, token: str) -> Blob | None:
        return self._by_token.get(token)

    def clear(self) -> None:
        self._by_url.clear()
        self._by_token.clear()
