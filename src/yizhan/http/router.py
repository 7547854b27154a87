"""The server's end of the wire: routes endpoints to handlers and writes failures in the platform's own shape."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from aiohttp import web
from msgspec import Struct
from multidict import CIMultiDict

from yizhan.http.payload import stream_pieces
from yizhan.http.request_body import BodyReader, FileStore, clean
from yizhan.http.websocket import Socket, SocketClosed
from yizhan.wire import (
    Endpoint,
    Envelope,
    Fault,
    FaultCode,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    decode_request,
    encode_response,
)

log = logging.getLogger(__name__)

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

_PLAIN_TEXT = [("Content-Type", "text/plain")]


@dataclass(slots=True)
class Call(Generic[Req]):
    """A decoded request, as handlers receive it."""

    platform: str
    endpoint: Endpoint[Req, Any]
    request: Req
    http: HttpRequest

    @property
    def base_url(self) -> str:
        return self.http.base_url


class Cut(Exception):
    """Raised by an observer to close the connection without an answer."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as observers (record, chaos) see it."""

    platform: str
    endpoint: str
    target: str
    http: HttpRequest
    response: HttpResponse | None = None
    note: str = ""
    table: Envelope | None = None
    started: float = field(default_factory=time.perf_counter)
    extra: dict[str, Any] = field(default_factory=dict)


class ExchangeObserver(Protocol):
    """Observes every exchange. `before` may raise Fault or Cut, or answer in place of the handler."""

    async def before(self, exchange: Exchange) -> HttpResponse | None: ...
    async def after(self, exchange: Exchange) -> None: ...
    def done(self, exchange: Exchange) -> None: ...


Handler = Callable[[Call[Any]], Awaitable[Any]]
SocketHandler = Callable[[HttpRequest, Socket], Awaitable[None]]
Candidates = Sequence[tuple[Endpoint[Any, Any], Handler]]
"""The endpoints that share one method and path."""


