"""Control calls are for programs: requests that a browser sends for a page of another site are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.pigeon import PIGEON
from yizhan.sandbox import Sandbox
from yizhan.sandbox.access import refusal
from yizhan.wire import HttpRequest

PEOPLE = b'{"platform": "pigeon", "kind": "user", "count": 1}'


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(platforms=[PIGEON]) as sandbox:
        yield sandbox


async def _post(url: str, headers: dict[str, str], body: bytes = PEOPLE) -> tuple[int, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def _people(sandbox: Sandbox) -> int:
    return sum(len(network.people) for network in sandbox.world.networks.values())


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:3000", "file://"],
)
async def test_a_page_of_another_site_may_not_use_the_control_api(sandbox: Sandbox, origin: str) -> None:
    known = _people(sandbox)
    status, body = await _post(f"{sandbox.url}/_sandbox/people", {"Origin": origin, "Content-Type": "text/plain"})

    assert 403 == status
    assert "forbidden" == body["error"]
    assert f"a web page of {origin} may not control the sandbox" == body["detail"]
    assert "a call from a program" in body["expected"]
    assert known == _people(sandbox)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8791", "127.0.0.1.nip.io", "localhost.evil.example"])
async def test_a_name_that_was_made_to_lead_here_is_refused_with_or_without_an_origin(
    sandbox: Sandbox, host: str
) -> None:
    url = f"{sandbox.url}/_sandbox/people"
    alone = await _post(url, {"Host": host})
    of_its_page = await _post(url, {"Host": host, "Origin": f"http://{host}"})

    for status, body in (alone, of_its_page):
        assert 403 == status
        assert "IP address, localhost" in body["expected"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8791", "localhost:8791", "LOCALHOST", "[::1]:8791", "10.0.0.7:8791", "sandbox:8791", "a.local"],
)
async def test_programs_reach_the_control_calls_by_every_name_of_their_own(sandbox: Sandbox, host: str) -> None:
    url, known = f"{sandbox.url}/_sandbox/people", _people(sandbox)

    assert 200 == (await _post(url, {"Host": host}))[0]
    assert 200 == (await _post(url, {"Host": host, "Origin": f"http://{host.lower()}"}))[0]
    assert known + 2 == _people(sandbox)


def test_the_host_name_that_the_sandbox_listens_on_is_allowed() -> None:
    asked = HttpRequest("GET", "/_sandbox/", headers={"host": "Box.example.com:8791"})

    assert refusal(asked, "box.example.com") is None
    assert refusal(asked, "127.0.0.1") is not None


async def test_the_platforms_calls_are_allowed_from_any_origin(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/pigeon/x/letters"
    status, _ = await _post(url, {"Host": "api.evil.example", "Origin": "https://evil.example"}, b'{"text": "hi"}')

    assert 200 == status
