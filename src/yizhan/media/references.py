"""Media named by a string, and the trust that a caller has.

https://…            downloaded, guarded by `yizhan.media.address_guard`
data:image/png;base64,…
base64://…
sha256:<64 hex>      media in the library
file:///…, or a path
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from yizhan.errors import MediaFormat, Refused
from yizhan.media.address_guard import AllowList
from yizhan.media.download import Download, DownloadLimits
from yizhan.media.sources import SourceStream, not_allowed, open_below, open_source

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_BASE64_STEP = 1 << 20
"""Characters decoded in one step; a multiple of four."""


@dataclass(frozen=True)
class Trust:
    """The paths and addresses that a caller may name. The default is for the owner of the machine."""

    folders: tuple[Path, ...] | None = None
    """Folders below which paths may be read; None allows any path, an empty tuple none."""
    fetch: DownloadLimits | None = field(default_factory=DownloadLimits)
    """Limits of downloads; None forbids them."""

    @classmethod
    def allowing(cls, *addresses: str) -> Trust:
        """Return the default trust that also downloads from these hosts, addresses and networks, public or not.

        Raises:
            ConfigError: an entry is malformed.
        """
        return cls(fetch=DownloadLimits(allowed=AllowList(addresses)))


OWNER = Trust()
REMOTE = Trust(folders=())


def digest_in(source: str) -> str | None:
    """Return the SHA-256 that a string names, or None."""
    found = _DIGEST.fullmatch(source)
    return found[1] if found else None


def open_text(source: str, trust: Trust = OWNER) -> SourceStream:
    """Return the bytes that a string refers to, as a stream.

    Raises:
        MediaFormat: it refers to nothing readable.
        Refused: the caller may not name it.
    """
    scheme = source[:16].lower()
    if scheme.startswith(("http://", "https://")):
        return _download(source, trust)
    if scheme.startswith("data:"):
        return _data(source)
    if scheme.startswith("base64://"):
        return SourceStream(_base64(source[9:]), what="the base64 text")
    if scheme.startswith("file://"):
        return open_path(Path(unquote(urlsplit(source).path)), trust)
    if "://" in scheme:
        raise MediaFormat(f"{source[:100]!r} cannot be read: give a path, or an http or https address.")
    return open_path(Path(source), trust)


def open_path(path: Path, trust: Trust) -> SourceStream:
    """Return the bytes of a file that the caller may name.

    Raises:
        Refused: it is not below an allowed folder; the text does not say whether it exists.
    """
    if trust.folders is None:
        return open_source(path)
    for folder in trust.folders:
        # Links are resolved first: the location of the file counts, not its name. From here on none is followed.
        try:
            root, real = folder.resolve(), path.resolve()
        except (OSError, ValueError, RuntimeError):
            continue
        if real.is_relative_to(root):
            return open_below(root, real)
    raise not_allowed(path)


def _download(url: str, trust: Trust) -> SourceStream:
    if trust.fetch is None:
        raise Refused("Downloads are switched off here. Send the bytes themselves.")
    download = Download(url, trust.fetch)

    async def named() -> AsyncIterator[bytes]:
        async for piece in download:
            opened.name = download.name
            yield piece

    opened = SourceStream(named(), download.name, download.shown, downloaded=True)
    return opened


def _data(source: str) -> SourceStream:
    head, comma, body = source[5:].partition(",")
    if not comma:
        raise MediaFormat("A data URI has a comma before its data: data:image/png;base64,iVBOR…")
    if head.lower().rstrip().endswith(";base64"):
        return SourceStream(_base64(unquote(body) if "%" in body else body), what="the data URI")
    return open_source(unquote_to_bytes(body))


async def _base64(text: str) -> AsyncIterator[bytes]:
    """Decode step by step, in both alphabets, with or without line ends and padding."""
    rest = ""
    for at in range(0, len(text), _BASE64_STEP):
        piece = rest + re.sub(r"[\s=]+", "", text[at : at + _BASE64_STEP].replace("-", "+").replace("_", "/"))
        whole = len(piece) // 4 * 4
        rest = piece[whole:]
        if whole:
            yield _decoded(piece[:whole])
    if rest:
        yield _decoded(rest + "=" * (-len(rest) % 4))


def _decoded(piece: str) -> bytes:
    try:
        return base64.b64decode(piece, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaFormat(
            f"The text is not base64: {error}. Encode the file again and pass the text unchanged."
        ) from None
