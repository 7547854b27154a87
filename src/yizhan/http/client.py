"""The client's end of the wire: one pooled session per account; errors tell whether a request may have left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from yizhan.errors import OutcomeUnknown, PlatformError, Unavailable, WireMismatch, YizhanError
from yizhan.http.deadline import AnswerDeadline, sent_trace
from yizhan.http.payload import Progress, Unsent, payload_of
from yizhan.http.websocket import Socket
from yizhan.wire import Endpoint, Fault, HttpRequest, HttpResponse, decode_response, encode_request

__all__ = ["Caller", "Progress"]

Res = TypeVar("Res")

log = logging.getLogger(__name__)

MAX_ANSWER = 64 << 20
"""Bytes: a larger answer is not read into memory."""
SLOWEST_DOWNLOAD = 1000
"""Bytes a second, measured over the time spent waiting for bytes; a slower download is given up."""
PIECE = 1 << 18
MAX_RESUMES = 3
"""Further requests for the rest of one download."""
KEEP_ALIVE_SECONDS = 20.0
CONNECT_SECONDS = 10.0
_NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""ValueError includes UnicodeError: host names that IDNA refuses, headers that cannot be encoded."""
_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class Caller:
    """Sends the calls of one account.

    `bases`: the platform's hosts by role (`api`, `token`, `file` …): scheme and host without a trailing slash; other
    roles fall back to `api`. `proxy`: address of an HTTP proxy for all requests; empty for none. Proxies named by the
    environment are ignored.
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
        """Make one call and return its answer.

        Raises:
            PlatformError: its class says what happened: a refusal (by the platform's fault table), no connection
                (Unavailable), or no readable answer to a request that had left (OutcomeUnknown, for calls that act).
        """
        return self.read(endpoint, await self.exchange(endpoint, request, headers=headers, progress=progress))

    def read(self, endpoint: Endpoint[Any, Res], answer: HttpResponse) -> Res:
        """Return the struct of an answer; `yizhan.wire.outcome` says which error any other answer becomes."""
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
        """Make one call and return the raw, whole answer. For calls whose headers or cookies matter.

        `url`: a complete address that the platform gave out; replaces base, path and query.

        Raises:
            Unavailable: the request did not reach the platform, or repeating it is harmless.
            OutcomeUnknown: it left, and no complete answer was read.
        """
        http = encode_request(endpoint, request)
        if headers:
            http.headers.update(headers)
        for may_repeat in (True, True, False):
            deadline = AnswerDeadline(endpoint.timeout)
            try:
                async with deadline, self._open(http, self._address(endpoint, http, url), progress, deadline) as answer:
                    body = await self._body(endpoint, answer.content, deadline)
                    log.debug("call answered", extra=self._log_fields(endpoint, status=answer.status, bytes=len(body)))
                    return HttpResponse(answer.status, list(answer.headers.items()), body)
            except Exception as error:
                if may_repeat and isinstance(error.__cause__, Unsent):
                    continue
                explained = self._explained(endpoint, error, sent=deadline.sent)
                log.debug("call not answered", extra=self._log_fields(endpoint, reason=str(explained)))
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
        """Start a download: yields the head of the answer and its body in pieces. `url` as in `exchange`."""
        http = encode_request(endpoint, request)
        if headers:
            http.headers.update(headers)
        deadline = AnswerDeadline(endpoint.timeout)
        try:
            async with deadline, self._open(http, self._address(endpoint, http, url), None, deadline) as response:
                deadline.lift()
                head = HttpResponse(response.status, list(response.headers.items()))
                yield head, self._resumed(endpoint, http, self._address(endpoint, http, url), response)
        except _NETWORK_ERRORS as error:
            raise self._explained(endpoint, error, sent=deadline.sent) from error

    async def _resumed(
        self, endpoint: Endpoint[Any, Any], http: HttpRequest, address: str, answer: aiohttp.ClientResponse
    ) -> AsyncIterator[bytes]:
        """Yield a body; where it breaks off, ask for the rest if the server can tell that it is still the same file."""
        version = _version(answer) if http.method == "GET" and answer.status == 200 else ""
        size = 0
        async with AsyncExitStack() as stack:
            for attempt in range(MAX_RESUMES + 1):
                try:
                    async for piece in _download(answer.content, endpoint.timeout):
                        size += len(piece)
                        yield piece
                    return
                except _NETWORK_ERRORS:
                    if not version or not size or attempt == MAX_RESUMES:
                        raise
                headers = {**http.headers, "Range": f"bytes={size}-", "If-Range": version}
                rest = HttpRequest(http.method, http.path, http.query, headers)
                deadline = await stack.enter_async_context(AnswerDeadline(endpoint.timeout))
                answer = await stack.enter_async_context(self._open(rest, address, None, deadline))
                deadline.lift()
                if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                    raise aiohttp.ClientPayloadError(f"the download broke off after {size} bytes")

    async def socket(self, url: str, headers: Mapping[str, str] | None = None) -> Socket:
        """Open a WebSocket.

        Raises:
            Unavailable: it did not open.
        """
        try:
            raw = await self._client().ws_connect(url, headers=headers or {}, max_msg_size=16 << 20, heartbeat=None)
        except _NETWORK_ERRORS as error:
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

    def _address(self, endpoint: Endpoint[Any, Any], http: HttpRequest, url: str | None) -> str:
        return url or self.base(endpoint.role) + http.path + _query(http.query)

    @asynccontextmanager
    async def _open(
        self, http: HttpRequest, address: str, progress: Progress | None, deadline: AnswerDeadline
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=deadline.seconds)
        async with self._client().request(
            http.method,
            URL(address, encoded=True),
            headers=http.headers,
            data=payload_of(http.body, progress, deadline),
            allow_redirects=False,
            timeout=timeout,
            trace_request_ctx=deadline,
        ) as answer:
            deadline.head_arrived()
            yield answer

    async def _body(
        self, endpoint: Endpoint[Any, Any], content: aiohttp.StreamReader, deadline: AnswerDeadline
    ) -> bytes:
        # One read returns the bytes that have arrived so far, which may be a part of a large answer.
        data = bytearray()
        async for piece in content.iter_any():
            data += piece
            deadline.body_grew(len(data))
            if len(data) > MAX_ANSWER:
                raise WireMismatch(
                    f"{self.account}: {endpoint.name}: the answer is over {MAX_ANSWER} bytes; it was not read.",
                    account=self.account,
                    endpoint=endpoint.name,
                )
        return bytes(data)

    def _log_fields(self, endpoint: Endpoint[Any, Any], **more: object) -> dict[str, object]:
        # No address and no body: both carry secrets.
        return {"account": self.account, "endpoint": endpoint.name, **more}

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEP_ALIVE_SECONDS),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                proxy=self._proxy,
                trace_configs=[sent_trace()],
            )
        return self._session

    def _explained(self, endpoint: Endpoint[Any, Any], error: Exception, *, sent: bool) -> Exception:
        """Return the error that tells the caller what became of the request."""
        if isinstance(error, PlatformError):
            return error
        if isinstance(error.__cause__, YizhanError):
            # The bytes to be sent could not be read.
            return error.__cause__
        if not isinstance(error, _NETWORK_ERRORS):
            return error
        words = f"{type(error).__name__}: {error}".rstrip(": ")
        where = f"{self.account}: {endpoint.name} at {self.base(endpoint.role)}"
        if not sent or isinstance(error.__cause__, Unsent) or isinstance(error, _NEVER_CONNECTED):
            return Unavailable(f"{where} could not be reached ({words}). Nothing was sent.", account=self.account)
        if not endpoint.acts:
            return Unavailable(f"{where} gave no answer ({words}). Trying again is safe.", account=self.account)
        return OutcomeUnknown(
            f"{where} gave no answer ({words}). The request had left; it may have been carried out.",
            account=self.account,
            endpoint=endpoint.name,
        )


async def _download(content: aiohttp.StreamReader, seconds: float) -> AsyncIterator[bytes]:
    """Yield the pieces of a download; time that its reader takes does not count.

    Raises:
        TimeoutError: it is slower than `SLOWEST_DOWNLOAD` beyond the first `seconds`.
    """
    clock = asyncio.get_running_loop().time
    waited, size = 0.0, 0
    pieces = content.iter_chunked(PIECE)
    while True:
        asked = clock()
        piece = await anext(pieces, b"")
        if not piece:
            return
        waited += clock() - asked
        size += len(piece)
        if waited > seconds and size < waited * SLOWEST_DOWNLOAD:
            raise TimeoutError("the answer comes too slowly")
        yield piece


def _version(answer: aiohttp.ClientResponse) -> str:
    """Return what identifies the file behind an answer for If-Range; empty where nothing does, or it is packed."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return ""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _query(pairs: Sequence[tuple[str, str]]) -> str:
    return _encoded_query(tuple(pairs)) if pairs else ""


@lru_cache(maxsize=256)
def _encoded_query(pairs: tuple[tuple[str, str], ...]) -> str:
    # Sending calls repeat the same query (tickets, language) for the whole session.
    return "?" + urlencode(pairs, quote_via=quote, safe="")
