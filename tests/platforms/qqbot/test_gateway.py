"""Events from both ends: the socket with its sessions, and the signed webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.platforms.qqbot.support import CHANNEL, GROUP, SECRET, TO_CHANNEL, TO_GROUP, TO_USER, USER, adapter_for
from tests.support import MemoryStateStore, Served, serve, until
from yizhan.errors import LoginNeeded, NotAllowed
from yizhan.http.websocket import SocketClosed
from yizhan.model import Event, EventKind
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Adapter
from yizhan.platforms.qqbot.client.event_queue import MAX_QUEUED
from yizhan.platforms.qqbot.client.gateway import USUAL
from yizhan.platforms.qqbot.wire import gateway as wire
from yizhan.platforms.qqbot.wire.gateway import EXPIRED, SESSION_INVALID, TOKEN_REFUSED, CloseCode
from yizhan.platforms.qqbot.wire.webhook import signed_headers, verify
from yizhan.wire import HttpRequest


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(PLATFORM) as served:
        yield served


@asynccontextmanager
async def listening(adapter: Adapter) -> AsyncIterator[asyncio.Queue[Event | Exception]]:
    """Yield a queue of the events, and of the error that ended them."""
    heard: asyncio.Queue[Event | Exception] = asyncio.Queue()

    async def listen() -> None:
        try:
            async for event in adapter.events():
                heard.put_nowait(event)
        except Exception as error:
            heard.put_nowait(error)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await adapter.close()


async def text_of(heard: asyncio.Queue[Any]) -> str:
    event = await asyncio.wait_for(heard.get(), 30)
    assert isinstance(event, Event), event
    return event.message.text if event.message else event.kind.value


def sleepers(served: Served) -> int:
    """Return the number of waiters on the world's clock."""
    return len(served.world.clock._sleepers)


async def test_events_of_users_groups_and_channels_arrive(served: Served) -> None:
    async with listening(adapter_for(served)) as heard:
        await served.server.say(USER, "bot", text="one")
        await served.server.say(USER, GROUP, text="two")
        await served.server.say(USER, CHANNEL, text="three & <four>")
        await served.server.event_source.relate("FRIEND_ADD", USER)  # type: ignore[attr-defined]
        events = [await asyncio.wait_for(heard.get(), 30) for _ in range(4)]

    found = [(e.kind, e.target, e.message.text if e.message else "") for e in events if isinstance(e, Event)]
    assert [
        (EventKind.MESSAGE, TO_USER, "one"),
        (EventKind.MESSAGE, TO_GROUP, "two"),
        (EventKind.MESSAGE, TO_CHANNEL, "three & <four>"),
        (EventKind.FRIEND_ADDED, TO_USER, ""),
    ] == found


