"""Shared parts of the serving ends: bounded downloads, paths in any case, requests over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web
from msgspec import Struct

from tests.wire.test_kernel import PLAIN
from yizhan.http.loopback_fetch import FetchedTooLarge, NotFetched, fetch_loopback
from yizhan.http.router import Call, Router
from yizhan.model import BytesContent
from yizhan.wire import Endpoint, HttpRequest, HttpResponse


class Word(Struct):
    word: str


SAY = Endpoint("say", "POST", "/V2/Say", Word, Word, PLAIN, "the page")


async def _say(call: Call[Word]) -> Word:
    return call.request


class InMemory:
    async def keep(self, chunks: AsyncIterator[bytes], /) -> BytesContent:
        return BytesContent(b"".join([chunk async for chunk in chunks]))


def _router() -> Router:
    router = Router("test", PLAIN, InMemory())
    router.any_case = True
    router.add(SAY, _say)
    return router


@pytest.fixture
async def url() -> Any:
    async def file(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("/file")

    app = web.Application()
    app.router.add_get("/file", file)
    app.router.add_get("/away", away)
    _router().mount(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _fetch(url: str, max_bytes: int = 1000) -> bytes:
    return b"".join([chunk async for chunk in fetch_loopback(url, max_bytes)])


async def test_a_file_of_this_machine_is_fetched_up_to_its_last_byte(url: str) -> None:
    assert b"x" * 1000 == await _fetch(f"{url}/file")


async def test_one_byte_too_many_ends_the_fetch(url: str) -> None:
    with pytest.raises(FetchedTooLarge):
        await _fetch(f"{url}/file", 999)


@pytest.mark.parametrize(
    "target",
    [
        "http://192.0.2.1/file",
        "http://example.org/file",
        "http://127.0.0.1.example.org/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "http://[::ffff:10.0.0.1]/",
        "http://",
        "http://[",
        "",
        "//127.0.0.1/x",
    ],
)
async def test_no_other_machine_is_called(target: str) -> None:
    with pytest.raises(NotFetched):
        await _fetch(target)


@pytest.mark.parametrize("path", ["/away", "/nothing"])
async def test_redirects_and_missing_files_are_not_followed(url: str, path: str) -> None:
    with pytest.raises(NotFetched, match="answered"):
        await _fetch(url + path)


async def test_paths_match_in_any_case_where_the_platform_does_so(url: str) -> None:
    async with ClientSession() as session, session.post(f"{url}/v2/sAY", json={"word": "hi"}) as answer:
        got = await answer.json()

    assert {"word": "hi"} == got


async def test_a_request_that_came_over_a_socket_is_answered_alike() -> None:
    answer = await _router().answer(HttpRequest("POST", "/V2/Say", body=(b'{"word":"hi"}',)))

    assert HttpResponse(200, [("Content-Type", "application/json")], b'{"word":"hi"}') == answer
