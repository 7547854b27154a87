"""An HTTP call described once, for client and server alike.

Four pure functions use it: `encode_request` and `decode_response` for the client, `decode_request` and
`encode_response` for the server. Answers are read leniently, requests exactly as strictly as the vendor does.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
from msgspec import Struct

from yizhan.errors import Rejected, Unavailable, WireMismatch, did_you_mean
from yizhan.model.secret import Mark
from yizhan.wire.codec import JSON, Codec
from yizhan.wire.fault import Fault, FaultTable
from yizhan.wire.http import HttpRequest, HttpResponse, MalformedRequest, WrongField
from yizhan.wire.mask import declare_secrets_of
from yizhan.wire.outcome import SUCCESS, fault_without_body
from yizhan.wire.words import problem_of

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


class Envelope(Protocol):
    """Ten lines per platform. `yizhan.wire.outcome` reads the HTTP status; an envelope reads the body alone."""

    @property
    def faults(self) -> FaultTable: ...

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        """Return the answer of a successful call, as the platform writes it."""

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        """Return the answer of a failed call, as the platform writes it. `endpoint` is None for unknown paths."""

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        """Read an answer. Raises Fault for a refusal in the platform's own words, WireMismatch for any other body."""

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        """Return the fault with which the platform answers an unreadable request."""


class Path(Mark):
    """A placeholder of the path, percent-encoded."""


class Query(Mark):
    """A query parameter; omitted if None or UNSET."""


class Header(Mark):
    """A header; omitted if None."""


class Whole(Mark):
    """The field is the whole body: bytes or content, without a codec."""


@dataclass(frozen=True)
class Endpoint(Generic[Req, Res]):
    """One call of a platform.

    `path` may hold placeholders such as `{openid}`, one for each field marked `Path()`; this is checked at import.
    `constants` are body fields with a fixed value; they distinguish endpoints that share a path. `acts`: repeating the
    call matters, since it sends or recalls. `target` names the request field (dotted) that holds the recipient.
    """

    name: str
    method: str
    path: str
    request: type[Req]
    response: type[Res]
    envelope: Envelope
    source: str
    codec: Codec = JSON
    also: tuple[str, ...] = ()
    """Further methods that clients use and the server accepts."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    constant_query: Mapping[str, str] = field(default_factory=dict)
    acts: bool = False
    target: str = ""
    role: str = "api"
    """The role of the host that serves it; see `Caller.bases`."""
    timeout: float = 30.0
    """Seconds from the last byte of the request to the end of the head of the answer; large bodies may take longer."""
    max_bytes: int = 1 << 20
    """Largest body that the server reads into memory; streamed files of a multipart body do not count."""
    strict: bool = False
    """Whether the server refuses fields and query parameters that the request struct does not have."""

    def __post_init__(self) -> None:
        named = {name for name, mark in self._marks.items() if isinstance(mark, Path)}
        wire_names = {self._wire_name(name) for name in named}
        wanted = set(re.findall(r"{(\w+)}", self.path))
        if wire_names != wanted:
            raise TypeError(f"{self.name}: the path has {sorted(wanted)}, the struct marks {sorted(wire_names)}")
        declare_secrets_of(self.request, self.response)

    @cached_property
    def _marks(self) -> dict[str, Mark]:
        marks: dict[str, Mark] = {}
        for name, hint in get_type_hints(self.request, include_extras=True).items():
            if get_origin(hint) is Annotated:
                for extra in get_args(hint)[1:]:
                    if isinstance(extra, type) and issubclass(extra, Mark):
                        marks[name] = extra()
                    elif isinstance(extra, Mark):
                        marks[name] = extra
        return marks

    def _wire_name(self, attribute: str) -> str:
        mark = self._marks.get(attribute)
        if mark is not None and mark.name:
            return mark.name
        return self._encoded_names[attribute]

    @cached_property
    def _encoded_names(self) -> dict[str, str]:
        return {f.name: f.encode_name for f in msgspec.structs.fields(self.request)}

    @cached_property
    def plan(self) -> Plan:
        """The fields of the request by their place, computed once."""
        return Plan(self)


class Plan:
    """The fields of an endpoint's request, by their place in it."""

    def __init__(self, endpoint: Endpoint[Any, Any]) -> None:
        fields = msgspec.structs.fields(endpoint.request)
        marks = endpoint._marks
        self.template = re.sub(r"{(\w+)}", r"{\1}", endpoint.path)
        self.path: list[tuple[str, str]] = []
        self.query: list[tuple[str, str]] = []
        self.header: list[tuple[str, str]] = []
        self.body: list[tuple[str, str]] = []
        self.whole: str | None = None
        self.defaults: dict[str, Any] = {}
        omit = endpoint.request.__struct_config__.omit_defaults
        for f in fields:
            wire = endpoint._wire_name(f.name)
            match marks.get(f.name):
                case Path():
                    self.path.append((f.name, wire))
                case Query():
                    self.query.append((f.name, wire))
                case Header():
                    self.header.append((f.name, wire))
                case Whole():
                    self.whole = f.name
                case _:
                    self.body.append((f.name, wire))
            if omit and f.default is not msgspec.NODEFAULT:
                self.defaults[f.name] = f.default
            elif omit and f.default_factory is not msgspec.NODEFAULT:
                self.defaults[f.name] = f.default_factory()
        self.optional = {wire for f in fields if not f.required for wire in (endpoint._wire_name(f.name),)}
        self.direct = (
            len(self.body) == len(fields)
            and not endpoint.constants
            and all(endpoint._encoded_names[a] == w for a, w in self.body)
        )


_MISSING: Any = object()


