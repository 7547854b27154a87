"""The record: everything that was asked and answered, secrets masked, bounded, and cheap while requests run."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.pigeon import PIGEON
from yizhan.http.router import Exchange
from yizhan.model import BytesContent
from yizhan.sandbox import Sandbox
from yizhan.sandbox import request_log as module
from yizhan.sandbox.request_log import RequestLog, view
from yizhan.wire import FormPart, HttpRequest, HttpResponse


@pytest.fixture
async def served() -> AsyncIterator[tuple[Sandbox, aiohttp.ClientSession]]:
    async with Sandbox(platforms=[PIGEON]) as sandbox, aiohttp.ClientSession() as session:
        yield sandbox, session


async def _log(sandbox: Sandbox, session: aiohttp.ClientSession, **query: Any) -> Any:
    async with session.get(f"{sandbox.url}/_sandbox/requests", params=query) as answer:
        return await answer.json()


def _exchange(endpoint: str = "send", body: bytes = b"{}", answer: bytes = b"{}", **more: Any) -> Exchange:
    http = HttpRequest("POST", "/x", body=(body,), **more)
    return Exchange("test", endpoint, "to", http, HttpResponse(200, (), answer))


def _record(**options: Any) -> RequestLog:
    return RequestLog(lambda: 5.0, **options)


async def test_an_exchange_is_read_back_whole(served: Any) -> None:
    sandbox, session = served
    headers = {"X-Word": "yes", "Authorization": "QQBot abcdefgh"}
    body = {"text": "你好", "token": "sesame", "deep": [{"access_token": "sesame"}]}
    await session.post(f"{sandbox.url}/pigeon/x/letters?a=b&skey=sesame", json=body, headers=headers)
    (seen,) = await _log(sandbox, session)

    assert {
        "number": 1,
        "platform": "pigeon",
        "endpoint": "sendLetter",
        "target": "x",
        "method": "POST",
        "path": "/pigeon/x/letters",
        "query": [["a", "b"], ["skey", "***"]],
        "body": {"text": "你好", "token": "***", "deep": [{"access_token": "***"}]},
        "parts": [],
        "status": 200,
        "note": "",
    }.items() <= seen.items()
    assert ("yes", "QQBot ***") == (seen["headers"]["X-Word"], seen["headers"]["Authorization"])
    assert ["id", "size"] == sorted(seen["answer"]["body"])
    assert len(msgspec.json.encode(body)) <= seen["size"]
    assert seen["ms"] > 0
    assert "sesame" not in str(seen)


async def test_parts_of_a_multipart_body_are_named_not_copied(served: Any) -> None:
    sandbox, session = served
    form = aiohttp.FormData({"to": "y"}, quote_fields=False)
    form.add_field("file", b"x" * 100_000, filename="图.png", content_type="image/png")
    await session.post(f"{sandbox.url}/pigeon/parcels", data=form)
    (seen,) = await _log(sandbox, session)
    to, file = seen["parts"]

    assert ("to", "y", None) == (to["name"], to["text"], to["filename"])
    assert ("图.png", "image/png", 100_000) == (file["filename"], file["content_type"], file["size"])
    assert sandbox.world.blobs.find(file["sha256"])
    assert "y" == seen["target"]


async def test_the_log_is_filtered_counted_and_cleared(served: Any) -> None:
    sandbox, session = served
    for to in ("a", "b", "c"):
        await session.post(f"{sandbox.url}/pigeon/{to}/letters", json={"text": "hi"})
    await session.post(f"{sandbox.url}/pigeon/c/letters", data=b"{")
    await session.get(f"{sandbox.url}/nothing")

    async def count(**query: Any) -> int:
        listed = await _log(sandbox, session, **query)
        async with session.get(f"{sandbox.url}/_sandbox/requests/count", params=query) as answer:
            assert {"count": len(listed)} == await answer.json()
        return len(listed)

    assert 5 == await count()
    assert 4 == await count(endpoint="sendLetter")
    assert 4 == await count(platform="pigeon", endpoint="send*")
    assert 1 == await count(target="a")
    assert 1 == await count(status=400)
    assert 2 == await count(since=3)
    assert 0 == await count(endpoint="sendParcel")
    assert [5] == [seen["number"] for seen in await _log(sandbox, session, limit=1)]
    async with session.delete(f"{sandbox.url}/_sandbox/requests") as answer:
        assert {"ok": True} == await answer.json()
    assert 0 == await count()


def test_the_oldest_entries_are_dropped_and_the_count_continues() -> None:
    record = _record(kept=10)
    for n in range(25):
        record.done(_exchange(f"send{n % 2}"))

    assert list(range(16, 26)) == [entry.number for entry in record.select()]
    assert (13, 12, 25) == (record.count(endpoint="send0"), record.count(endpoint="send1"), record.count())


def test_long_bodies_are_shown_by_their_size_only() -> None:
    record = _record()
    big = b'{"a":"' + b"x" * 20_000 + b'"}'
    record.done(_exchange(body=big, answer=big))
    record.done(_exchange(body=big[:16_000], answer=b'{"b":1}'))
    first, second = (view(entry) for entry in record.select())

    assert (None, len(big)) == (first.body, first.size)
    assert (None, len(big)) == (first.answer.body, first.answer.size)
    assert isinstance(second.body, str)
    assert {"b": 1} == second.answer.body


def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODIES", 50_000)
    record = _record()
    for _ in range(100):
        record.done(_exchange(body=b'{"a":"' + b"x" * 9_992 + b'"}', answer=b""))
    shown = [view(entry) for entry in record.select()]

    assert [None] * 95 == [seen.body for seen in shown[:95]]
    assert all(seen.body is not None for seen in shown[95:])
    assert {10_000} == {seen.size for seen in shown}


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b"", "", None),
        (b"a=1&sid=sesame&b=%E4%BD%A0", "application/x-www-form-urlencoded", {"a": "1", "sid": "***", "b": "你"}),
        (b'{"Skey":"sesame","a":1}', "text/plain", {"Skey": "***", "a": 1}),
        (b"<error><skey>sesame</skey><ret>0</ret></error>", "", "<error><skey>***</skey><ret>0</ret></error>"),
        (b'window.ticket="sesame";', "", 'window.ticket="***";'),
        (b'{"broken', "application/json", '{"broken'),
        (b"\xff\xfe\x00", "", {"bytes": 3}),
        (b"[" * 8000, "application/json", "[" * 8000),
        (b"hello", "text/plain", "hello"),
    ],
)
def test_bodies_are_shown_by_their_content(body: bytes, content_type: str, shown: Any) -> None:
    record = _record()
    record.done(_exchange(body=body, headers={"Content-Type": content_type}))
    (entry,) = record.select()

    assert shown == view(entry).body


def test_cookies_keep_their_names_only() -> None:
    record = _record()
    http = HttpRequest("GET", "/x", headers={"Cookie": "wxsid=sesame; wxuin=1", "X-Token": "x", "Token": "sesame"})
    answer = HttpResponse(200, [("Set-Cookie", "wxsid=sesame; Path=/"), ("Set-Cookie", "b=sesame")])
    record.done(Exchange("test", "x", "", http, answer))
    (entry,) = record.select()
    shown = view(entry)

    assert "wxsid=***; wxuin=***" == shown.headers["Cookie"]
    assert [("Set-Cookie", "wxsid=***"), ("Set-Cookie", "b=***")] == shown.answer.headers
    assert "sesame" not in str(shown)


def test_streamed_content_is_referred_to() -> None:
    record = _record()
    content = BytesContent(b"x" * 100)
    http = HttpRequest("PUT", "/x", body=(content,))
    record.done(Exchange("test", "put", "", http, HttpResponse(200, (), (b"ab", content))))
    http = HttpRequest("POST", "/x", parts=[FormPart("a", "x" * 50_000), FormPart("b", content, "b.bin")])
    record.done(Exchange("test", "post", "", http, None))
    put, post = (view(entry) for entry in record.select())

    assert ([{"size": 100, "sha256": None}], 100) == (put.body, put.size)
    assert [{"size": 2}, {"size": 100, "sha256": None}] == [
        {k: v for k, v in piece.items() if v is not None or k == "sha256"} if "sha256" in piece else piece
        for piece in put.answer.body
    ]
    assert ["…", 100] == [post.parts[0]["text"], post.parts[1]["size"]]
    assert (50_100, 0) == (post.size, post.status)


def test_reading_does_not_change_the_request_of_the_handler() -> None:
    record = _record()
    exchange = _exchange(body=b"x" * 20_000)
    http = exchange.http
    record.done(exchange)

    assert 20_000 == len(http.body[0])  # type: ignore[arg-type]


def test_an_exchange_costs_little_memory() -> None:
    record = _record()
    headers = {"Host": "127.0.0.1:8791", "Content-Type": "application/json", "User-Agent": "test"}
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(1000):
        http = HttpRequest("POST", f"/v2/{n}", headers=dict(headers), body=(b"%d" % n * 50,))
        record.done(Exchange("test", "send", "to", http, HttpResponse(200, (), b"%d" % n * 20)))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (after - before) / 1000 < 2_500


def test_heads_are_cut_and_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    record = _record()
    long = {f"X-{n}": "y" * 30_000 for n in range(190)}
    query = [(f"q{n}", "z" * 30_000) for n in range(190)]

    tracemalloc.start()
    for _ in range(200):
        http = HttpRequest("GET", "/" + "p" * 30_000, list(query), {name: value + "" for name, value in long.items()})
        record.done(Exchange("test", "send", "t" * 30_000, http, HttpResponse(200, [("X", "a" * 30_000)] * 190)))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seen = view(next(record.select()))

    assert 64 == len(seen.headers) == len(seen.query)
    assert "y" * module.MAX_TEXT + "..." == seen.headers["X-0"]
    assert len(seen.path) == module.MAX_TEXT + 3
    assert kept < 200 * 3 * 64 * (module.MAX_TEXT + 300)


def test_the_oldest_heads_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEADS", 5_000)
    record = _record()
    for n in range(10):
        record.done(_exchange(headers={"X-Number": f"{n}" * 900}))

    entries = [view(entry) for entry in record.select()]

    assert [{}] * 5 == [entry.headers for entry in entries[:5]]
    assert all(entry.headers["X-Number"].startswith(str(n)) for n, entry in enumerate(entries) if n >= 5)
    assert [{}] * 10 == [entry.body for entry in entries]
