"""The control calls over HTTP: their effects, their exact form, and the errors for wrong ones."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.pigeon import PIGEON
from yizhan.http.client import Caller
from yizhan.sandbox import Sandbox, wire
from yizhan.wire import Endpoint

TESTER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"


class Control:
    """One sandbox with the pigeon platform, and the calls that a test makes."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    async def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        url = f"{self.sandbox.url}{path}"
        data = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        async with self.session.request(method, url, data=data, params=query) as answer:
            return answer.status, msgspec.json.decode(await answer.read())

    async def letter(self, to: str = "x", text: str = "hi") -> int:
        status, _ = await self("POST", f"/pigeon/{to}/letters", {"text": text})
        return status

    async def parcel(self, to: str, data: bytes, name: str) -> int:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("to", to)
        form.add_field("file", data, filename=name)
        async with self.session.post(f"{self.sandbox.url}/pigeon/parcels", data=form) as answer:
            return answer.status


@pytest.fixture
async def call() -> AsyncIterator[Control]:
    async with Sandbox(platforms=[PIGEON]) as sandbox, aiohttp.ClientSession() as session:
        yield Control(sandbox, session)


async def test_the_status_tells_what_is_running(call: Control) -> None:
    await call.letter()
    status, body = await call("GET", "/_sandbox/")

    assert 200 == status
    assert {"pigeon"} == set(body["platforms"])
    pigeon = body["platforms"]["pigeon"]
    assert ("2026", ["2026", "2025"], True, 2) == tuple(
        pigeon[k] for k in ("profile", "profiles", "limits", "endpoints")
    )
    assert {"people": 4, "groups": 4, "posts": 1, "blobs": 0, "requests": 1, "chaos": 0} == body["counts"]
    assert 0 == body["clock"]["turned"]
    assert (await call("GET", "/_sandbox"))[1].keys() == body.keys()


async def test_said_things_carry_the_platforms_own_id(call: Control) -> None:
    status, body = await call("POST", "/_sandbox/say", {"platform": "pigeon", "from": TESTER, "text": "你好"})
    post = call.sandbox.world.posts[0]

    assert (200, {"message_id": post.message_id}) == (status, body)
    assert ("say", "bot", "你好") == (post.call, post.target, post.text)


@pytest.mark.parametrize(
    ("media", "kind", "name"),
    [
        (base64.b64encode(b"bytes").decode(), "file", ""),
        ("data:image/png;base64," + base64.b64encode(b"bytes").decode(), "image", ""),
        ({"data": base64.b64encode(b"bytes").decode(), "name": "a.mp4"}, "video", "a.mp4"),
        ({"data": base64.b64encode(b"bytes").decode(), "kind": "voice"}, "voice", ""),
        (hashlib.sha256(b"bytes").hexdigest(), "file", ""),
        ({"sha256": hashlib.sha256(b"bytes").hexdigest(), "name": "歌.mp3"}, "voice", "歌.mp3"),
    ],
)
async def test_media_are_given_as_base64_data_uri_or_digest(call: Control, media: Any, kind: str, name: str) -> None:
    await call("POST", "/_sandbox/blobs", b"bytes")
    status, _ = await call("POST", "/_sandbox/say", {"platform": "pigeon", "from": TESTER, "media": media})
    post = call.sandbox.world.posts[0]

    assert (200, kind, name) == (status, post.kind, post.name)
    assert post.blob is not None
    assert b"bytes" == post.blob.read()


async def test_people_are_made_and_can_be_written_to(call: Control) -> None:
    status, body = await call("POST", "/_sandbox/people", {"platform": "pigeon", "kind": "user", "count": 3})
    _, groups = await call("POST", "/_sandbox/people", {"platform": "pigeon", "kind": "group"})

    assert 200 == status
    assert 3 == len(set(body["ids"]))
    assert 1 == len(groups["ids"])
    assert [200, 200, 200] == [await call.letter(id) for id in body["ids"]]


