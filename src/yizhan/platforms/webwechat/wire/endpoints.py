"""The shapes of an endpoint of this wire: a call with a JSON body, a GET without one, a multipart upload."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct

from yizhan.platforms.webwechat.wire.base import PREFIX, WEB_JSON
from yizhan.platforms.webwechat.wire.envelopes import JSON_ENVELOPE, RAW_ENVELOPE, UPLOAD_ENVELOPE
from yizhan.wire import MULTIPART, NO_BODY, Endpoint, Envelope, RawAnswer

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


def post(
    name: str,
    request: type[Req],
    response: type[Res],
    source: str,
    envelope: Envelope = JSON_ENVELOPE,
    **options: Any,
) -> Endpoint[Req, Res]:
    """Declare a call with a JSON body."""
    return Endpoint(name, "POST", f"{PREFIX}/{name}", request, response, envelope, source, codec=WEB_JSON, **options)


def get(
    name: str,
    request: type[Req],
    response: type[Res],
    source: str,
    envelope: Envelope = JSON_ENVELOPE,
    path: str = "",
    **options: Any,
) -> Endpoint[Req, Res]:
    """Declare a call without a body. `path` is `PREFIX/name` if empty."""
    return Endpoint(
        name, "GET", path or f"{PREFIX}/{name}", request, response, envelope, source, codec=NO_BODY, **options
    )


def download(name: str, request: type[Req], source: str, role: str = "api") -> Endpoint[Req, RawAnswer]:
    """Declare a GET whose response is the bytes of a file."""
    return get(name, request, RawAnswer, source, RAW_ENVELOPE, role=role)


def upload(name: str, request: type[Req], response: type[Res], source: str) -> Endpoint[Req, Res]:
    """Declare a multipart upload; browsers send an OPTIONS request before it."""
    return Endpoint(
        name,
        "POST",
        f"{PREFIX}/{name}",
        request,
        response,
        UPLOAD_ENVELOPE,
        source,
        codec=MULTIPART,
        also=("OPTIONS",),
        role="file",
        timeout=120,
    )