async def test_missed_events_arrive_after_a_reconnection(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await served.server.say(USER, "bot", text="one")
        assert "one" == await text_of(heard)
        await gateway.disconnect(EXPIRED)
        await served.server.say(USER, "bot", text="two")
        await served.server.say(USER, "bot", text="three")

        assert ["two", "three"] == [await text_of(heard), await text_of(heard)]
        assert 1 == len(gateway.sessions)


@pytest.mark.parametrize("row", [SESSION_INVALID, CloseCode(4900, "internal", identify=True)])
async def test_a_session_that_cannot_be_resumed_is_replaced_by_a_new_one(served: Served, row: CloseCode) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        first = set(gateway.sessions)
        await gateway.disconnect(row)
        await until(lambda: set(gateway.sessions) - first)
        await served.server.say(USER, "bot", text="hi")

        assert "hi" == await text_of(heard)


async def test_an_unknown_session_is_answered_and_the_client_identifies(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        first = set(gateway.sessions)
        gateway.sessions.clear()
        await gateway.disconnect(EXPIRED)
        await until(lambda: set(gateway.sessions) - first)
        await served.server.say(USER, "bot", text="hi")

        assert "hi" == await text_of(heard)


async def test_the_platform_may_ask_for_a_new_connection(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        (old,) = gateway.sockets
        await gateway.ask_to_reconnect()
        await until(lambda: gateway.sockets and old not in gateway.sockets and gateway.connected)
        await served.server.say(USER, "bot", text="hi")

        assert "hi" == await text_of(heard)
        assert 1 == len(gateway.sessions)


async def test_a_refused_token_is_replaced_by_a_new_one(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        served.server.tokens.forget()  # type: ignore[attr-defined]
        await gateway.disconnect(TOKEN_REFUSED)
        await until(lambda: gateway.connected)
        await served.server.say(USER, "bot", text="hi")

        assert "hi" == await text_of(heard)


@pytest.mark.parametrize("code", [4914, 4915, 4013, 4010])
async def test_a_bot_that_the_gateway_rejects_raises_notallowed(served: Served, code: int) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        await gateway.disconnect(wire.close_code(code))
        error = await asyncio.wait_for(heard.get(), 30)

    assert isinstance(error, NotAllowed)
    assert "management console" in str(error)


async def test_connected_clients_receive_events_after_a_reset(served: Served) -> None:
    async with listening(adapter_for(served)) as heard:
        await served.server.say(USER, "bot", text="one")
        assert "one" == await text_of(heard)
        served.server.reset()
        await served.server.say(USER, "bot", text="two")

        assert "two" == await text_of(heard)


async def test_a_wrong_secret_ends_the_events() -> None:
    async with serve(PLATFORM) as served, listening(adapter_for(served, settings={"secret": "x"})) as heard:
        assert isinstance(await asyncio.wait_for(heard.get(), 30), LoginNeeded)


async def test_default_intents_that_are_not_permitted_are_given_up_and_configured_ones_are_not() -> None:
    async with serve(PLATFORM, rules={"gateway.intents_permitted": 1 << 25}) as served:
        async with listening(adapter_for(served)) as heard:
            await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
            await served.server.say(USER, "bot", text="hi")
            assert "hi" == await text_of(heard)
        async with listening(adapter_for(served, settings={"intents": 1 << 30})) as heard:
            assert isinstance(await asyncio.wait_for(heard.get(), 30), NotAllowed)


async def test_a_restarted_program_resumes_its_session() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        async with listening(adapter_for(served, state_store=state_store)) as heard:
            await served.server.say(USER, "bot", text="one")
            assert "one" == await text_of(heard)
        await served.server.say(USER, "bot", text="two")
        async with listening(adapter_for(served, state_store=state_store)) as heard:
            assert "two" == await text_of(heard)

        assert 1 == len(served.server.gateway.sessions)  # type: ignore[attr-defined]


async def test_a_dead_connection_is_detected_by_a_missing_heartbeat_ack(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    heartbeats = 0
    handle = gateway._handle

    async def deaf(frame: Any, session: Any, http: Any, socket: Any) -> Any:
        nonlocal heartbeats
        if frame.op == wire.Op.HEARTBEAT:
            heartbeats += 1
            return session
        return await handle(frame, session, http, socket)

    monkeypatch.setattr(gateway, "_handle", deaf)
    async with listening(adapter_for(served)) as heard:
        await until(lambda: gateway.connected)
        (old,) = gateway.sockets
        await until(lambda: sleepers(served))
        served.world.clock.advance(46)
        await until(lambda: heartbeats == 1 and sleepers(served))
        served.world.clock.advance(46)
        await until(lambda: gateway.sockets and old not in gateway.sockets)
        await served.server.say(USER, "bot", text="hi")

        assert "hi" == await text_of(heard)


async def test_identifying_is_retried_with_growing_pauses(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    identified = 0

    async def refuse(frame: Any, session: Any, http: Any, socket: Any) -> Any:
        nonlocal identified
        identified += 1
        await socket.send('{"op":9,"d":false}')
        return session

    monkeypatch.setattr(gateway, "_handle", refuse)
    async with listening(adapter_for(served)):
        # The second attempt follows at once, the third when the client's pause is over.
        await until(lambda: identified == 2 and not gateway.sockets and sleepers(served))
        served.world.clock.advance(2)
        await until(lambda: identified == 3 and not gateway.sockets and sleepers(served))


async def test_the_gateway_address_is_fetched_once_while_connections_are_steady(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    async with listening(adapter_for(served)) as heard:
        for number in range(12):
            await until(lambda: gateway.connected)
            served.world.clock.advance(6)
            await gateway.disconnect(EXPIRED)
            await served.server.say(USER, "bot", text=str(number))
            assert str(number) == await text_of(heard)

    assert 1 == served.calls("getGateway")


async def test_a_restarted_program_does_not_mix_up_its_sessions(served: Served) -> None:
    gateway = served.server.gateway  # type: ignore[attr-defined]
    state_store = MemoryStateStore()
    stream = adapter_for(served, state_store=state_store).events()
    first = asyncio.ensure_future(anext(stream))
    await until(lambda: gateway.connected)
    for _ in range(5):
        await served.server.say(USER, "bot", text="of the first session")
    await first
    ended = set(gateway.sessions)
    await gateway.disconnect(SESSION_INVALID)
    await until(lambda: set(gateway.sessions) - ended and gateway.connected)
    # Now the second session is open, and four events of the first wait to be taken.
    for _ in range(4):
        await asyncio.wait_for(anext(stream), 30)
    await stream.aclose()  # type: ignore[attr-defined]

    assert 1 == json.loads(state_store.values["gateway"])["seq"]


# --- the server alone -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def socket_to(served: Served) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{served.url}/websocket") as socket:
        assert {"op": 10, "d": {"heartbeat_interval": 45000}} == await socket.receive_json(timeout=30)
        yield socket


IDENTIFY = {"op": 2, "d": {"token": "QQBot t", "intents": 1 << 25, "shard": [0, 1]}}


async def closed_with(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    while not socket.closed:
        await socket.receive(timeout=30)
    return socket.close_code


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", 4002),
        ("[]", 4002),
        ("[" * 100_000, 4002),
        ('{"op":99}', 4001),
        ('{"op":2,"d":{"token":"QQBot wrong","intents":0,"shard":[0,1]}}', 4004),
        ('{"op":2,"d":{"token":"QQBot t","intents":0,"shard":[3,1]}}', 4010),
        ('{"op":2,"d":{"token":"QQBot t","intents":-1,"shard":[0,1]}}', 4013),
        ('{"op":2,"d":[]}', 4002),
        ('{"op":2}', 4002),
        ('{"op":6,"d":{}}', 4002),
        ('{"op":6,"d":{"token":"QQBot wrong","session_id":"x","seq":1}}', 4004),
    ],
)
async def test_a_malformed_frame_closes_the_socket(served: Served, sent: str, code: int) -> None:
    async with socket_to(served) as socket:
        await socket.send_str(sent)

        assert code == await closed_with(socket)


async def test_null_means_absent_when_a_client_identifies(served: Served) -> None:
    async with socket_to(served) as socket:
        await socket.send_json({"op": 2, "d": {**IDENTIFY["d"], "shard": None, "properties": None}})  # type: ignore[dict-item]

        assert [0, 1] == (await socket.receive_json(timeout=30))["d"]["shard"]


async def test_identifying_twice_closes_the_socket(served: Served) -> None:
    async with socket_to(served) as socket:
        await socket.send_json(IDENTIFY)
        await socket.send_json(IDENTIFY)

        assert 4005 == await closed_with(socket)


@pytest.mark.parametrize(
    "beat", [{"op": 1, "d": 1}, {"op": 1, "d": None}, {"op": 1, "s": 1}, {"op": 1}, {"op": "1", "d": "x"}]
)
async def test_heartbeats_of_every_recorded_form_are_acknowledged(served: Served, beat: Any) -> None:
    async with socket_to(served) as socket:
        await socket.send_json(beat)
        assert {"op": 11} == await socket.receive_json(timeout=30)
        await socket.send_json(IDENTIFY)
        ready = await socket.receive_json(timeout=30)
        await socket.send_json(beat)

        assert {"op": 11} == await socket.receive_json(timeout=30)
        assert {"version", "session_id", "user", "shard"} == ready["d"].keys()
        assert ready["d"]["user"]["id"].isdigit()


async def test_resuming_replays_missed_events_and_a_wrong_seq_is_refused(served: Served) -> None:
    async with socket_to(served) as socket:
        await socket.send_json(IDENTIFY)
        session_id = (await socket.receive_json(timeout=30))["d"]["session_id"]
    await until(lambda: not served.server.gateway.connected)  # type: ignore[attr-defined]
    await served.server.say(USER, "bot", text="missed")
    resume = {"token": "QQBot t", "session_id": session_id}
    async with socket_to(served) as socket:
        await socket.send_json({"op": 6, "d": {**resume, "seq": 99}})
        assert 4007 == await closed_with(socket)
    async with socket_to(served) as socket:
        await socket.send_json({"op": 6, "d": {**resume, "seq": 1}})
        missed, resumed = [await socket.receive_json(timeout=30) for _ in range(2)]

    assert (2, "missed") == (missed["s"], missed["d"]["content"])
    assert {"op": 0, "s": 3, "t": "RESUMED", "d": ""} == resumed


async def test_a_client_that_disconnects_during_identify_is_not_counted_as_connected(served: Served) -> None:
    served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]
    gateway = served.server.gateway  # type: ignore[attr-defined]

    async def go(frame: dict[str, Any]) -> None:
        if frame.get("t") == "READY":
            raise SocketClosed(1006)

    await gateway.connect(HttpRequest("GET", "/websocket", (), {}, base_url=served.url), Told(IDENTIFY, heard=go))

    assert not gateway.connected


async def test_a_client_that_does_not_read_delays_no_other_client(served: Served) -> None:
    served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]

    async def stand_still(frame: dict[str, Any]) -> None:
        if frame.get("s") == 2:
            await asyncio.Event().wait()

    still, alert = Told(IDENTIFY, heard=stand_still), Told(IDENTIFY)
    http = HttpRequest("GET", "/websocket", (), {}, base_url=served.url)
    tasks = [asyncio.create_task(served.server.gateway.connect(http, one)) for one in (still, alert)]  # type: ignore[attr-defined]
    await until(lambda: len(still.frames) == len(alert.frames) == 2)
    for text in ("one", "two", "three"):
        await asyncio.wait_for(served.server.say(USER, "bot", text=text), 30)
    await until(lambda: len(alert.frames) == 5)
    for one in (still, alert):
        one.over.set()
    await asyncio.gather(*tasks)

    assert ["one", "two", "three"] == [frame["d"]["content"] for frame in alert.frames[2:]]
    assert 3 == len(still.frames)


class Told:
    """The client's end of a socket; `heard` is called with every frame that it receives."""

    def __init__(self, *says: dict[str, Any], heard: Any = None) -> None:
        self.says = list(says)
        self.frames: list[dict[str, Any]] = []
        self.heard = heard
        self.over = asyncio.Event()

    async def receive(self) -> str:
        if not self.says:
            await self.over.wait()
            raise SocketClosed(1000)
        return json.dumps(self.says.pop(0))

    async def send(self, text: str) -> None:
        self.frames.append(json.loads(text))
        if self.heard is not None:
            await self.heard(self.frames[-1])

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.over.set()


async def test_events_during_a_resume_follow_the_missed_ones(served: Served) -> None:
    served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]
    connect = served.server.gateway.connect  # type: ignore[attr-defined]
    http = HttpRequest("GET", "/websocket", (), {}, base_url=served.url)
    first = Told(IDENTIFY)
    first.over.set()
    await connect(http, first)
    for text in ("one", "two"):
        await served.server.say(USER, "bot", text=text)

    async def speak_up(frame: dict[str, Any]) -> None:
        if frame.get("s") == 2:
            await served.server.say(USER, "bot", text="three")
        if frame.get("s") == 5:
            second.over.set()

    resume = {"token": "QQBot t", "session_id": first.frames[1]["d"]["session_id"], "seq": 1}
    second = Told({"op": 6, "d": resume}, heard=speak_up)
    await asyncio.wait_for(connect(http, second), 30)

    told = [(frame["s"], frame["t"]) for frame in second.frames if frame["op"] == 0]
    assert [2, 3, 4, 5] == [number for number, _ in told]
    assert (4, "RESUMED") == told[2]


async def test_guild_events_go_to_the_shard_of_their_guild_and_others_to_the_first(served: Served) -> None:
    served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]
    shards = [Told({"op": 2, "d": {"token": "QQBot t", "intents": 1 << 25 | 1 << 30, "shard": [n, 2]}}) for n in (0, 1)]
    http = HttpRequest("GET", "/websocket", (), {}, base_url=served.url)
    tasks = [asyncio.create_task(served.server.gateway.connect(http, shard)) for shard in shards]  # type: ignore[attr-defined]
    await until(lambda: all(len(shard.frames) == 2 for shard in shards))
    await served.server.say(USER, CHANNEL, text="in a guild")
    await served.server.say(USER, "bot", text="one to one")
    await until(lambda: all(len(shard.frames) == 3 for shard in shards))
    for shard in shards:
        shard.over.set()
    await asyncio.gather(*tasks)

    heard = [[frame["t"] for frame in shard.frames[2:]] for shard in shards]
    # (18700000000001 >> 22) % 2 is 1.
    assert [["C2C_MESSAGE_CREATE"], ["AT_MESSAGE_CREATE"]] == heard


async def test_a_session_expires_some_time_after_its_client_disconnected(served: Served) -> None:
    async with socket_to(served) as socket:
        await socket.send_json(IDENTIFY)
        session_id = (await socket.receive_json(timeout=30))["d"]["session_id"]
    await until(lambda: not served.server.gateway.connected)  # type: ignore[attr-defined]
    served.world.clock.advance(301)
    async with socket_to(served) as socket:
        # One client names its application instead of its token when it resumes.
        await socket.send_json({"op": 6, "d": {"token": "Bot 1.x", "session_id": session_id, "seq": 1}})

        assert {"op": 9, "d": False} == await socket.receive_json(timeout=30)


async def test_a_client_receives_only_the_events_of_its_intents(served: Served) -> None:
    async with socket_to(served) as socket:
        await socket.send_json(IDENTIFY)
        await socket.receive_json(timeout=30)
        await served.server.say(USER, CHANNEL, text="not asked for")
        await served.server.say(USER, "bot", text="asked for")

        event = await socket.receive_json(timeout=30)
        assert ("C2C_MESSAGE_CREATE", 2) == (event["t"], event["s"])


# --- the webhook ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def receiver(answer: Any) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        status, body = answer(dict(request.headers), await request.read())
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_post("/qq", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/qq"
    await runner.cleanup()


async def test_webhook_events_reach_our_client_and_are_acknowledged(served: Served) -> None:
    adapter = adapter_for(served, settings={"receive": "webhook"})
    async with receiver(adapter.receive_webhook) as url, listening(adapter) as heard:
        await served.server.webhook(url)
        await served.server.say(USER, "bot", text="hi")
        await served.server.say(USER, GROUP, text="ho")

        assert {"hi", "ho"} == {await text_of(heard), await text_of(heard)}
        assert [] == served.server.webhooks.failed  # type: ignore[attr-defined]
        assert not served.server.gateway.connected  # type: ignore[attr-defined]


async def test_a_message_that_is_pushed_twice_arrives_once(served: Served) -> None:
    adapter = adapter_for(served, settings={"receive": "webhook"})
    async with receiver(adapter.receive_webhook) as url, listening(adapter) as heard:
        await served.server.webhook(url)
        served.server.webhooks.urls.append(url)  # type: ignore[attr-defined]
        await served.server.say(USER, "bot", text="one")
        await served.server.webhooks.settle()  # type: ignore[attr-defined]
        await served.server.say(USER, "bot", text="two")

        assert ["one", "two"] == [await text_of(heard), await text_of(heard)]


async def test_a_retry_is_signed_anew_until_it_is_acknowledged() -> None:
    pushed: list[tuple[str, str]] = []
    answers = iter([(500, b""), (200, b'{"op":12,"d":1}'), (204, b"")])

    async with serve(PLATFORM, rules={"webhook.retry_after_seconds": [10.0, 10.0, 10.0]}) as served:

        def answer(headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
            assert verify(SECRET, headers, body)
            assert ("QQBot-Callback", "102000001") == (headers["User-Agent"], headers["X-Bot-Appid"])
            payload = json.loads(body)
            if payload["op"] == 13:
                return adapter.receive_webhook(headers, body)
            pushed.append((headers["X-Signature-Timestamp"], payload["id"]))
            return next(answers)

        adapter = adapter_for(served)
        async with receiver(answer) as url:
            await served.server.webhook(url)
            await served.server.say(USER, "bot", text="hi")
            for tries in (1, 2, 3):
                await until(lambda tries=tries: len(pushed) == tries and (tries == 3 or sleepers(served)))
                served.world.clock.advance(11)
            await served.server.webhooks.settle()  # type: ignore[attr-defined]

        assert (3, 1) == (len({timestamp for timestamp, _ in pushed}), len({event for _, event in pushed}))
        assert [] == served.server.webhooks.failed  # type: ignore[attr-defined]
        await adapter.close()


async def test_an_event_that_is_never_acknowledged_is_given_up_and_listed_as_failed() -> None:
    async with serve(PLATFORM, rules={"webhook.retry_after_seconds": [0.0, 0.0]}) as served:
        served.server.webhooks.urls.append("http://127.0.0.1:9/")  # type: ignore[attr-defined]
        await served.server.say(USER, "bot", text="hi")
        await served.server.webhooks.settle()  # type: ignore[attr-defined]

        assert 1 == len(served.server.webhooks.failed)  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", [(200, b"{}"), (200, b'{"plain_token":"x","signature":"y"}'), (404, b"")])
async def test_an_address_that_fails_its_check_is_not_registered(served: Served, answer: Any) -> None:
    async with receiver(lambda headers, body: answer) as url:
        with pytest.raises(LookupError, match="op 13"):
            await served.server.webhook(url)
    for url in ("http://127.0.0.1:9/", "ftp://x/", "nonsense"):
        with pytest.raises(LookupError):
            await served.server.webhook(url)


async def test_a_full_event_queue_asks_the_platform_to_push_again(served: Served) -> None:
    adapter = adapter_for(served, settings={"receive": "webhook"})

    def push(number: int) -> tuple[int, bytes]:
        d = {"id": f"m{number}", "author": {"user_openid": USER}, "content": "x", "timestamp": "1"}
        body = json.dumps({"op": 0, "t": "C2C_MESSAGE_CREATE", "id": f"e{number}", "d": d}).encode()
        headers = signed_headers("102000001", SECRET, str(int(served.world.now())), body)
        return adapter.receive_webhook(headers, body)

    answers = [push(number) for number in range(MAX_QUEUED + 1)]

    assert {(200, b'{"op":12,"d":0}')} == set(answers[:-1])
    assert (200, b'{"op":12,"d":1}') == answers[-1]
    await adapter.close()


# --- pressed buttons ---


async def test_a_pressed_button_is_acknowledged_while_its_event_waits(served: Served) -> None:
    interactions = served.server.interactions  # type: ignore[attr-defined]
    adapter = adapter_for(served)
    stream = adapter.events()
    first = asyncio.ensure_future(anext(stream))
    await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
    await served.server.say(USER, "bot", text="slow")
    await first
    # The consumer handles the first event, and has not asked for the next.
    await served.server.event_source.press(USER, GROUP, button_id="1", data="/ok")  # type: ignore[attr-defined]
    await until(lambda: not interactions.waiting)

    event = await asyncio.wait_for(anext(stream), 30)
    assert (EventKind.BUTTON_PRESSED, "/ok") == (event.kind, event.data)
    await stream.aclose()  # type: ignore[attr-defined]
    await adapter.close()


async def test_a_pressed_button_that_a_webhook_brings_is_acknowledged(served: Served) -> None:
    interactions = served.server.interactions  # type: ignore[attr-defined]
    adapter = adapter_for(served, settings={"receive": "webhook"})
    async with receiver(adapter.receive_webhook) as url, listening(adapter) as heard:
        await served.server.webhook(url)
        await served.server.event_source.press(USER, data="/ok")  # type: ignore[attr-defined]
        event = await asyncio.wait_for(heard.get(), 30)
        await until(lambda: not interactions.waiting)

        assert isinstance(event, Event)
        assert "/ok" == event.data


async def test_an_account_may_leave_the_acknowledgement_to_its_program(served: Served) -> None:
    async with listening(adapter_for(served, settings={"acknowledge_presses": False})) as heard:
        await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
        interaction = await served.server.event_source.press(USER)  # type: ignore[attr-defined]
        event = await asyncio.wait_for(heard.get(), 30)

        assert isinstance(event, Event)
        assert EventKind.BUTTON_PRESSED is event.kind
        assert {interaction} == served.server.interactions.waiting  # type: ignore[attr-defined]


async def test_intents_that_are_refused_are_given_up_step_by_step() -> None:
    async with serve(PLATFORM, rules={"gateway.intents_permitted": int(USUAL)}) as served:
        async with listening(adapter_for(served)):
            await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
            (session,) = served.server.gateway.sessions.values()  # type: ignore[attr-defined]
            assert int(USUAL) == session.intents