class Router:
    """The endpoints that one platform serves; `mount` adds them to an aiohttp application.

    `files` stores uploaded files as they stream in. `unknown` answers a request to a shared path whose constants match
    no endpoint.
    """

    def __init__(self, platform: str, envelope: Envelope, files: FileStore) -> None:
        self.platform = platform
        self.envelope = envelope
        self.body_reader = BodyReader(files)
        self.observer: ExchangeObserver | None = None
        self.routes: dict[tuple[str, str], list[tuple[Endpoint[Any, Any], Handler]]] = {}
        self._indexes: dict[int, tuple[str, dict[str, Candidates]]] = {}
        self.sockets: dict[str, tuple[str, SocketHandler]] = {}
        self.unknown: Callable[[HttpRequest, Mapping[str, Any]], Fault] | None = None
        self.not_found: Callable[[HttpRequest, int], HttpResponse] | None = None
        """Answers requests without a route (404 or 405) in the platform's way; by default the envelope does."""
        self.prefixes: tuple[str, ...] = ()
        """Paths below which every request belongs to this platform; if unset, the most similar route decides."""
        self.shown_target: Callable[[HttpRequest, str], str] | None = None
        """Returns a stable name for observers where a target's name on the wire changes with every login."""
        self.any_case = False
        """Whether paths match without regard to case, as some platforms do."""

    def on(
        self, endpoint: Endpoint[Req, Res]
    ) -> Callable[[Callable[[Call[Req]], Awaitable[Res | HttpResponse]]], Callable[[Call[Req]], Awaitable[Any]]]:
        """Register the handler of `endpoint`. It returns the answer's struct or an HttpResponse, or raises Fault."""

        def register(handler: Callable[[Call[Req]], Awaitable[Any]]) -> Callable[[Call[Req]], Awaitable[Any]]:
            self.add(endpoint, handler)
            return handler

        return register

    def add(self, endpoint: Endpoint[Any, Any], handler: Handler) -> None:
        self._indexes.clear()
        for method in (endpoint.method, *endpoint.also):
            self.routes.setdefault((method, endpoint.path), []).append((endpoint, handler))

    def socket(self, path: str, handler: SocketHandler, name: str = "socket") -> None:
        """Serve a WebSocket at `path`; the handler runs while it is open. Observers see it as `name`."""
        self.sockets[path] = name, handler

    @property
    def paths(self) -> list[tuple[str, str]]:
        """All served methods and paths, including those of WebSockets."""
        return [*self.routes, *(("GET", path) for path in self.sockets)]

    @property
    def endpoints(self) -> list[Endpoint[Any, Any]]:
        seen = {e.name: e for routes in self.routes.values() for e, _ in routes}
        return list(seen.values())

    def mount(self, app: web.Application) -> None:
        """Add every route to an aiohttp application."""
        for (method, path), candidates in self.routes.items():
            app.router.add_route(method, _any_case(path) if self.any_case else path, self._serve(candidates))
        for path, (name, handler) in self.sockets.items():
            app.router.add_get(path, self._serve_socket(name, handler))

    def _serve(self, candidates: Candidates) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                return await write_response(request, await self._exchange(request, candidates, head_of(request)))
            except (Cut, ConnectionError):
                return _NoAnswer.after_closing(request)

        return serve

    async def answer(self, http: HttpRequest) -> HttpResponse:
        """Answer a request that came by another way, such as a command on a WebSocket; its body is in `http` already.

        Raises:
            LookupError: no endpoint has that method and path.
            Cut: an observer closes the connection without an answer.
        """
        return await self._exchange(None, self.routes[http.method, http.path], http)

    async def _exchange(self, request: web.Request | None, candidates: Candidates, http: HttpRequest) -> HttpResponse:
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

    async def _answer(self, request: web.Request | None, candidates: Candidates, exchange: Exchange) -> HttpResponse:
        http = exchange.http
        # With one candidate the endpoint is known even if the body cannot be read.
        endpoint: Endpoint[Any, Any] | None = candidates[0][0] if len(candidates) == 1 else None
        envelope = candidates[0][0].envelope
        try:
            if request is not None:
                await self._read_body(request, http, candidates)
            endpoint, handler, fields = self._choose(candidates, http)
            envelope = endpoint.envelope
            exchange.endpoint, exchange.table = endpoint.name, envelope
            exchange.target, fields = _target(endpoint, http, fields)
            if exchange.target and self.shown_target is not None:
                exchange.target = self.shown_target(http, exchange.target)
            if self.observer is not None:
                instead = await self.observer.before(exchange)
                if instead is not None:
                    return instead
            decoded = decode_request(endpoint, http, fields)
            answer = await handler(Call(self.platform, endpoint, decoded, http))
            return encode_response(endpoint, answer)
        except Fault as fault:
            return self._fail(envelope, endpoint, fault)
        except MalformedRequest as error:
            return self._fail(envelope, endpoint, error)
        except (Cut, asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            # A handler's own mistake must not look like the platform's answer, nor take the server down.
            log.exception("handler failed", extra={"platform": self.platform, "endpoint": exchange.endpoint})
            exchange.note = "handler failed"
            return HttpResponse(500, _PLAIN_TEXT, b"the sandbox failed; see its log")

    def _choose(
        self, candidates: Candidates, http: HttpRequest
    ) -> tuple[Endpoint[Any, Any], Handler, Mapping[str, Any] | None]:
        endpoint, handler = candidates[0]
        if not endpoint.constants and not endpoint.constant_query and len(candidates) == 1:
            return endpoint, handler, None
        fields = endpoint.codec.decode(http)
        for endpoint, handler in self._with_constant(candidates, fields):
            if all(_same(fields.get(k), v) for k, v in endpoint.constants.items()) and all(
                http.query_value(k) == v for k, v in endpoint.constant_query.items()
            ):
                return endpoint, handler, fields
        if self.unknown is not None:
            raise self.unknown(http, fields)
        raise MalformedRequest("no call of this path matches the request")

    def _with_constant(self, candidates: Candidates, fields: Mapping[str, Any]) -> Candidates:
        """Return the candidates with the request's constant; one path may carry a hundred that differ by one number."""
        index = self._indexes.get(id(candidates))
        if index is None:
            index = self._indexes[id(candidates)] = _index(candidates)
        name, by_value = index
        return candidates if not name else by_value.get(str(fields.get(name)), ())

    async def _read_body(self, request: web.Request, http: HttpRequest, candidates: Candidates) -> None:
        if request.body_exists:
            limit = max(endpoint.max_bytes for endpoint, _ in candidates)
            whole = any(endpoint.plan.whole for endpoint, _ in candidates)
            await self.body_reader.read(request, http, limit, whole)

    def _serve_socket(
        self, name: str, handler: SocketHandler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            exchange = Exchange(self.platform, name, "", head_of(request), table=self.envelope)
            raw = web.WebSocketResponse(max_msg_size=4 << 20)
            try:
                refusal = await self._before_socket(exchange, raw.can_prepare(request).ok)
                if refusal is not None:
                    return await write_response(request, refusal)
                await raw.prepare(request)
                if self.observer is not None:
                    await self.observer.after(exchange)
            except (Cut, ConnectionError):
                return _NoAnswer.after_closing(request)
            finally:
                if self.observer is not None:
                    self.observer.done(exchange)
            await self._run_socket(handler, exchange.http, raw)
            return raw

        return serve

    async def _before_socket(self, exchange: Exchange, can_open: bool) -> HttpResponse | None:
        exchange.response = HttpResponse(400, _PLAIN_TEXT, b"this path serves a WebSocket")
        if can_open:
            try:
                instead = await self.observer.before(exchange) if self.observer is not None else None
            except Fault as fault:
                instead = self._fail(self.envelope, None, fault)
            exchange.response = instead or HttpResponse(101)
        return exchange.response if exchange.response.status != 101 else None

    async def _run_socket(self, handler: SocketHandler, http: HttpRequest, raw: web.WebSocketResponse) -> None:
        code = 1000
        try:
            await handler(http, Socket(raw))
        except (SocketClosed, ConnectionError):
            pass
        except Exception:
            log.exception("socket handler failed", extra={"platform": self.platform})
            code = 1011
        if not raw.closed:
            await raw.close(code=code)

    def refuse(self, http: HttpRequest, status: int) -> HttpResponse:
        """Answer a request to this platform that no endpoint takes: `status` 404, or 405 for a wrong method."""
        if self.not_found is not None:
            return self.not_found(http, status)
        words = f"no such call: {http.method} {http.path}" if status == 404 else f"{http.method} is not allowed here"
        return self._fail(self.envelope, None, Fault(FaultCode(status, words, http=status)))

    def _fail(
        self, envelope: Envelope, endpoint: Endpoint[Any, Any] | None, why: Fault | MalformedRequest
    ) -> HttpResponse:
        try:
            fault = why if isinstance(why, Fault) else envelope.malformed(endpoint, why)
            return envelope.fail(endpoint, fault)
        except Exception:
            log.exception("fault could not be written", extra={"platform": self.platform, "fault": str(why)})
            return HttpResponse(400, _PLAIN_TEXT, str(why).encode("utf-8", "replace"))


def head_of(request: web.Request) -> HttpRequest:
    """Return the request without its body."""
    headers = {name: clean(value) for name, value in request.headers.items()}
    return HttpRequest(
        request.method,
        clean(request.rel_url.raw_path),
        [(clean(name), clean(value)) for name, value in request.query.items()] if "?" in request.raw_path else (),
        headers,
        params={name: clean(value) for name, value in request.match_info.items()},
        base_url=f"{request.scheme}://{headers.get('Host') or request.host}",
    )


def _any_case(path: str) -> str:
    """Return an aiohttp path whose fixed pieces match in any case; placeholders are unchanged."""
    pieces = path.strip("/").split("/")
    return "/" + "/".join(p if "{" in p else f"{{_{n}:(?i:{re.escape(p)})}}" for n, p in enumerate(pieces))


def _index(candidates: Candidates) -> tuple[str, dict[str, Candidates]]:
    """Return the one constant by which the candidates differ, and the candidates by its value; "" if there is none."""
    names = {tuple(endpoint.constants) for endpoint, _ in candidates}
    if len(names) != 1 or len(next(iter(names))) != 1:
        return "", {}
    (name,) = next(iter(names))
    by_value: dict[str, list[tuple[Endpoint[Any, Any], Handler]]] = {}
    for endpoint, handler in candidates:
        by_value.setdefault(str(endpoint.constants[name]), []).append((endpoint, handler))
    return name, dict(by_value)


def _same(given: Any, wanted: Any) -> bool:
    return given == wanted or str(given) == str(wanted)


def _target(
    endpoint: Endpoint[Any, Any], http: HttpRequest, fields: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any] | None]:
    """Return the recipient of the request, and the fields of the body if they were decoded."""
    if not endpoint.target:
        return "", fields
    first, *rest = endpoint.target.split(".")
    if first in http.params:
        return http.params[first], fields
    if fields is None:
        fields = endpoint.codec.decode(http)
    value: Any = fields.get(first)
    for name in rest:
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value), fields


