"""The request log: exchanges are stored by reference as they end, and masked when they are read."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from yizhan.http.router import Exchange
from yizhan.sandbox.wire import Answered, RequestView
from yizhan.wire import Base64, FormPart, HttpResponse, Piece, is_secret, mask_text, mask_value

MAX_KEPT = 50_000
"""Exchanges kept; older ones are dropped."""
MAX_BODY = 16 << 10
"""Bytes of a body; of a longer one only the size is kept."""
MAX_BODIES = 64 << 20
"""Bytes of all bodies together; the oldest are dropped first."""
MAX_TEXT = 1 << 10
"""Characters kept of a path, of one header or query value, of the target; the rest is cut off."""
MAX_PAIRS = 64
"""Headers, and query parameters, kept of one request or answer."""
MAX_HEADS = 64 << 20
"""Bytes of all headers and queries together; the oldest are dropped first."""
MASK = "***"


class Entry:
    """One finished exchange."""

    __slots__ = ("answer_size", "at", "exchange", "head_bytes", "kept_bytes", "ms", "number", "request_size")

    def __init__(self, number: int, at: float, ms: float, exchange: Exchange) -> None:
        self.number = number
        self.at = at
        self.ms = ms
        self.exchange = exchange
        http, response = exchange.http, exchange.response
        asked = _size(http.body)
        if http.parts:
            asked += sum(_part_size(part) for part in http.parts)
        answered = 0 if response is None else _size(response.body)
        if asked > MAX_BODY:
            exchange.http = replace(http, body=(), parts=[_without_content(part) for part in http.parts])
        if response is not None and answered > MAX_BODY:
            exchange.response = replace(response, body=b"")
        self.request_size = asked
        self.answer_size = answered
        self.head_bytes = _bound_head(exchange)
        self.kept_bytes = (asked if asked <= MAX_BODY else 0) + (answered if answered <= MAX_BODY else 0)

    @property
    def status(self) -> int:
        response = self.exchange.response
        return 0 if response is None or "cut" in self.exchange.note else response.status

    def strip_head(self) -> None:
        """Drop headers and queries."""
        exchange = self.exchange
        exchange.http = replace(exchange.http, query=(), headers={}, params={})
        if exchange.response is not None:
            exchange.response = replace(exchange.response, headers=())

    def strip(self) -> None:
        """Drop the bodies."""
        exchange = self.exchange
        exchange.http = replace(exchange.http, body=(), parts=())
        if exchange.response is not None:
            exchange.response = replace(exchange.response, body=b"")


class RequestLog:
    """Every exchange, newest last; the routers call `done` for each."""

    def __init__(self, now: Callable[[], float], kept: int = MAX_KEPT) -> None:
        self._now = now
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._with_bodies: deque[Entry] = deque()
        self._bytes = 0
        self._with_heads: deque[Entry] = deque()
        self._head_bytes = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._number = 0

    def done(self, exchange: Exchange) -> None:
        """Add one exchange."""
        self._number += 1
        entry = Entry(self._number, self._now(), (time.perf_counter() - exchange.started) * 1000, exchange)
        self._entries.append(entry)
        key = exchange.platform, exchange.endpoint
        self._counts[key] = self._counts.get(key, 0) + 1
        self._with_bodies.append(entry)
        self._bytes += entry.kept_bytes
        while self._bytes > MAX_BODIES or len(self._with_bodies) > len(self._entries):
            oldest = self._with_bodies.popleft()
            self._bytes -= oldest.kept_bytes
            oldest.strip()
        self._with_heads.append(entry)
        self._head_bytes += entry.head_bytes
        while self._head_bytes > MAX_HEADS or len(self._with_heads) > len(self._entries):
            oldest = self._with_heads.popleft()
            self._head_bytes -= oldest.head_bytes
            oldest.strip_head()

    def clear(self) -> None:
        self._entries.clear()
        self._with_bodies.clear()
        self._bytes = 0
        self._with_heads.clear()
        self._head_bytes = 0
        self._counts.clear()
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def count(self, *, platform: str = "", endpoint: str = "", **more: Any) -> int:
        """Return the number of matching exchanges; by platform and endpoint, dropped ones count, too."""
        if any(value not in ("", None, 0) for value in more.values()):
            return sum(1 for _ in self.select(platform=platform, endpoint=endpoint, **more))
        return sum(n for (p, e), n in self._counts.items() if _fits(p, platform) and _fits(e, endpoint))

    def select(
        self, *, platform: str = "", endpoint: str = "", target: str = "", status: int | None = None, since: int = 0
    ) -> Iterator[Entry]:
        """Yield the matching entries in order. Names may be globs; `since` is a number and excludes it."""
        for entry in self._entries:
            exchange = entry.exchange
            if (
                entry.number > since
                and _fits(exchange.platform, platform)
                and _fits(exchange.endpoint, endpoint)
                and _fits(exchange.target, target)
                and status in (None, entry.status)
            ):
                yield entry


def view(entry: Entry) -> RequestView:
    """Return an entry as the control calls show it, secrets masked."""
    exchange = entry.exchange
    http, response = exchange.http, exchange.response or HttpResponse(0)
    return RequestView(
        number=entry.number,
        at=entry.at,
        ms=round(entry.ms, 3),
        platform=exchange.platform,
        endpoint=exchange.endpoint,
        target=exchange.target,
        method=http.method,
        path=http.path,
        query=[(name, MASK if is_secret(name) else mask_text(value)) for name, value in http.query],
        headers={name: _header(name, value) for name, value in http.headers.items()},
        body=_body(http.body, http.header("content-type")),
        parts=[_part(part) for part in http.parts],
        size=entry.request_size,
        status=entry.status,
        answer=Answered(
            status=entry.status,
            headers=[(name, _header(name, value)) for name, value in response.headers],
            body=_body(response.body, response.content_type),
            size=entry.answer_size,
        ),
        note=exchange.note,
    )


def _fits(value: str, wanted: str) -> bool:
    return not wanted or value == wanted or fnmatchcase(value, wanted)


def _bound_head(exchange: Exchange) -> int:
    """Cut long fields in the heads of request and answer; return roughly the bytes that remain."""
    http, response = exchange.http, exchange.response
    queries = list(http.query)
    headers = list(http.headers.items())
    answered = [] if response is None else list(response.headers)
    size = sum(len(name) + len(value) for pairs in (queries, headers, answered) for name, value in pairs)
    size += len(http.path) + len(exchange.target)
    if size > MAX_TEXT or len(headers) > MAX_PAIRS or len(queries) > MAX_PAIRS:
        queries, headers, answered = _cut_pairs(queries), _cut_pairs(headers), _cut_pairs(answered)
        exchange.http = replace(http, path=_cut(http.path), query=queries, headers=dict(headers), params={})
        exchange.target = _cut(exchange.target)
        if response is not None:
            exchange.response = replace(response, headers=answered)
        size = sum(len(name) + len(value) for pairs in (queries, headers, answered) for name, value in pairs)
    return size


def _cut_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_cut(name), _cut(value)) for name, value in pairs[:MAX_PAIRS]]


def _cut(text: str) -> str:
    # Plain dots: an ellipsis would double the memory of an ASCII text.
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def _size(body: bytes | Iterable[Piece]) -> int:
    if isinstance(body, bytes):
        return len(body)
    if isinstance(body, tuple) and len(body) == 1 and isinstance(body[0], bytes):
        return len(body[0])
    return sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in body)


def _part_size(part: FormPart) -> int:
    return len(part.value) if isinstance(part.value, str) else part.value.size


def _without_content(part: FormPart) -> FormPart:
    small = _part_size(part) <= MAX_BODY // 16
    return part if small or not isinstance(part.value, str) else FormPart(part.name, "…", part.filename)


def _header(name: str, value: str) -> str:
    lower = name.lower()
    if lower in ("cookie", "set-cookie"):
        pairs = value.split(";") if lower == "cookie" else [value]
        return "; ".join(f"{pair.partition('=')[0].strip()}={MASK}" for pair in pairs if pair.strip())
    if lower == "authorization" and " " in value:
        return f"{value.partition(' ')[0]} {MASK}"
    return MASK if is_secret(name) and value else mask_text(value)


def _body(body: bytes | Iterable[Piece], content_type: str) -> Any:
    pieces = [body] if isinstance(body, bytes) else list(body)
    if not pieces or not all(isinstance(piece, bytes) for piece in pieces):
        return [_content(piece) for piece in pieces] or None
    return _readable(b"".join(piece for piece in pieces if isinstance(piece, bytes)), content_type)


def _readable(data: bytes, content_type: str) -> Any:
    """Return JSON decoded, forms as pairs, other text unchanged, and other bytes by their number."""
    if not data:
        return None
    try:
        if data[:1] in (b"{", b"["):
            return mask_value(msgspec.json.decode(data))
    except (ValueError, RecursionError):
        pass
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"bytes": len(data)}
    if content_type.startswith("application/x-www-form-urlencoded"):
        return mask_value(dict(parse_qsl(text, keep_blank_values=True)))
    return mask_text(text)


def _part(part: FormPart) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": part.name, "filename": part.filename, "content_type": part.content_type}
    if isinstance(part.value, str):
        return shown | {"text": MASK if is_secret(part.name) else _readable(part.value.encode(), "")}
    return shown | _content(part.value)


def _content(piece: Any) -> dict[str, Any]:
    content = piece.content if isinstance(piece, Base64) else piece
    if isinstance(content, bytes):
        return {"size": len(content)}
    return {"size": content.size, "sha256": getattr(content, "sha256", None)}