async def test_a_login_is_played_by_its_uuid(call: Control) -> None:
    status, body = await call("POST", "/_sandbox/logins/one%3D%3D/confirm")
    unknown, why = await call("POST", "/_sandbox/logins/two/confirm")
    _, own = await call("POST", "/_sandbox/logins/two/confirm?platform=pigeon")

    assert (200, {"ok": True}) == (status, body)
    assert {"one==": "confirm"} == call.sandbox.servers["pigeon"].logins  # type: ignore[attr-defined]
    assert 404 == unknown
    assert "no platform has a login 'two'" in why["detail"]
    assert "pigeon knows no login two" in own["detail"]


async def test_posts_show_arrived_messages(call: Control) -> None:
    data = b"%PDF-1.7 tiny"
    await call("POST", "/_sandbox/say", {"platform": "pigeon", "from": TESTER, "text": "hi"})
    await call.letter("x", "one")
    await call.parcel("y", data, "报告.pdf")
    _, posts = await call("GET", "/_sandbox/posts", platform="pigeon")
    letter, parcel = posts

    assert ("x", "text", "one", "", 0, "", "sendLetter", False, "pigeon", "loft", "loft", 2) == tuple(
        letter[k]
        for k in (
            "target", "kind", "text", "name", "size", "sha256", "call", "recalled", "platform", "account", "sender",
            "number",
        )
    )  # fmt: skip
    assert letter["message_id"]
    assert abs(letter["at"] - call.sandbox.clock.now()) < 60
    assert ("y", "file", "报告.pdf", len(data), hashlib.sha256(data).hexdigest()) == tuple(
        parcel[k] for k in ("target", "kind", "name", "size", "sha256")
    )


async def test_posts_are_filtered_counted_and_read_on_from_a_number(call: Control) -> None:
    for n in range(3):
        await call.letter(f"p{n}", "hi")
    call.sandbox.world.posts[1].recalled = True

    async def numbers(**query: Any) -> list[int]:
        return [post["number"] for post in (await call("GET", "/_sandbox/posts", **query))[1]]

    assert [1, 2, 3] == await numbers()
    assert [3] == await numbers(since=2)
    assert [] == await numbers(since=3)
    assert [1] == await numbers(target="p0")
    assert [2] == await numbers(recalled="true")
    assert [2, 3] == await numbers(limit=2)
    assert [] == await numbers(platform="other")
    assert {"count": 2} == (await call("GET", "/_sandbox/posts/count", since=1))[1]


async def test_messages_of_people_are_listed_on_request(call: Control) -> None:
    await call("POST", "/_sandbox/say", {"platform": "pigeon", "from": TESTER, "text": "hi"})

    assert [] == (await call("GET", "/_sandbox/posts"))[1]
    assert ["hi"] == [post["text"] for post in (await call("GET", "/_sandbox/posts", said="true"))[1]]
    assert ["hi"] == [post["text"] for post in (await call("GET", "/_sandbox/posts", call="say"))[1]]


async def test_the_bytes_that_arrived_can_be_had_back(call: Control) -> None:
    data = bytes(range(256)) * 5000
    await call.parcel("y", data, "a.bin")
    digest = hashlib.sha256(data).hexdigest()
    async with call.session.get(f"{call.sandbox.url}/_sandbox/blobs/{digest}") as answer:
        got = await answer.read()

    assert data == got
    status, why = await call("GET", "/_sandbox/blobs/" + "0" * 64)
    assert (404, "not_found") == (status, why["error"])


async def test_rules_change_under_the_feet_of_the_server(call: Control) -> None:
    assert 200 == await call.letter(text="eleven char")
    status, body = await call("POST", "/_sandbox/rules", {"platform": "pigeon", "profile": "2025"})
    assert (200, "2025", 10) == (status, body["profile"], body["rules"]["letter.max_chars"])
    assert 429 == await call.letter(text="eleven char")
    _, body = await call("POST", "/_sandbox/rules", {"platform": "pigeon", "set": {"letter.max_chars": 11}})
    assert ("2025", 11) == (body["profile"], body["rules"]["letter.max_chars"])
    assert 200 == await call.letter(text="eleven char")
    assert body == (await call("GET", "/_sandbox/rules", platform="pigeon"))[1]