async def write_response(request: web.Request, response: HttpResponse) -> web.StreamResponse:
    """Return `response` as a response of aiohttp; a body in pieces is written here."""
    headers = CIMultiDict((k, _LINE_ENDS.sub(" ", v)) for k, v in response.headers if k.lower() != "content-length")
    if isinstance(response.body, bytes):
        return _BareResponse(status=response.status, body=response.body, headers=headers)
    stream = web.StreamResponse(status=response.status, headers=headers)
    stream.content_length = sum(len(p) if isinstance(p, bytes) else p.size for p in response.body)
    await stream.prepare(request)
    if request.method != "HEAD":
        async for data, _ in stream_pieces(response.body):
            await stream.write(data)
    await stream.write_eof()
    return stream


_LINE_ENDS = re.compile(r"[\r\n\0]")


class _BareResponse(web.Response):
    """A response that adds no charset to the Content-Type: some clients compare it for equality."""


class _NoAnswer(web.Response):
    """Ends a request whose connection is closed, without writing or logging anything."""

    @classmethod
    def after_closing(cls, request: web.Request) -> _NoAnswer:
        if request.transport is not None:
            request.transport.abort()
        return cls()

    async def prepare(self, request: web.BaseRequest) -> Any:
        raise ConnectionResetError("the line is closed")
