"""An HTTP listener: serves routers at one address and answers the requests that no router takes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from yizhan.errors import ConfigError
from yizhan.http.router import Exchange, ExchangeObserver, Router, head_of, write_response
from yizhan.wire import HttpRequest, HttpResponse

MAX_LINE = 32 << 10
"""Bytes of the request line; web WeChat sends its tickets in it."""
MAX_HEADER = 32 << 10
"""Bytes of one header line."""
MAX_HEADERS = 200
IDLE_SECONDS = 300.0
"""Longest time that a connection stays open without a complete request."""
LINGER_SECONDS = 5.0
"""Longest time for which the rest of a refused body is read, so that the client sees the answer."""

_PLACEHOLDER = re.compile(r"{\w+}")


class HttpListener:
    """Serves `routers` at one address. `root` answers `GET /`; `observer` is shown requests to unknown paths.

    Raises:
        ConfigError: two routers serve the same path, or the port is out of range; from `start`, the address cannot be
            bound.
    """

    def __init__(
        self,
        routers: Sequence[Router],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        root: HttpResponse | None = None,
        observer: ExchangeObserver | None = None,
    ) -> None:
        if not 0 <= port <= 65535:
            raise ConfigError(f"There is no port {port}: a port is a number up to 65535, or 0 for a free one.")
        for first, second, path in collisions(routers):
            raise ConfigError(f"The platforms '{first}' and '{second}' both serve {path}; leave one of them out.")
        self._routers = tuple(routers)
        self._host = host
        self._wanted_port = port
        self._root = root
        self._observer = observer
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The bound port, once started."""

    async def start(self) -> None:
        runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=_http_log,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
            shutdown_timeout=0.5,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted_port, backlog=1024).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise ConfigError(
                f"Cannot listen on {self._host}:{self._wanted_port}: {error}. Choose another port, or 0 for a free one."
            ) from error
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def close(self) -> None:
        """Stop accepting requests and end the running ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The address for clients on this machine, without a trailing slash."""
        host = self._host
        if not host or host.strip("0.:") == "":
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def _app(self) -> web.Application:
        app = web.Application()
        for router in self._routers:
            router.mount(app)
        app.router.add_route("*", "/{tail:.*}", self._stray)
        return app

    async def _stray(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that no router takes, in the shape of the platform that it was most likely meant for."""
        http = head_of(request)
        allowed = self._methods_of(http.path)
        owner = self._owner(http.path)
        if http.path == "/" and http.method in ("GET", "HEAD") and self._root is not None:
            response = self._root
        elif owner is not None:
            response = owner.refuse(http, 405 if allowed else 404)
        else:
            response = _plain_refusal(http, 405 if allowed else 404)
        if allowed:
            headers = [*response.headers, ("Allow", ", ".join(sorted(allowed)))]
            response = HttpResponse(response.status, headers, response.body)
        if self._observer is not None:
            self._observer.done(Exchange(owner.platform if owner else "", "", "", http, response))
        return await write_response(request, response)

    def _methods_of(self, path: str) -> set[str]:
        """Return the methods that some router serves at `path`."""
        return {method for router in self._routers for method, served in router.paths if _serves(router, served, path)}

    def _owner(self, path: str) -> Router | None:
        """Return the router with the longest matching prefix, else the one with the most similar route, else None."""
        named = [(len(p), r) for r in self._routers for p in r.prefixes if path == p or path.startswith(p + "/")]
        if named:
            return max(named, key=lambda pair: pair[0])[1]
        close = [(max((_shared_pieces(served, path) for _, served in r.paths), default=0), r) for r in self._routers]
        best = max((score for score, _ in close), default=0)
        winners = [router for score, router in close if score == best]
        return winners[0] if best and len(winners) == 1 else None


def collisions(routers: Sequence[Router]) -> Iterator[tuple[str, str, str]]:
    """Yield the paths that two routers both serve: both platforms, and the path as the first one writes it."""
    for first, second in combinations(routers, 2):
        others: dict[tuple[str, int], list[str]] = {}
        for method, path in second.paths:
            others.setdefault((method, path.count("/")), []).append(path)
        for method, path in first.paths:
            for other in others.get((method, path.count("/")), ()):
                if _overlap(path, other):
                    yield first.platform, second.platform, f"{method} {path}"


def _overlap(first: str, second: str) -> bool:
    """Whether one request path can match both templates, ignoring case as some platforms do."""
    pairs = zip(first.lower().split("/"), second.lower().split("/"), strict=True)
    return all(a == b or "{" in a or "{" in b for a, b in pairs)


def _serves(router: Router, served: str, path: str) -> bool:
    pattern = "[^/]+".join(re.escape(piece) for piece in _PLACEHOLDER.split(served))
    return re.fullmatch(pattern, path, re.IGNORECASE if router.any_case else 0) is not None


def _shared_pieces(served: str, path: str) -> int:
    """Return how many leading pieces of `path` a served path has."""
    count = 0
    for ours, theirs in zip(served.split("/")[1:], path.split("/")[1:], strict=False):
        if ours != theirs and "{" not in ours:
            break
        count += 1
    return count


def _plain_refusal(http: HttpRequest, status: int) -> HttpResponse:
    words = f"nothing is served at {http.path}" if status == 404 else f"{http.method} is not allowed at {http.path}"
    body = msgspec.json.encode({"code": status, "message": words})
    return HttpResponse(status, [("Content-Type", "application/json")], body)


class _NoClientErrors(logging.Filter):
    """Drops the stack traces of unreadable requests, which are answered with 400."""

    def filter(self, record: logging.LogRecord) -> bool:
        cause = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        return not isinstance(cause, (HttpProcessingError, web.RequestPayloadError, ConnectionError))


_http_log = logging.getLogger("yizhan.http.access")
_http_log.addFilter(_NoClientErrors())