async def test_limits_can_be_lifted_and_put_back(call: Control) -> None:
    for limits, expected in ((True, [200, 200, 200, 429]), (False, [200, 200]), (True, [429])):
        _, body = await call("POST", "/_sandbox/rules", {"platform": "pigeon", "limits": limits})

        assert limits == body["limits"]
        assert expected == [await call.letter() for _ in expected]


async def test_the_clock_turns_by_seconds_and_to_a_moment(call: Control) -> None:
    assert [200, 200, 200, 429] == [await call.letter() for _ in range(4)]
    before = call.sandbox.clock.now()
    status, body = await call("POST", "/_sandbox/clock", {"advance": 61})

    assert 200 == status
    assert 61 <= body["now"] - before < 62
    assert 200 == await call.letter()
    for at, text in ((1_800_000_000, "2027-01-15T08:00:00"), ("2030-01-01", "2030-01-01T00:00:00")):
        _, body = await call("POST", "/_sandbox/clock", {"at": at})
        assert body["text"].startswith(text)
    assert (await call("GET", "/_sandbox/clock"))[1]["text"].startswith("2030-01-01T00:00:0")


async def test_a_webhook_is_registered(call: Control) -> None:
    status, _ = await call("POST", "/_sandbox/webhooks", {"platform": "pigeon", "url": "http://127.0.0.1:9/x"})

    assert 200 == status
    assert ["http://127.0.0.1:9/x"] == call.sandbox.servers["pigeon"].hooks  # type: ignore[attr-defined]


