"""Every call of every platform: described once, readable from both ends, served."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from msgspec import Struct

from yizhan.errors import PlatformError
from yizhan.model import BytesContent
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.spec import Platform
from yizhan.testing.conformance.samples import endpoints_of, sample_struct
from yizhan.wire import Endpoint, Fault, HttpRequest, MalformedRequest, RawAnswer, decode_request, encode_request
from yizhan.world import World, populate


def test_a_call_reads_back_what_it_wrote(platform: Platform, endpoint: Endpoint[Any, Any]) -> None:
    if "Multipart" in type(endpoint.codec).__name__:
        pytest.skip("multipart bodies are taken apart by the router; held over a socket elsewhere")
    request = sample_struct(endpoint.request)
    whole = endpoint.plan.whole
    if whole:
        request = _with(request, whole, BytesContent(b"bytes"))

    http = encode_request(endpoint, request)
    back = decode_request(endpoint, _received(endpoint, http))

    for name in request.__struct_fields__:
        assert getattr(request, name) == getattr(back, name), name


def test_a_call_names_its_source(platform: Platform, endpoint: Endpoint[Any, Any]) -> None:
    assert len(endpoint.source) > 5
    assert endpoint.request.__doc__ or endpoint.response.__doc__ or endpoint.source


def test_names_of_calls_are_unique(platform: Platform) -> None:
    names = [endpoint.name for endpoint in endpoints_of(platform)]

    assert sorted(set(names)) == sorted(names)


def test_every_call_is_served(platform: Platform) -> None:
    world = World()
    populate(world)
    server = platform.load_server()(world, platform.rules(), ServerOptions())

    missing = {e.name for e in endpoints_of(platform)} - {e.name for e in server.router.endpoints}

    world.close()
    assert set() == missing


def test_every_fault_arrives_as_its_meaning(platform: Platform) -> None:
    wrong = []
    for endpoint in endpoints_of(platform):
        if endpoint.response is RawAnswer:
            continue
        for row in endpoint.envelope.faults.rows:
            answer = endpoint.envelope.fail(endpoint, Fault(row))
            try:
                endpoint.envelope.unwrap(endpoint, answer)
                wrong.append(f"{endpoint.name}: {row.code} arrives as success")
            except Fault as fault:
                if fault.row.means is not row.means:
                    wrong.append(f"{endpoint.name}: {row.code} means {row.means}, arrives as {fault.row.means}")
            except PlatformError as error:
                if type(error) is not row.means:
                    wrong.append(f"{endpoint.name}: {row.code} means {row.means}, arrives as {type(error)}")

    assert [] == wrong[:10]


def test_a_wrong_field_is_answered_in_plain_words(platform: Platform) -> None:
    leaks = []
    for endpoint in endpoints_of(platform):
        for field in endpoint.plan.body:
            http = encode_request(endpoint, sample_struct(endpoint.request))
            try:
                decode_request(endpoint, _received(endpoint, http), {field[1]: [{"wrong": object}]})
            except MalformedRequest as error:
                words = endpoint.envelope.malformed(endpoint, error).message
                leaks += [f"{endpoint.name}: {words}"] if "`" in words or "Expected" in words else []

    assert [] == leaks[:10]


def _received(endpoint: Endpoint[Any, Any], http: HttpRequest) -> HttpRequest:
    """Return the request as the router hands it on: placeholders decoded."""
    template, given = endpoint.path.split("/"), http.path.split("/")
    http.params = {t[1:-1]: unquote(g) for t, g in zip(template, given, strict=True) if t.startswith("{")}
    return http


def _with(request: Struct, name: str, value: Any) -> Any:
    return msgspec.structs.replace(request, **{name: value})
