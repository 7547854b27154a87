"""Every call of every platform: described once, readable from both ends, served."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from tests.conformance.samples import endpoints_of, loaded_platforms, sample_struct
from yizhan.errors import PlatformError
from yizhan.model import BytesContent
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.spec import Platform
from yizhan.wire import Endpoint, Fault, HttpRequest, RawAnswer, decode_request, encode_request
from yizhan.world import World, populate

CALLS = [
    pytest.param(platform, endpoint, id=f"{platform.name}-{endpoint.name}")
    for platform in loaded_platforms()
    for endpoint in endpoints_of(platform)
]
PLATFORMS = [pytest.param(platform, id=platform.name) for platform in loaded_platforms()]


@pytest.mark.parametrize(("platform", "endpoint"), CALLS)
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


@pytest.mark.parametrize(("platform", "endpoint"), CALLS)
def test_a_call_names_its_source(platform: Platform, endpoint: Endpoint[Any, Any]) -> None:
    assert len(endpoint.source) > 5
    assert endpoint.request.__doc__ or endpoint.response.__doc__ or endpoint.source


@pytest.mark.parametrize("platform", PLATFORMS)
def test_names_of_calls_are_unique(platform: Platform) -> None:
    names = [endpoint.name for endpoint in endpoints_of(platform)]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_call_is_served(platform: Platform) -> None:
    world = World()
    populate(world)
    server = platform.load_server()(world, platform.rules(), ServerOptions())

    missing = {e.name for e in endpoints_of(platform)} - {e.name for e in server.router.endpoints}

    world.close()
    assert set() == missing


@pytest.mark.parametrize("platform", PLATFORMS)
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


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_profile_of_the_rules_can_be_read(platform: Platform) -> None:
    rules = platform.rules()

    for profile in rules.profiles:
        assert platform.rules(profile).all().keys() >= {"limits"}
    assert platform.rules(overrides={"limits": False}).limited is False


def _received(endpoint: Endpoint[Any, Any], http: HttpRequest) -> HttpRequest:
    """The request as the router hands it on: placeholders decoded."""
    from urllib.parse import unquote

    template, given = endpoint.path.split("/"), http.path.split("/")
    http.params = {t[1:-1]: unquote(g) for t, g in zip(template, given, strict=True) if t.startswith("{")}
    return http


def _with(request: Struct, name: str, value: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(request, **{name: value})
