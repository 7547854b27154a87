"""Seeded mutations of a recorded request: of its JSON, its bytes, its query, its headers and its framing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.hostile.corpus import Recorded

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 70, 1e308, -0.0, 0.5, "", " ", "0", "-1", "null", "x" * 70_000,
    "\x00", "\ud800", "\u202e\u200b", "张" * 3000, "../../etc/passwd", "http://127.0.0.1:9/", "file:///etc/passwd",
    "%00%2e%2e%2f",
    "<a>&b;</a>", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "' OR 1=1 --", [], {}, [[[]]],
    {"a": {"b": []}}, ["x"] * 2000,
)  # fmt: skip
ODD_BYTES = (b"\x00", b"\xff\xfe", b"\r\n", b"%", b'"', b"}", b"]" * 50, b"[" * 2000, b"&", b"<", b"\x80", b"9" * 400)
ODD_TYPES = (
    "", "application/json", "application/json; charset=utf-16", "application/json; charset=none", "text/plain",
    "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=", "text/xml",
    "multipart/form-data; boundary=----recorded", "application/octet-stream", "multipart/mixed; boundary=a",
)  # fmt: skip
ODD_HEADERS = (
    ("Content-Encoding", "gzip"), ("Content-Encoding", "br, gzip"), ("Expect", "100-continue"), ("Range", "bytes=9-1"),
    ("Cookie", "a=b; =; c"), ("Authorization", ""), ("Authorization", "Bearer \x7f"), ("Upgrade", "websocket"),
    ("X-Forwarded-For", "::1"), ("Accept", "x" * 4000), ("If-None-Match", "*"), ("Content-Range", "bytes 0-1/5"),
    ("Content-Length", "-1"), ("Content-Length", "3"), ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x"),
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW")


def mutated(recorded: Recorded, chance: random.Random) -> bytes:
    """Return the bytes of a request that differs from `recorded` in one to three places."""
    method, target, body = recorded.method, recorded.target, recorded.body
    headers, content_type = list(recorded.headers), recorded.content_type
    for _ in range(chance.choice((1, 1, 2, 3))):
        match chance.randrange(10):
            case 0:
                method = chance.choice(METHODS)
            case 1 | 2:
                target = _text_changed(target, chance)
            case 3:
                content_type = chance.choice(ODD_TYPES)
            case 4:
                headers = _headers_changed(headers, chance)
            case 5:
                body = _bytes_changed(_written(body), chance)
            case _:
                body = _value_changed(body, chance)
    return _framed(method, target, headers, content_type, _written(body), chance)


def _framed(
    method: str, target: str, headers: list[tuple[str, str]], content_type: str, body: bytes, chance: random.Random
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    stated = {name.lower() for name, _ in headers}
    if not stated & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: close")
    head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    if chance.random() < 0.02:
        head = _bytes_changed(head, chance)
    return head + b"\r\n\r\n" + body


def _written(body: Any) -> bytes:
    if body is None:
        return b""
    # Lone surrogates are written as JSON escapes, which is how they reach a server.
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _value_changed(value: Any, chance: random.Random) -> Any:
    """Return `value` with one leaf, at any depth, replaced, dropped, doubled or renamed."""
    match value:
        case bytes():
            return _bytes_changed(value, chance)
        case dict() if value and chance.random() < 0.85:
            name = chance.choice(list(value))
            kind = chance.randrange(8)
            if kind == 0:
                return {key: item for key, item in value.items() if key != name}
            if kind == 1:
                return {**value, name.swapcase() + chance.choice(("", "x")): value[name]}
            return {**value, name: _value_changed(value[name], chance)}
        case list() if value and chance.random() < 0.85:
            at = chance.randrange(len(value))
            return [*value[:at], _value_changed(value[at], chance), *value[at + 1 :]]
        case str() if value and chance.random() < 0.4:
            return _text_changed(value, chance)
        case _:
            return chance.choice(ODD_VALUES)


def _headers_changed(headers: list[tuple[str, str]], chance: random.Random) -> list[tuple[str, str]]:
    if not headers or chance.random() < 0.5:
        return [*headers, chance.choice(ODD_HEADERS)]
    at = chance.randrange(len(headers))
    name, value = headers[at]
    changed = [[], [(name, value), (name, value)], [(name, _one_line(_text_changed(value, chance)))]]
    return [*headers[:at], *chance.choice(changed), *headers[at + 1 :]]


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _text_changed(text: str, chance: random.Random) -> str:
    return _bytes_changed(text.encode("utf-8", "surrogatepass"), chance).decode("utf-8", "surrogateescape")


def _bytes_changed(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with one piece flipped, cut, doubled, replaced or put in."""
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 8, 64)))
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: data[:at] + bytes([chance.randrange(256)]) + data[to:],
        lambda: data[:at] + data[to:],
        lambda: data[:to] + data[at:],
        lambda: data[:at] + chance.choice(ODD_BYTES) + data[at:],
        lambda: data[:at],
    )
    return chance.choice(changes)()