async def test_reset_brings_everything_back_to_the_start(call: Control) -> None:
    _, start = await call("GET", "/_sandbox/")
    made = (await call("POST", "/_sandbox/people", {"platform": "pigeon", "count": 2}))[1]["ids"]
    await call.letter(made[0])
    await call.parcel("y", b"data", "a.txt")
    await call("POST", "/_sandbox/rules", {"platform": "pigeon", "profile": "2025", "limits": False})
    await call("POST", "/_sandbox/clock", {"advance": 1e6})
    await call("POST", "/_sandbox/chaos", {"status": 500})
    await call("POST", "/_sandbox/webhooks", {"platform": "pigeon", "url": "http://127.0.0.1:9/x"})
    assert (200, {"ok": True}) == await call("POST", "/_sandbox/reset")
    _, end = await call("GET", "/_sandbox/")

    assert {**start, "clock": None} == {**end, "clock": None}
    assert 0 == end["clock"]["turned"]
    assert [] == call.sandbox.servers["pigeon"].hooks  # type: ignore[attr-defined]
    assert 404 == (await call("GET", f"/_sandbox/blobs/{hashlib.sha256(b'data').hexdigest()}"))[0]
    assert made == (await call("POST", "/_sandbox/people", {"platform": "pigeon", "count": 2}))[1]["ids"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "say", {"platform": "pigeon", "from": "NOBODY", "text": "x"}, 404, "no one called 'NOBODY'"),
        ("POST", "say", {"platform": "pigon", "from": TESTER, "text": "x"}, 404, "Did you mean pigeon?"),
        ("POST", "say", {"platform": "pigeon", "from": TESTER}, 400, "needs text or media"),
        ("POST", "say", {"platform": "pigeon", "text": "x"}, 400, "the field 'from' is missing"),
        ("POST", "say", {"platform": "pigeon", "form": TESTER, "text": "x"}, 400, "Did you mean from"),
        ("POST", "say", {"platform": "pigeon", "from": TESTER, "media": "%%%"}, 400, "not base64"),
        ("POST", "say", {"platform": "pigeon", "from": TESTER, "media": {}}, 400, "one of the two"),
        (
            "POST",
            "say",
            {"platform": "pigeon", "from": TESTER, "media": {"file": "/etc/passwd"}},
            400,
            "no field",
        ),
        ("POST", "say", {"platform": "pigeon", "from": TESTER, "media": {"sha256": "00"}}, 404, "SHA-256 '00'"),
        ("POST", "say", b"{", 400, "not valid JSON"),
        ("POST", "say", b"\xff", 400, "not valid JSON"),
        ("POST", "say", b"[" * 9000, 400, "not valid JSON"),
        ("POST", "people", {"platform": "pigeon", "count": 0}, 400, "at least 1"),
        ("POST", "people", {"platform": "pigeon", "count": 10**9}, 400, "at most 100000"),
        ("POST", "people", {"platform": "pigeon", "kind": "bird"}, 400, "cannot be 'bird'"),
        ("POST", "rules", {"platform": "pigeon", "profile": "1999"}, 400, "no profile '1999'"),
        ("POST", "rules", {"platform": "pigeon", "set": {"letter.maxchars": 1}}, 400, "Did you mean letter.max_chars"),
        ("POST", "rules", {"platform": "pigeon", "set": {"letter.max_chars": "x"}}, 400, "takes int"),
        ("POST", "clock", {}, 400, "one of the two"),
        ("POST", "clock", {"advance": 1, "at": 1}, 400, "one of the two"),
        ("POST", "clock", {"at": "tomorrow"}, 400, "'tomorrow' is not a time"),
        ("POST", "clock", {"at": -5}, 400, "1970"),
        ("POST", "clock", {"advance": 1e300}, 400, "at most"),
        ("POST", "webhooks", {"platform": "pigeon", "url": "ftp://x"}, 400, "not allowed"),
        ("POST", "logins/one/shout", None, 400, "cannot be 'shout'"),
        ("POST", "blobs", None, 400, "empty"),
        ("GET", "posts?sinse=3", None, 400, "Did you mean since"),
        ("GET", "posts?since=x", None, 400, "since"),
        ("GET", "posts?since=-1", None, 400, "at least 0"),
        ("GET", "rules?platform=crow", None, 404, "'crow' is not served"),
        ("DELETE", "chaos?number=9", None, 404, "no chaos rule 9"),
    ],
)
async def test_the_answer_to_a_wrong_call_names_the_mistake_and_the_remedy(
    call: Control, method: str, path: str, body: Any, status: int, words: str
) -> None:
    got, problem = await call(method, f"/_sandbox/{path}", body)

    assert status == got, problem
    assert {"error", "detail", "expected"} == problem.keys()
    assert words in problem["detail"]
    assert f"{method} /_sandbox/" in problem["expected"]
    assert {400: "bad_request", 404: "not_found"}[status] == problem["error"]


def _example(endpoint: Endpoint[Any, Any]) -> dict[str, Any]:
    known = {"platform": "pigeon", "sender": TESTER, "text": "hi", "uuid": "one==", "step": "scan", "sha256": "0" * 64}
    known["event"] = "message"
    more = {"url": "http://127.0.0.1:9/", "body": None, "advance": 1.0, "rules": [wire.ChaosRule(status=500)]}
    names = {f.name for f in msgspec.structs.fields(endpoint.request)}
    values = {name: value for name, value in {**known, **more}.items() if name in names}
    return {**values, "endpoint": "*"} if endpoint in (wire.REQUESTS, wire.COUNT_REQUESTS) else values


@pytest.mark.parametrize(
    "endpoint", [e for e in wire.CALLS if e not in (wire.BLOB, wire.ADD_BLOB)], ids=lambda e: e.name
)
async def test_every_call_can_be_made_with_its_own_description(call: Control, endpoint: Endpoint[Any, Any]) -> None:
    caller = Caller("sandbox.control", call.sandbox.url)
    answer = await caller.call(endpoint, endpoint.request(**_example(endpoint)))
    await caller.close()

    expected = endpoint.response if isinstance(endpoint.response, type) else list
    assert isinstance(answer, expected)


def test_no_two_control_calls_share_a_name_or_a_place() -> None:
    assert len(wire.CALLS) == len({e.name for e in wire.CALLS}) == len({(e.method, e.path) for e in wire.CALLS})
    assert all(e.path.startswith("/_sandbox/") for e in wire.CALLS)
