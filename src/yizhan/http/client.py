"""The client's end of the wire: one pooled session per account, media streamed, errors told apart by what happened."""

from __future__ import annotations

import asyncio
import base64
import select
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from yizhan.errors import OutcomeUnknown, PlatformError, Unavailable, WireMismatch, YizhanError
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.model.media import Content
from yizhan.wire import (
    Base64,
    Endpoint,
    Fault,
    HttpRequest,
    HttpResponse,
    Piece,
    decode_response,
    encode_request,
)

Res = TypeVar("Res")
Progress = Callable[[int], None]
"""Called with the number of media bytes that have left since the last call."""

SLOWEST_ANSWER = 1000
"""Bytes a second: an answer that has had its time and comes more slowly is given up."""
MAX_ANSWER = 64 << 20
"""Bytes: an answer larger than this is not read into memory."""


class Caller:
    """Sends the calls of one account.

    `bases`: the platform's hosts by role (`api`, `token`, `file` …), scheme and host, no slash at the end; a role that
    is not named falls back to `api`. `proxy`: address of an HTTP proxy that everything goes through; empty for none.
    """

    def __init__(
        self,
        account: str,
        bases: Mapping[str, str] | str,
        *,
        connections: int = 100,
        headers: Mapping[str, str] | None = None,
        proxy: str = "",
    ) -> None:
        self.account = account
        self.bases = {"api": bases} if isinstance(bases, str) else dict(bases)
        self._connections = connections
        self._headers = dict(headers or {})
        self._proxy = proxy or None
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        endpoint: Endpoint[Any, Res],
        request: Any,
        *,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Res:
        """Carry out one call and return its answer.

        Raises:
            PlatformError: the class says what happened: the platform said no (by its fault table), could not be
                reached (Unavailable), or did not answer after the request had left (OutcomeUnknown,
                for calls that act).
        """
        return self.read(endpoint, await self.exchange(endpoint, request, headers=headers, progress=progress))

    def read(self, endpoint: Endpoint[Any, Res], answer: HttpResponse) -> Res:
        """Return the struct of an answer that `exchange` brought; a fault becomes the error that it means."""
        try:
            return decode_response(endpoint, answer, self.base(endpoint.role))
        except Fault as fault:
            raise fault.error(self.account, endpoint.name) from fault
        except PlatformError as error:
            error.account = error.account or self.account
            raise

    async def exchange(
        self,
        endpoint: Endpoint[Any, Any],
        request: Any,
        *,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        url: str | None = None,
    ) -> HttpResponse:
        """Carry out one call and return the raw answer, whole. For calls whose headers or cookies matter.

        `url`: a complete address that the platform gave out, used as it is instead of base, path and query.

        Raises:
            Unavailable: it never reached the platform, or repeating is harmless.
            OutcomeUnknown: it left, and no answer was read.
        """
        http = encode_request(endpoint, request)
        if headers:
            http.headers.update(headers)
        for more in (True, True, False):
            try:
                async with self._open(endpoint, http, progress, url) as response:
                    body = await self._whole(endpoint, response.content)
                    return HttpResponse(response.status, list(response.headers.items()), body)
            except Exception as error:
                if more and isinstance(error.__cause__, _Unsent):
                    # The platform had hung up on a connection that was kept; nothing had left, and another will do.
                    continue
                explained = self._explain(endpoint, error)
                if explained is error:
                    raise
                raise explained from error
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def stream(
        self,
        endpoint: Endpoint[Any, Any],
        request: Any,
        *,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> AsyncIterator[tuple[HttpResponse, AsyncIterator[bytes]]]:
        """Carry out a download: yields the head of the answer and its body in pieces. `url` as in `exchange`."""
        http = encode_request(endpoint, request)
        if headers:
            http.headers.update(headers)
        try:
            async with self._open(endpoint, http, None, url) as response:
                head = HttpResponse(response.status, list(response.headers.items()))
                yield head, response.content.iter_chunked(1 << 18)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._explain(endpoint, error) from error

    async def socket(self, url: str, headers: Mapping[str, str] | None = None) -> Socket:
        """Open a WebSocket.

        Raises:
            Unavailable: it could not be opened.
        """
        try:
            raw = await self._client().ws_connect(url, headers=headers or {}, max_msg_size=16 << 20, heartbeat=None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"{self.account}: the event socket did not open: {error}", account=self.account
            ) from error
        return Socket(raw)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def base(self, role: str) -> str:
        return self.bases.get(role) or self.bases["api"]

    def _open(self, endpoint: Endpoint[Any, Any], http: HttpRequest, progress: Progress | None, url: str | None) -> Any:
        address = url or self.base(endpoint.role) + http.path + _query(http.query)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=endpoint.timeout)
        return self._client().request(
            http.method,
            URL(address, encoded=True),
            headers=http.headers,
            data=_payload(http.body, progress, endpoint.timeout),
            allow_redirects=False,
            timeout=timeout,
        )

    async def _whole(self, endpoint: Endpoint[Any, Any], content: aiohttp.StreamReader) -> bytes:
        # A single read returns what has arrived so far, which is not the whole of a large answer.
        data = bytearray()
        clock = asyncio.get_running_loop().time
        began = clock()
        async for piece in content.iter_any():
            data += piece
            took = clock() - began
            if took > endpoint.timeout and len(data) < took * SLOWEST_ANSWER:
                raise TimeoutError("the answer comes too slowly")
            if len(data) > MAX_ANSWER:
                raise WireMismatch(
                    f"{self.account}: {endpoint.name}: the answer is over {MAX_ANSWER} bytes; it was not read.",
                    account=self.account,
                    endpoint=endpoint.name,
                )
        return bytes(data)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=20)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                proxy=self._proxy,
            )
        return self._session

    def _explain(self, endpoint: Endpoint[Any, Any], error: Exception) -> Exception:
        if isinstance(error, PlatformError):
            return error
        if isinstance(error.__cause__, YizhanError):
            # What was to be sent could not be read.
            return error.__cause__
        never_left = isinstance(error.__cause__, _Unsent) or isinstance(
            error,
            (
                aiohttp.ClientConnectorError,
                aiohttp.ConnectionTimeoutError,
                aiohttp.ClientHttpProxyError,
                aiohttp.InvalidURL,
            ),
        )
        words = f"{type(error).__name__}: {error}".rstrip(": ")
        where = f"{self.account}: {endpoint.name} at {self.base(endpoint.role)}"
        if never_left:
            return Unavailable(f"{where} could not be reached ({words}). Nothing was sent.", account=self.account)
        if not isinstance(error, (aiohttp.ClientError, asyncio.TimeoutError, OSError, SocketClosed)):
            return error
        if not endpoint.acts:
            return Unavailable(f"{where} gave no answer ({words}). Trying again is safe.", account=self.account)
        return OutcomeUnknown(
            f"{where} gave no answer ({words}). The request had left; it may have been carried out.",
            account=self.account,
            endpoint=endpoint.name,
        )


