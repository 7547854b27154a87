"""Downloads of media from given addresses: guarded, bounded, and resumed where they break off."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from urllib.parse import unquote

import aiohttp
from yarl import URL

from yizhan.errors import MediaFormat, MediaTooLarge, Refused
from yizhan.media.address_guard import AllowList, Forbidden, GuardedSocketFactory, check_host
from yizhan.media.names import decoded_name, unquoted_name

log = logging.getLogger(__name__)

PIECE = 1 << 18
"""Bytes of one piece."""
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class DownloadLimits:
    """Limits of one download, and the addresses that it may reach."""

    max_bytes: int = 2 << 30
    max_seconds: float = 600.0
    """For the whole download, with redirects and resumptions."""
    silence_seconds: float = 30.0
    """Longest time without a byte."""
    max_redirects: int = 5
    tries: int = 5
    """Attempts in a row that bring no byte."""
    pause_seconds: float = 0.5
    """Pause before the next attempt; doubled after each that brings no byte."""
    allowed: AllowList = field(default_factory=AllowList)


class Download:
    """One download, to be iterated once. `name` and `media_type` are set with the first piece."""

    def __init__(self, url: str, limits: DownloadLimits | None = None) -> None:
        """Prepare the download.

        Raises:
            MediaFormat: `url` is no http or https address.
            Forbidden: it does not lead to a public address.
        """
        self.limits = limits or DownloadLimits()
        self.url = _checked(url, self.limits.allowed)
        self.name = _name_in_path(self.url)
        self.shown = _shown(self.url)
        """The address without query and credentials, which may be secret."""
        self.media_type = ""
        self._done = 0
        self._version = ""
        """The ETag or date of the file, by which a resumption checks that it has not changed."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        ends = asyncio.get_running_loop().time() + self.limits.max_seconds
        failed = 0
        while True:
            before = self._done
            try:
                async with aclosing(self._once()) as pieces:
                    async for piece in self._bounded(pieces, ends):
                        yield piece
                return
            except _Again as error:
                failed = failed + 1 if self._done == before else 1
                if failed >= self.limits.tries or (self._done and not self._version):
                    raise MediaFormat(self._given_up(error)) from error
                log.info("download resumed", extra={"host": self.url.host, "at": self._done})
            pause = self.limits.pause_seconds * 2 ** (failed - 1)
            await asyncio.sleep(min(pause, max(0.0, ends - asyncio.get_running_loop().time())))

    async def _bounded(self, pieces: AsyncIterator[bytes], ends: float) -> AsyncIterator[bytes]:
        """Yield the pieces within the limits of size and time."""
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    piece = await anext(pieces, b"")
            except TimeoutError:
                raise MediaFormat(
                    f"{_shown(self.url)} took longer than {self.limits.max_seconds:g} s; {self._done} bytes had come. "
                    "Download it yourself and pass the file."
                ) from None
            if not piece:
                return
            self._done += len(piece)
            if self._done > self.limits.max_bytes:
                raise self._too_large()
            yield piece

    async def _once(self) -> AsyncGenerator[bytes, None]:
        """Request the rest, following redirects; each is checked like the first address."""
        url = self.url
        for _ in range(self.limits.max_redirects + 1):
            sockets = GuardedSocketFactory(url.host or "", url.port or 0, self.limits.allowed)
            async with self._session(sockets) as session:
                try:
                    async with session.get(url, headers=self._headers(), allow_redirects=False) as answer:
                        if answer.status not in _REDIRECTS:
                            async for piece in self._body(answer):
                                yield piece
                            return
                        url = self._redirect(url, answer)
                except Forbidden:
                    raise
                except (aiohttp.InvalidURL, UnicodeError) as error:
                    # IDNA refuses some names only at the look-up.
                    raise MediaFormat(f"{_shown(url)} is not a valid address.") from error
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    if sockets.refused is not None:
                        raise sockets.refused from None
                    raise _Again(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        raise MediaFormat(
            f"{_shown(self.url)} redirects more than {self.limits.max_redirects} times. Give the last address."
        )

    def _session(self, sockets: GuardedSocketFactory) -> aiohttp.ClientSession:
        # One session per hop: the guard belongs to one host, and nothing is carried over.
        connector = aiohttp.TCPConnector(use_dns_cache=False, force_close=True, socket_factory=sockets)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self.limits.silence_seconds)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": "yizhan", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    def _headers(self) -> dict[str, str]:
        return {"Range": f"bytes={self._done}-", "If-Range": self._version} if self._done else {}

    def _redirect(self, url: URL, answer: aiohttp.ClientResponse) -> URL:
        to = answer.headers.get("Location", "")
        if not to:
            raise MediaFormat(f"{_shown(url)} redirects without an address. Give the address of the file itself.")
        try:
            return _checked(str(url.join(URL(to))), self.limits.allowed)
        except ValueError:
            raise MediaFormat(f"{_shown(url)} redirects to an invalid address.") from None

    async def _body(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        self._check_answer(answer)
        if not self._done:
            self._remember(answer)
        skip = self._done if answer.status == 200 else 0
        decompressor = _Decompressor(answer.headers.get("Content-Encoding", ""), self.url)
        async for data in answer.content.iter_chunked(PIECE):
            for piece in decompressor.feed(data):
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                yield piece[skip:]
                skip = 0
        decompressor.end()

    def _check_answer(self, answer: aiohttp.ClientResponse) -> None:
        status, where = answer.status, _shown(self.url)
        if status in _TRANSIENT:
            raise _Again(f"the server answered {status} {answer.reason}")
        if status == 416 or (self._done and _version(answer) not in ("", self._version)):
            raise MediaFormat(f"{where} changed while it was downloaded. Try again.")
        if status == 206:
            if not (answer.headers.get("Content-Range") or "").startswith(f"bytes {self._done}-"):
                raise MediaFormat(f"{where} sent another part than requested. Download it yourself.")
        elif status != 200:
            raise MediaFormat(f"{where} answered {status} {answer.reason}. Check the address, and that it is public.")
        length = answer.content_length or 0
        if (self._done if status == 206 else 0) + length > self.limits.max_bytes:
            raise self._too_large(length)

    def _remember(self, answer: aiohttp.ClientResponse) -> None:
        packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        self._version = "" if packed else _version(answer)
        self.name = _name_in_header(answer.headers.get("Content-Disposition", "")) or self.name
        self.media_type = answer.content_type

    def _given_up(self, error: _Again) -> str:
        if not self._done:
            return f"{_shown(self.url)} could not be fetched: {error}. Check the address, or try again later."
        return f"{_shown(self.url)} broke off after {self._done} bytes: {error}. Try again later."

    def _too_large(self, length: int = 0) -> Refused:
        has = f"has {length} bytes" if length else "has more"
        return MediaTooLarge(f"{_shown(self.url)} {has}; downloads are limited to {self.limits.max_bytes} bytes.")


class _Again(Exception):
    """The download broke off and may be resumed."""


def _checked(text: str, allowed: AllowList) -> URL:
    try:
        url = URL(text)
    except ValueError:
        raise MediaFormat(f"{text[:200]!r} is not a valid address.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise MediaFormat(f"{text[:200]!r} cannot be fetched: only http and https addresses can.")
    if url.user is not None or url.password is not None:
        raise MediaFormat(f"{_shown(url)} contains a name or password. Download it yourself and pass the file.")
    check_host(url.host, url.port or 0, allowed)
    return url


def _shown(url: URL) -> str:
    """The address without query and credentials, which may be secret."""
    return str(url.with_user(None).with_query(None).with_fragment(None))[:200]


def _version(answer: aiohttp.ClientResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _name_in_path(url: URL) -> str:
    return unquoted_name(url.raw_name) if url.raw_name not in ("", "/") else ""


_EXTENDED = re.compile(r"filename\*\s*=\s*([\w-]+)'[^']*'([^;]+)", re.I)
_PLAIN = re.compile(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]+))', re.I)
_ENCODED_WORD = re.compile(r"=\?[\w-]+\?[bq]\?[^?]*\?=", re.I)
_SUBSETS = {"gb2312": "gb18030", "gbk": "gb18030"}
"""Encodings that servers name although they write the larger one."""


def _name_in_header(value: str) -> str:
    """Return the file name of a Content-Disposition (RFC 6266), or the empty string.

    Many servers write what the standard does not have: UTF-8 and GBK as they are, percent signs in the plain form, and
    the encoded words of mail.
    """
    # Decoded first: the second byte of a letter in GBK may be a backslash.
    value = decoded_name(value)
    found = _EXTENDED.search(value)
    if found:
        with suppress(LookupError, UnicodeDecodeError):
            encoding = _SUBSETS.get(found[1].lower(), found[1])
            return unquote(found[2].strip(), encoding=encoding, errors="strict")
    found = _PLAIN.search(value)
    if not found:
        return ""
    name = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2].strip()
    with suppress(UnicodeEncodeError, UnicodeDecodeError):
        name = name.encode("latin-1").decode()
    if _ENCODED_WORD.search(name):
        with suppress(LookupError, ValueError):
            return str(make_header(decode_header(name)))
    return unquoted_name(name) if re.search(r"%[0-9A-Fa-f]{2}", name) else name


class _Decompressor:
    """Decompresses a body, at most one piece at a time."""

    def __init__(self, encoding: str, url: URL) -> None:
        if encoding.lower() not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise MediaFormat(
                f"{_shown(url)} is compressed as '{encoding}', which was not requested. Download it yourself."
            )
        self._zlib = zlib.decompressobj(47) if encoding.lower() not in ("", "identity") else None
        self._url = url

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._zlib is None:
            yield data
            return
        while data:
            try:
                piece = self._zlib.decompress(data, PIECE)
            except zlib.error as error:
                raise MediaFormat(f"{_shown(self._url)} is not compressed as its header says: {error}.") from error
            data = self._zlib.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        if self._zlib is not None and not self._zlib.eof:
            raise _Again("the compressed body is incomplete")
