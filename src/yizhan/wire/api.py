"""Declares the endpoints of one chapter of an API without repeating what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar, Unpack

from msgspec import Struct

from yizhan.wire.codec import JSON, Codec
from yizhan.wire.endpoint import Endpoint, Envelope

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


class Differing(TypedDict, total=False):
    """The fields of an `Endpoint` that may differ from those of its `Api`."""

    source: str
    envelope: Envelope
    codec: Codec
    also: tuple[str, ...]
    constants: Mapping[str, Any]
    constant_query: Mapping[str, str]
    acts: bool
    target: str
    role: str
    timeout: float
    max_bytes: int
    strict: bool


@dataclass(frozen=True)
class Api:
    """Endpoints that share an envelope, a source and a prefix: `API.post("getconfig", GetConfig, Config)`.

    A call's path is `prefix` and, after a slash, its name unless `path` names another; `path` is joined as it is.
    """

    envelope: Envelope
    source: str
    prefix: str = ""
    codec: Codec = JSON
    role: str = "api"
    timeout: float = 30.0
    max_bytes: int = 1 << 20
    strict: bool = False
    constant_query: Mapping[str, str] = field(default_factory=dict)

    def get(
        self,
        name: str,
        request: type[Req],
        response: type[Res],
        path: str | None = None,
        **differing: Unpack[Differing],
    ) -> Endpoint[Req, Res]:
        return self.call("GET", name, request, response, path, **differing)

    def post(
        self,
        name: str,
        request: type[Req],
        response: type[Res],
        path: str | None = None,
        **differing: Unpack[Differing],
    ) -> Endpoint[Req, Res]:
        return self.call("POST", name, request, response, path, **differing)

    def call(
        self,
        method: str,
        name: str,
        request: type[Req],
        response: type[Res],
        path: str | None = None,
        **differing: Unpack[Differing],
    ) -> Endpoint[Req, Res]:
        """Declare a call of any method; keyword arguments replace what the endpoints share."""
        full_path = self.prefix + (f"/{name}" if path is None else path)
        differing.setdefault("envelope", self.envelope)
        differing.setdefault("source", self.source)
        differing.setdefault("codec", self.codec)
        differing.setdefault("role", self.role)
        differing.setdefault("timeout", self.timeout)
        differing.setdefault("max_bytes", self.max_bytes)
        differing.setdefault("strict", self.strict)
        differing.setdefault("constant_query", self.constant_query)
        return Endpoint(name, method, full_path, request, response, **differing)
