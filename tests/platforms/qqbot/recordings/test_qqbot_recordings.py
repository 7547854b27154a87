"""Recorded clients get the answers that they need, and our client sends the same requests."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.platforms.qqbot.recordings.replay import (
    GROUP,
    PNG,
    TOKEN,
    USER,
    Operation,
    Replay,
    all_files,
    load,
    missing,
    operations,
    sessions,
    webhooks,
)
from tests.support import PATIENCE, Served, context, serve
from yizhan.http.router import Exchange
from yizhan.model import BytesContent
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Adapter, Bot
from yizhan.platforms.qqbot.client.upload import ChunkedUpload
from yizhan.platforms.qqbot.wire.gateway import Frame, Op
from yizhan.platforms.qqbot.wire.webhook import acknowledged, sign
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.world import World

OPERATIONS = [pytest.param(operation, id=operation.name) for operation in operations()]
SESSIONS = [pytest.param(path, id=path.stem) for path in sessions()]
WEBHOOKS = [pytest.param(path, id=path.stem) for path in webhooks()]
SECRET = "DG5g3B4j9X2KOErG"
EXCEPTIONS = {
    # The recorded server gave every merged file a link; the platform's page says types 1 to 3, and these are type 4.
    ("nonebot-adapter-qq.chunked_upload_c2c", ".raw_url is missing"),
    ("qq-bot-sdk.chunked_upload_c2c", ".raw_url is missing"),
}


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(PLATFORM) as served:
        await served.world.blobs.add(PNG)
        yield served


@pytest.fixture
async def picture_url() -> AsyncIterator[str]:
    """A picture on a web server of its own, for uploads by link."""

    async def sample(_request: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/sample.png", sample)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/sample.png"
    await runner.cleanup()


def test_every_recording_is_replayed() -> None:
    replayed = sum(len(operation.steps) for operation in operations()) + len(sessions()) + len(webhooks())

    assert len(all_files()) == replayed
    assert 141 == replayed


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_recorded_request_gets_the_answer_that_its_client_needs(
    served: Served, picture_url: str, operation: Operation
) -> None:
    async with aiohttp.ClientSession() as session:
        replay = Replay(served, session, picture_url)
        replay.prepare(operation)
        for step in operation.steps:
            recorded = step["stub_response"]
            status, headers, body = await replay.send(step["request"])

            assert recorded["status"] == status, body
            if recorded["body"] is None:
                assert {key.lower() for key in recorded["headers"]} <= {key.lower() for key in headers}
                continue
            ours = json.loads(body)
            assert [] == [lack for lack in missing(recorded["body"], ours) if (operation.name, lack) not in EXCEPTIONS]
            assert "application/json" == headers["Content-Type"]
            assert re.fullmatch("[0-9a-f]{32}", headers["X-Tps-trace-ID"])
            if "code" in recorded["body"]:
                assert [recorded["body"][key] for key in ("code", "err_code", "message")] == [
                    ours[key] for key in ("code", "err_code", "message")
                ]
            replay.learn(recorded["body"], ours)


@pytest.mark.parametrize("path", SESSIONS)
async def test_a_recorded_session_finds_the_frames_that_its_client_needs(served: Served, path: Path) -> None:
    served.server.tokens.ends[TOKEN] = served.world.now() + 60  # type: ignore[attr-defined]
    frames = load(path)["frames"]
    upgrade = frames[0]["http_upgrade"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(served.url + upgrade["path"], headers=upgrade["headers"]) as socket,
    ):
        numbers = []
        for entry in frames[1:]:
            frame = entry["frame"]
            if entry["from"] == "client":
                await socket.send_json(frame)
                continue
            if frame.get("t") == "C2C_MESSAGE_CREATE":
                await served.server.say(USER, "bot", text=frame["d"]["content"])
            elif frame.get("t") == "GROUP_AT_MESSAGE_CREATE":
                await served.server.say(USER, GROUP, text=frame["d"]["content"].strip())
            ours = await asyncio.wait_for(socket.receive_json(), PATIENCE)

            assert (frame["op"], frame.get("t")) == (ours["op"], ours.get("t"))
            assert [] == missing(frame, ours)
            if frame["op"] == Op.DISPATCH:
                numbers.append(ours["s"])
                assert frame["d"].get("content") == ours["d"].get("content")
        assert list(range(1, len(numbers) + 1)) == numbers


@pytest.mark.parametrize("path", WEBHOOKS)
async def test_recorded_webhooks_verify_with_our_signature_code(served: Served, path: Path) -> None:
    record = load(path)
    request, recorded = record["request"], record["client_response"]
    timestamp, body = request["headers"]["X-Signature-Timestamp"], request["raw_body"].encode()
    good = "bad_signature" not in path.name
    settings = {"app_id": "102000001", "secret": SECRET, "base_url": served.url}
    adapter = Adapter(context(PLATFORM, served, settings))
    served.world.clock.set(float(timestamp))

    status, answer = adapter.receive_webhook(request["headers"], body)

    assert good == (request["headers"]["X-Signature-Ed25519"] == sign(SECRET, timestamp, body))
    assert recorded["status"] // 100 == status // 100
    assert good == acknowledged(recorded["status"], json.dumps(recorded.get("body")).encode())
    if record["request"]["body"]["op"] == Op.VALIDATE:
        assert recorded["body"] == json.loads(answer)
    elif good:
        assert {"op": 12, "d": 0} == json.loads(answer)
        event = await asyncio.wait_for(anext(adapter.events()), PATIENCE)
        assert record["request"]["body"]["d"]["content"] == event.message.text  # type: ignore[union-attr]
    await adapter.close()


async def test_pushed_events_have_every_field_of_the_recorded_ones(
    world_server: Any,
) -> None:
    server, pushed = world_server
    await server.say(USER, "bot", text="hi")
    await server.say(USER, GROUP, text="hi")

    for path in webhooks():
        frame = load(path)["request"]["body"]
        if frame["op"] == Op.DISPATCH:
            ours = next(f for f in pushed if f["t"] == frame["t"])
            assert [] == missing(frame, {**ours, "s": 1})


@pytest.fixture
async def world_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    from yizhan.platforms.qqbot.wire.gateway import encode_frame
    from yizhan.world import populate

    world = World()
    populate(world)
    server = PLATFORM.load_server()(world, Rules.load(PLATFORM.rules_file), ServerOptions())
    pushed: list[dict[str, Any]] = []

    def keep(frame: Frame) -> None:
        pushed.append(json.loads(encode_frame(frame)))

    monkeypatch.setattr(server.webhooks, "dispatch", keep)  # type: ignore[attr-defined]
    yield server, pushed
    world.close()


# --- our own requests -------------------------------------------------------------------------------------------------

CALLS = {
    "getAppAccessToken": ("POST", r"/app/getAppAccessToken"),
    "getMe": ("GET", r"/users/@me"),
    "getGateway": ("GET", r"/gateway"),
    "getGatewayBot": ("GET", r"/gateway/bot"),
    "uploadToUser": ("POST", r"/v2/users/[^/]+/files"),
    "uploadToGroup": ("POST", r"/v2/groups/[^/]+/files"),
    "uploadAndSendToUser": ("POST", r"/v2/users/[^/]+/files"),
    "uploadAndSendToGroup": ("POST", r"/v2/groups/[^/]+/files"),
    "prepareForUser": ("POST", r"/v2/users/[^/]+/upload_prepare"),
    "putPart": ("PUT", r"/cos/[^/]+"),
    "finishPartForUser": ("POST", r"/v2/users/[^/]+/upload_part_finish"),
    "sendToUser": ("POST", r"/v2/users/[^/]+/messages"),
    "sendToGroup": ("POST", r"/v2/groups/[^/]+/messages"),
    "recallFromUser": ("DELETE", r"/v2/users/[^/]+/messages/[^/]+"),
    "recallFromGroup": ("DELETE", r"/v2/groups/[^/]+/messages/[^/]+"),
    "sendToChannel": ("POST", r"/channels/[^/]+/messages"),
    "answerInteraction": ("PUT", r"/interactions/[^/]+"),
}


def recorded_requests(name: str) -> list[dict[str, Any]]:
    method, path = CALLS[name]
    steps = [step["request"] for operation in operations() for step in operation.steps]
    found = [r for r in steps if r["method"] == method and re.fullmatch(path, r["path"])]
    if "AndSend" in name:
        return [r for r in found if r["body"].get("srv_send_msg")]
    return found


@pytest.fixture
async def ours(served: Served, picture_url: str) -> dict[str, list[Exchange]]:
    """Every recorded call, made by our client."""
    server = served.server
    group_msg = await server.say(USER, GROUP, text="hi")
    user_msg = await server.say(USER, "bot", text="hi")
    interaction = await server.event_source.press(USER)  # type: ignore[attr-defined]
    channel_msg = await server.say(USER, "1000001", text="hi")
    async with Bot("102000001", SECRET, base_url=served.url, clock=served.world.clock) as bot:
        await bot.me()
        await bot.gateway()
        await bot.gateway_bot()
        await bot.answer_interaction(interaction)
        for calls, openid, message_id in ((bot.c2c, USER, user_msg), (bot.group, GROUP, group_msg)):
            await calls.files(openid, file_type=1, url=picture_url)
            await calls.files(openid, file_type=1, url=picture_url, srv_send_msg=True)
            placed = await calls.files(openid, file_type=1, file_data=PNG)
            sent = await calls.post_message(openid, content="hello")
            await calls.post_message(openid, content="hello", msg_id=message_id, msg_seq=1)
            await calls.post_message(openid, content="caption", media=placed, msg_id=message_id, msg_seq=2)
            await calls.post_message(openid, markdown={"content": "# title"}, keyboard={"id": "1"})
            await calls.delete_message(openid, sent.id)
        await bot.c2c.typing(USER, user_msg)
        await bot.channels.post_message("1000001", content="hi", msg_id=channel_msg, file_image=PNG)
        content = BytesContent(bytes(6_000_000))
        await ChunkedUpload(bot.c2c, USER, content, served.world.clock).run(4, "blob.bin")
    made = defaultdict(list)
    for exchange in served.exchanges:
        assert exchange.response is not None
        assert exchange.response.status < 300, (exchange.endpoint, exchange.response.data)
        made[exchange.endpoint].append(exchange)
    return made


async def test_requests_use_the_recorded_methods_and_paths(ours: dict[str, list[Exchange]]) -> None:
    for name, (method, path) in CALLS.items():
        assert recorded_requests(name), name
        for exchange in ours[name]:
            assert method == exchange.http.method
            assert re.fullmatch(path, exchange.http.path), exchange.http.path
            recorded_queries = {frozenset(request["query"]) for request in recorded_requests(name)}
            assert frozenset(dict(exchange.http.query)) in recorded_queries


async def test_requests_have_the_recorded_headers(ours: dict[str, list[Exchange]]) -> None:
    for name in CALLS:
        for exchange in ours[name]:
            if name in ("getAppAccessToken", "putPart"):
                # The storage behind a signed address must not learn the token, though one client tells it.
                assert "" == exchange.http.header("authorization")
                continue
            assert re.fullmatch(r"QQBot [\w-]{20,}", exchange.http.header("authorization"))
            assert "102000001" == exchange.http.header("x-union-appid")
            if exchange.http.body and name != "putPart":
                assert "application/json" == exchange.http.header("content-type")


async def test_request_bodies_have_the_recorded_fields_and_types(ours: dict[str, list[Exchange]]) -> None:
    for name in CALLS:
        recorded = [r["body"] for r in recorded_requests(name) if isinstance(r["body"], dict)]
        if name in ("putPart", "sendToChannel") or not recorded:
            continue
        # Both scenes take the same fields, though not all of them were recorded in both.
        sister = name.replace("ToUser", "ToGroup") if "ToUser" in name else name.replace("ToGroup", "ToUser")
        kinds = _kinds(recorded + [r["body"] for r in recorded_requests(sister) if isinstance(r["body"], dict)])
        always = set.intersection(*({key for key, value in body.items() if value is not None} for body in recorded))
        # One client repeats the path's id in the body.
        always -= {"openid", "group_openid"}
        for exchange in ours[name]:
            body = json.loads(b"".join(piece for piece in exchange.http.body if isinstance(piece, bytes)))
            assert body.keys() <= kinds.keys(), name
            for key, value in body.items():
                assert type(value) in kinds[key], f"{name}.{key}"
            if name not in ("uploadToUser", "uploadToGroup", "sendToUser", "sendToGroup"):
                assert always <= body.keys(), name


def _kinds(bodies: list[dict[str, Any]]) -> dict[str, set[type]]:
    kinds: dict[str, set[type]] = defaultdict(set)
    for body in bodies:
        for key, value in body.items():
            if value is not None:
                kinds[key].add(type(value))
    return kinds


async def test_the_picture_of_a_channel_message_travels_in_the_recorded_multipart_field(
    ours: dict[str, list[Exchange]],
) -> None:
    recorded = recorded_requests("sendToChannel")[0]["body"]["_multipart"]
    (exchange,) = ours["sendToChannel"]

    names = {re.findall('name="([^"]*)"', part["content_disposition"])[0] for part in recorded}
    assert names == {part.name for part in exchange.http.parts}
    (picture,) = [part for part in exchange.http.parts if part.name == "file_image"]
    assert ("file_image", "application/octet-stream") == (picture.filename, picture.content_type)
