"""The server's end of the wire: endpoints to handlers, bodies streamed, every failure in the platform's own shape."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from msgspec import Struct

from yizhan.model.media import Content
from yizhan.net.caller import stream_pieces
from yizhan.net.socket import Socket
from yizhan.wire import (
    BodyTooLarge,
    Endpoint,
    Envelope,
    Fault,
    FormPart,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    decode_request,
    encode_response,
)

log = logging.getLogger(__name__)

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

MAX_PARTS = 64
"""Parts of one multipart body."""
MAX_TEXT_PART = 1 << 20
"""Bytes of one text part."""
BODY_SECONDS = 60.0
"""Longest silence while a body is read."""


@dataclass(slots=True)
class Call(Generic[Req]):
    """One request as a handler sees it."""

    platform: str
    endpoint: Endpoint[Req, Any]
    request: Req
    http: HttpRequest

    @property
    def base_url(self) -> str:
        return self.http.base_url


class Cut(Exception):
    """Raised by an observer: close the connection without an answer."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, for observers (record, chaos)."""

    platform: str
    endpoint: str
    target: str
    http: HttpRequest
    response: HttpResponse | None = None
    note: str = ""
    table: Envelope | None = None
    spec: Endpoint[Any, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Observer(Protocol):
    """What stands around every exchange; raises Fault or Cut, or answers instead of the handler."""

    async def before(self, exchange: Exchange) -> HttpResponse | None: ...
    async def after(self, exchange: Exchange) -> None: ...
    def done(self, exchange: Exchange) -> None: ...


Handler = Callable[[Call[Any]], Awaitable[Any]]
SocketHandler = Callable[[HttpRequest, Socket], Awaitable[None]]
Keep = Callable[[AsyncIterator[bytes]], Awaitable[Content]]
"""Takes in the bytes of an uploaded file as they come, and returns them as content."""


class Router:
    """The calls that one platform serves. Mounted into an aiohttp application by `mount`.

    `keep` takes in streamed files; `unknown` answers a request to a shared path whose constants match no endpoint.
    """

    def __init__(self, platform: str, envelope: Envelope, keep: Keep) -> None:
        self.platform = platform
        self.envelope = envelope
        self.keep = keep
        self.observer: Observer | None = None
        self.routes: dict[tuple[str, str], list[tuple[Endpoint[Any, Any], Handler]]] = {}
        self.sockets: dict[str, SocketHandler] = {}
        self.unknown: Callable[[HttpRequest, Mapping[str, Any]], Fault] | None = None
        self.any_case = False
        """Whether paths match without regard to case; for platforms that are said to do so."""

    def on(
        self, endpoint: Endpoint[Req, Res]
    ) -> Callable[[Callable[[Call[Req]], Awaitable[Res | HttpResponse]]], Callable[[Call[Req]], Awaitable[Any]]]:
        """Register the handler of `endpoint`. It returns the answer's struct, or an HttpResponse; it raises Fault."""

        def register(handler: Callable[[Call[Req]], Awaitable[Any]]) -> Callable[[Call[Req]], Awaitable[Any]]:
            self.add(endpoint, handler)
            return handler

        return register

    def add(self, endpoint: Endpoint[Any, Any], handler: Handler) -> None:
        for method in (endpoint.method, *endpoint.also):
            self.routes.setdefault((method, endpoint.path), []).append((endpoint, handler))

    def socket(self, path: str, handler: SocketHandler) -> None:
        """Serve a WebSocket at `path`; the handler runs for as long as it is open."""
        self.sockets[path] = handler

    @property
    def endpoints(self) -> list[Endpoint[Any, Any]]:
        seen = {e.name: e for routes in self.routes.values() for e, _ in routes}
        return list(seen.values())

    def mount(self, app: web.Application) -> None:
        """Add every route to an aiohttp application."""
        for (method, path), candidates in self.routes.items():
            app.router.add_route(method, _any_case(path) if self.any_case else path, self._serve(candidates))
        for path, handler in self.sockets.items():
            app.router.add_get(path, self._serve_socket(handler))

    def _serve(
        self, candidates: Sequence[tuple[Endpoint[Any, Any], Handler]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                response = await self._exchange(request, candidates, _head(request))
            except Cut:
                if request.transport is not None:
                    request.transport.abort()
                raise
            return await _write(request, response)

        return serve

    async def answer(self, http: HttpRequest) -> HttpResponse:
        """Answer a request that came another way (a command on a socket); its body is already in `http`.

        Raises:
            LookupError: nothing is served under that method and path.
            Cut: an observer wants the line closed without an answer.
        """
        return await self._exchange(None, self.routes[http.method, http.path], http)

    async def _exchange(
        self, request: web.Request | None, candidates: Sequence[tuple[Endpoint[Any, Any], Handler]], http: HttpRequest
    ) -> HttpResponse:
        exchange = Exchange(self.platform, candidates[0][0].name, "", http, table=self.envelope)
        try:
            response = exchange.response = await self._answer(request, candidates, exchange)
            if self.observer is not None:
                await self.observer.after(exchange)
            return response
        except Cut:
            exchange.note = exchange.note or "cut"
            raise
        finally:
            if self.observer is not None:
                self.observer.done(exchange)

    async def _answer(
        self, request: web.Request | None, candidates: Sequence[tuple[Endpoint[Any, Any], Handler]], exchange: Exchange
    ) -> HttpResponse:
        endpoint: Endpoint[Any, Any] | None = None
        http = exchange.http
        envelope = candidates[0][0].envelope
        try:
            if request is not None:
                await self._read_body(request, http, candidates)
            endpoint, handler, fields = self._choose(candidates, http)
            envelope = endpoint.envelope
            exchange.endpoint, exchange.spec, exchange.table = endpoint.name, endpoint, envelope
            exchange.target = _target(endpoint, http, fields)
            if self.observer is not None:
                instead = await self.observer.before(exchange)
                if instead is not None:
                    return instead
            decoded = decode_request(endpoint, http, fields)
            answer = await handler(Call(self.platform, endpoint, decoded, http))
            return encode_response(endpoint, answer)
        except Fault as fault:
            return envelope.fail(endpoint, fault)
        except MalformedRequest as error:
            return envelope.fail(endpoint, envelope.malformed(endpoint, error))
        except (Cut, asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            # A handler's own mistake must not look like the platform's answer, nor take the server down.
            log.exception("handler failed", extra={"platform": self.platform, "endpoint": exchange.endpoint})
            exchange.note = "handler failed"
            return HttpResponse(500, [("Content-Type", "text/plain")], b"the sandbox failed; see its log")

    def _choose(
        self, candidates: Sequence[tuple[Endpoint[Any, Any], Handler]], http: HttpRequest
    ) -> tuple[Endpoint[Any, Any], Handler, Mapping[str, Any] | None]:
        endpoint, handler = candidates[0]
        if not endpoint.constants and not endpoint.constant_query and len(candidates) == 1:
            return endpoint, handler, None
        fields = endpoint.codec.decode(http)
        for endpoint, handler in candidates:
            if all(_same(fields.get(k), v) for k, v in endpoint.constants.items()) and all(
                http.query_value(k) == v for k, v in endpoint.constant_query.items()
            ):
                return endpoint, handler, fields
        if self.unknown is not None:
            raise self.unknown(http, fields)
        raise MalformedRequest("no call of this path matches the request")

    async def _read_body(
        self, request: web.Request, http: HttpRequest, candidates: Sequence[tuple[Endpoint[Any, Any], Handler]]
    ) -> None:
        if not request.body_exists:
            return
        limit = max(endpoint.max_bytes for endpoint, _ in candidates)
        whole = any(endpoint.plan.whole for endpoint, _ in candidates)
        try:
            if whole:
                http.body = (await self.keep(_body_chunks(request)),)
            elif request.content_type.startswith("multipart/"):
                http.parts = [part async for part in self._multipart(request)]
            else:
                http.body = (await _read_limited(request, limit),)
        except TimeoutError as error:
            raise MalformedRequest("the body did not arrive in time") from error
        except (ValueError, aiohttp.ClientPayloadError, web.HTTPException) as error:
            raise MalformedRequest(f"the body cannot be read: {error}") from error

    async def _multipart(self, request: web.Request) -> AsyncIterator[FormPart]:
        reader = await request.multipart()
        count = 0
        while (part := await asyncio.wait_for(reader.next(), BODY_SECONDS)) is not None:
            count += 1
            if count > MAX_PARTS:
                raise MalformedRequest(f"more than {MAX_PARTS} parts in one multipart body")
            if not isinstance(part, aiohttp.BodyPartReader):
                raise MalformedRequest("nested multipart bodies are not read")
            name, filename = _part_names(part)
            content_type = part.headers.get("Content-Type")
            if filename is not None or (content_type or "").startswith(("image/", "application/octet", "video/")):
                yield FormPart(name, await self.keep(_part_chunks(part)), filename, content_type)
            else:
                data = bytearray()
                async for chunk in _part_chunks(part):
                    data += chunk
                    if len(data) > MAX_TEXT_PART:
                        raise MalformedRequest(f"the part '{name}' is over {MAX_TEXT_PART} bytes")
                yield _text_part(name, bytes(data), content_type)

    def _serve_socket(self, handler: SocketHandler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            raw = web.WebSocketResponse(max_msg_size=4 << 20)
            if not raw.can_prepare(request):
                return await _write(
                    request, HttpResponse(400, [("Content-Type", "text/plain")], b"a WebSocket lives here")
                )
            await raw.prepare(request)
            await handler(_head(request), Socket(raw))
            if not raw.closed:
                await raw.close()
            return raw

        return serve


def _head(request: web.Request) -> HttpRequest:
    host = request.headers.get("Host", request.host)
    return HttpRequest(
        request.method,
        request.raw_path.partition("?")[0],
        list(request.query.items()),
        dict(request.headers),
        params={k: unquote(v) if "%" in v else v for k, v in request.match_info.items()},
        base_url=f"{request.scheme}://{host}",
    )


def _any_case(path: str) -> str:
    """Return an aiohttp path whose fixed pieces match in any case; placeholders stay as they are."""
    pieces = path.strip("/").split("/")
    return "/" + "/".join(p if "{" in p else f"{{_{n}:(?i:{re.escape(p)})}}" for n, p in enumerate(pieces))


async def _read_limited(request: web.Request, limit: int) -> bytes:
    length = request.content_length
    if length is not None and length > limit:
        await _drain(request)
        raise BodyTooLarge(f"the body has {length} bytes, the limit is {limit}")
    data = bytearray()
    async for chunk in _body_chunks(request):
        data += chunk
        if len(data) > limit:
            await _drain(request)
            raise BodyTooLarge(f"the body is over {limit} bytes")
    return bytes(data)


async def _drain(request: web.Request) -> None:
    """Read what is left, up to a bound, so that the client sees the answer rather than a broken pipe."""
    left = 256 << 20
    async for chunk in _body_chunks(request):
        left -= len(chunk)
        if left < 0:
            return


async def _body_chunks(request: web.Request) -> AsyncIterator[bytes]:
    while chunk := await asyncio.wait_for(request.content.readany(), BODY_SECONDS):
        yield chunk


async def _part_chunks(part: aiohttp.BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await asyncio.wait_for(part.read_chunk(1 << 18), BODY_SECONDS):
        yield chunk


def _part_names(part: aiohttp.BodyPartReader) -> tuple[str, str | None]:
    return part.name or "", part.filename


def _text_part(name: str, data: bytes, content_type: str | None) -> FormPart:
    from yizhan.model.media import BytesContent

    try:
        return FormPart(name, data.decode(), None, content_type)
    except UnicodeDecodeError:
        return FormPart(name, BytesContent(data), None, content_type)


def _same(given: Any, wanted: Any) -> bool:
    return given == wanted or str(given) == str(wanted)


def _target(endpoint: Endpoint[Any, Any], http: HttpRequest, fields: Mapping[str, Any] | None) -> str:
    if not endpoint.target:
        return ""
    first, *rest = endpoint.target.split(".")
    if first in http.params:
        return http.params[first]
    if fields is None:
        try:
            fields = endpoint.codec.decode(http)
        except MalformedRequest:
            return ""
    value: Any = fields.get(first)
    for name in rest:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value) if value is not None else ""


async def _write(request: web.Request, response: HttpResponse) -> web.StreamResponse:
    headers = [(k, v) for k, v in response.headers if k.lower() != "content-length"]
    if isinstance(response.body, bytes):
        return _BareResponse(status=response.status, body=response.body, headers=_multi(headers))
    stream = web.StreamResponse(status=response.status, headers=_multi(headers))
    stream.content_length = sum(len(p) if isinstance(p, bytes) else p.size for p in response.body)
    await stream.prepare(request)
    if request.method != "HEAD":
        async for data, _ in stream_pieces(response.body):
            await stream.write(data)
    await stream.write_eof()
    return stream


class _BareResponse(web.Response):
    """A response that adds no charset to the Content-Type: some clients compare it for equality."""


def _multi(headers: Sequence[tuple[str, str]]) -> Any:
    from multidict import CIMultiDict

    return CIMultiDict(headers)