def encode_request(endpoint: Endpoint[Req, Any], request: Req) -> HttpRequest:
    """Return the HTTP request for `request`."""
    plan = endpoint.plan
    path = endpoint.path
    if plan.path:
        path = path.format_map({wire: quote(str(getattr(request, name)), safe="") for name, wire in plan.path})
    query = [*endpoint.constant_query.items()]
    for name, wire in plan.query:
        value = getattr(request, name)
        if value is not None and value is not msgspec.UNSET:
            query.append((wire, _text(value)))
    headers = {
        wire: _text(value)
        for name, wire in plan.header
        if (value := getattr(request, name)) is not None and value is not msgspec.UNSET
    }
    if plan.whole is not None:
        whole = getattr(request, plan.whole)
        return HttpRequest(endpoint.method, path, query, headers, (whole,) if whole is not None else ())
    if not plan.body and not endpoint.constants:
        return HttpRequest(endpoint.method, path, query, headers)
    fields: Any = request if plan.direct else _body_fields(endpoint, request)
    body, content_type = endpoint.codec.encode(fields)
    if content_type:
        headers.setdefault("Content-Type", content_type)
    return HttpRequest(endpoint.method, path, query, headers, body)


def _body_fields(endpoint: Endpoint[Any, Any], request: Struct) -> dict[str, Any]:
    fields: dict[str, Any] = dict(endpoint.constants)
    defaults = endpoint.plan.defaults
    for name, wire in endpoint.plan.body:
        value = getattr(request, name)
        if value is msgspec.UNSET or (name in defaults and defaults[name] == value):
            continue
        fields[wire] = value
    return fields


def decode_request(endpoint: Endpoint[Req, Any], http: HttpRequest, fields: Mapping[str, Any] | None = None) -> Req:
    """Return the request struct in `http`. `fields`: the decoded body, if it was decoded already.

    Raises:
        MalformedRequest: the body cannot be read, or a field is missing or has the wrong type.
    """
    plan = endpoint.plan
    values: dict[str, Any] = {}
    if endpoint.strict:
        fields = endpoint.codec.decode(http) if fields is None else fields
        _refuse_unknown(endpoint, http, fields)
    if plan.whole is not None:
        values[plan.whole] = http.body[0] if http.body else b""
    elif plan.body:
        body = endpoint.codec.decode(http) if fields is None else fields
        wanted = {wire: name for name, wire in plan.body}
        for wire, value in body.items():
            # null means absent: several clients send null for every field that they leave out.
            if wire in wanted and not (value is None and wire in plan.optional):
                values[wanted[wire]] = value
    for name, wire in plan.path:
        values[name] = http.params.get(wire, "")
    for name, wire in plan.query:
        value = next((v for k, v in http.query if k == wire), _MISSING)
        if value is not _MISSING:
            values[name] = value
    for name, wire in plan.header:
        value = http.header(wire, _MISSING)
        if value is not _MISSING:
            values[name] = value
    return _build(endpoint, values)


def _refuse_unknown(endpoint: Endpoint[Any, Any], http: HttpRequest, fields: Mapping[str, Any]) -> None:
    plan = endpoint.plan
    for place, given, known in (
        ("field", fields, [wire for _, wire in plan.body]),
        ("query parameter", [name for name, _ in http.query], [wire for _, wire in plan.query]),
    ):
        for name in given:
            if name not in known and name not in endpoint.constants and name not in endpoint.constant_query:
                raise WrongField(f"there is no {place} '{name}'.{did_you_mean(name, known)}", name)


def _build(endpoint: Endpoint[Req, Any], values: dict[str, Any]) -> Req:
    names = endpoint._encoded_names
    whole = endpoint.plan.whole
    taken = values.pop(whole, _MISSING) if whole else _MISSING
    wire_values = {names[name]: value for name, value in values.items()}
    if taken is not _MISSING and whole:
        wire_values[names[whole]] = b""
    try:
        request = msgspec.convert(wire_values, endpoint.request, strict=False, dec_hook=_as_it_is)
    except (msgspec.ValidationError, RecursionError) as error:
        raise problem_of(error) from error
    if taken is not _MISSING and whole:
        msgspec.structs.force_setattr(request, whole, taken)
    return request


def _as_it_is(_kind: type, value: Any) -> Any:
    """Pass content and form parts through."""
    return value


def encode_response(endpoint: Endpoint[Any, Res], answer: Res | HttpResponse) -> HttpResponse:
    """Return the HTTP answer for `answer`; an HttpResponse passes unchanged."""
    if isinstance(answer, HttpResponse):
        return answer
    return endpoint.envelope.wrap(endpoint, answer)


def decode_response(endpoint: Endpoint[Any, Res], http: HttpResponse, base: str = "") -> Res:
    """Return the response struct in an answer. `base`: scheme and host that were asked, to recognize redirects.

    Raises:
        Fault: the platform refused, or something in front of it answered; `yizhan.wire.outcome` has the table.
        WireMismatch: the status says success, but the body does not have the documented shape.
    """
    try:
        result: Res = endpoint.envelope.unwrap(endpoint, http)
    except WireMismatch as error:
        if http.status in SUCCESS:
            raise
        raise fault_without_body(http, acts=endpoint.acts, base=base) from error
    except Fault as fault:
        if fault.row not in endpoint.envelope.faults.rows:
            raise _undocumented(endpoint, http, fault, base) from fault
        raise
    return result


def _undocumented(endpoint: Endpoint[Any, Any], http: HttpResponse, fault: Fault, base: str) -> Fault:
    if http.status not in SUCCESS and str(fault.row.code) == str(http.status):
        # Gateways repeat the status in a body of their own.
        return fault_without_body(http, acts=endpoint.acts, base=base)
    if http.status >= 500 and not endpoint.acts and fault.row.means is Rejected:
        fault.row = dataclasses.replace(fault.row, means=Unavailable)
    return fault


def _text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)