def _query(pairs: Sequence[tuple[str, str]]) -> str:
    return _encoded_query(tuple(pairs)) if pairs else ""


@lru_cache(maxsize=256)
def _encoded_query(pairs: tuple[tuple[str, str], ...]) -> str:
    # Sending calls repeat the same query (tickets, language) for the whole session.
    return "?" + urlencode(pairs, quote_via=quote, safe="")


class _Unsent(ConnectionError):
    """The connection was found closed before the first byte of the request had left."""


def _make_sure_it_is_open(writer: AbstractStreamWriter) -> None:
    """Raise _Unsent if nothing has left yet and the other end has hung up, as it may while a connection is kept."""
    if writer.output_size:
        return
    transport: asyncio.Transport | None = getattr(writer, "transport", None)
    if transport is None or transport.is_closing() or _hung_up(transport):
        raise _Unsent("the connection had been closed by the platform")


def _hung_up(transport: asyncio.Transport) -> bool:
    """Whether the other end's goodbye lies there unread; a busy loop comes to it only after it has written."""
    handle = transport.get_extra_info("socket")
    if handle is None or _HUNG_UP is None:
        return False
    poll = select.poll()
    poll.register(handle.fileno(), _HUNG_UP)
    return bool(poll.poll(0))


_HUNG_UP: int | None = getattr(select, "POLLRDHUP", None)
"""Known to Linux alone; elsewhere the loop's word is all there is."""


def _payload(body: Sequence[Piece], progress: Progress | None, patience: float) -> Any:
    if not body:
        return None
    if len(body) == 1 and isinstance(body[0], bytes):
        return _WholePayload(body[0])
    return _PiecesPayload(body, progress, patience)


class _WholePayload(payload.BytesPayload):
    """A body that is in memory, and leaves in one piece or not at all."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        _make_sure_it_is_open(writer)
        await super().write_with_length(writer, content_length)


class _PiecesPayload(payload.Payload):
    """A body of pieces with a known length, written without ever being joined.

    `patience`: seconds that the platform may take until it takes the next of them.
    """

    _default_content_type = "application/octet-stream"

    def __init__(self, pieces: Sequence[Piece], progress: Progress | None, patience: float) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._progress = progress
        self._patience = patience
        self._size = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a streamed body has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        async for data, media in stream_pieces(self._pieces):
            _make_sure_it_is_open(writer)
            async with asyncio.timeout(self._patience):
                await writer.write(data)
            if media and self._progress is not None:
                self._progress(media)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        await self.write(writer)


async def stream_pieces(pieces: Sequence[Piece]) -> AsyncIterator[tuple[bytes, int]]:
    """Yield the bytes of a body, each with the number of media bytes that it carries."""
    for piece in pieces:
        if isinstance(piece, bytes):
            if piece:
                yield piece, 0
        elif isinstance(piece, Base64):
            async for data in _base64(piece.content):
                yield data, len(data) * 3 // 4
        else:
            async for data in piece.chunks():
                yield data, len(data)


async def _base64(content: Content) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.chunks():
        data = rest + chunk
        whole = len(data) // 3 * 3
        rest = data[whole:]
        if whole:
            yield base64.b64encode(data[:whole])
    if rest:
        yield base64.b64encode(rest)
