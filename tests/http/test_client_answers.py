"""Answers as the caller reads them: in pieces, and from addresses that a platform gave out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from yizhan.http.client import Caller
from yizhan.wire import Endpoint, FaultTable, HttpResponse, RawAnswer


class Bytes:
    """Answers are read by their content."""

    faults = FaultTable([])

    def unwrap(self, endpoint: Any, http: HttpResponse) -> Any:
        return http

    wrap = fail = malformed = unwrap


class Nothing(Struct):
    pass


READ = Endpoint("read", "GET", "/in-pieces", Nothing, RawAnswer, Bytes(), "the page")  # type: ignore[arg-type]


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(5):
            await answer.write(b"x" * 50_000)
            await asyncio.sleep(0)
        await answer.write_eof()
        return answer

    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(text=request.query_string)

    app = web.Application()
    app.router.add_get("/in-pieces", in_pieces)
    app.router.add_get("/elsewhere", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_answer_in_pieces_is_read_whole(base: str) -> None:
    caller = Caller("test.me", base)

    answer = await caller.exchange(READ, Nothing())

    assert 250_000 == len(answer.data)
    await caller.close()


async def test_an_address_that_was_given_out_is_used_as_it_is(base: str) -> None:
    caller = Caller("test.me", "http://127.0.0.1:9")

    answer = await caller.exchange(READ, Nothing(), url=f"{base}/elsewhere?a=%2B%3D&b=1")
    async with caller.stream(READ, Nothing(), url=f"{base}/elsewhere?c=2") as (_, pieces):
        streamed = b"".join([piece async for piece in pieces])

    assert b"a=%2B%3D&b=1" == answer.data
    assert b"c=2" == streamed
    await caller.close()
