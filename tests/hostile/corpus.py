"""Recorded requests of real clients as plain values, one shape for all platforms; the seeds of the fuzzer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

PLATFORMS = Path(__file__).parents[1] / "platforms"
BOUNDARY = "----recorded"
LEFT_OUT = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "content-encoding"}
"""Headers that the fuzzer writes itself."""


@dataclass(frozen=True)
class Recorded:
    """One request as a client sent it. `body` is JSON (a dict or list), bytes, or None."""

    method: str
    target: str
    """Path and query as in the request line."""
    headers: tuple[tuple[str, str], ...]
    body: Any
    content_type: str


def recorded_requests(platform: str) -> list[Recorded]:
    """Return every request that a client sent to `platform` in its recordings, in the order of the files."""
    folder = PLATFORMS / platform / "recordings" / "data"
    return [_recorded(request) for file in sorted(folder.glob("*.json*")) for request in _requests_in(file)]


def _requests_in(file: Path) -> Iterator[dict[str, Any]]:
    texts = file.read_text("utf-8").splitlines() if file.suffix == ".jsonl" else [file.read_text("utf-8")]
    for text in texts:
        record = json.loads(text)
        # Pushes and webhooks are requests that the platform itself sends.
        if "request" in record and record.get("direction") != "push" and "client_response" not in record:
            yield record["request"]


def _recorded(request: dict[str, Any]) -> Recorded:
    headers = request.get("headers", [])
    pairs = list(headers.items()) if isinstance(headers, dict) else [(name, value) for name, value in headers]
    kept = tuple((name, value) for name, value in pairs if name.lower() not in {*LEFT_OUT, "content-type"})
    stated = next((value for name, value in pairs if name.lower() == "content-type"), request.get("content_type", ""))
    body, content_type = _body(request.get("body"), stated)
    return Recorded(request["method"], _target(request), kept, body, content_type)


def _target(request: dict[str, Any]) -> str:
    query = request.get("query") or {}
    pairs = list(query.items()) if isinstance(query, dict) else query
    text = request.get("raw_query") or urlencode([(name, str(value)) for name, value in pairs])
    return quote(request["path"], safe="/%:@") + (f"?{text}" if text else "")


def _body(body: Any, content_type: str) -> tuple[Any, str]:
    """Return the body and its content type. Multipart bodies are written anew, with small files in place of large."""
    match body:
        case {"_multipart": parts}:
            return _multipart([(part["content_disposition"], part.get("text", "file bytes")) for part in parts])
        case {"_binary": _}:
            return b"\x00\x01\x02" * 50, content_type
        case {"kind": "none"}:
            return None, content_type
        case {"kind": "json", "json": value}:
            return value, content_type
        case {"kind": "text", "text": text}:
            return text.encode(), content_type
        case {"kind": "multipart", "fields": fields}:
            return _multipart([_field(part) for part in fields])
        case {"kind": "binary"}:
            return base64.b64decode(body.get("base64", "")), content_type
        case {"encoding": "base64", "data": data}:
            return base64.b64decode(data), content_type
        case str():
            return body.encode(), content_type
        case _:
            return body, content_type


def _field(part: dict[str, Any]) -> tuple[str, str]:
    shown = f'; filename="{part["filename"]}"' if "filename" in part else ""
    return f'form-data; name="{part["name"]}"{shown}', part.get("value", "file bytes")


def _multipart(parts: list[tuple[str, str]]) -> tuple[bytes, str]:
    text = "".join(
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n" for disposition, content in parts
    )
    return f"{text}--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"
