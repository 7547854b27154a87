"""iLink's two ends over a real socket: login, receiving, sending, media, windows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from hashlib import md5, sha256
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.support import MemoryStateStore, Served, context, serve
from yizhan.errors import (
    ContentRefused,
    HandleExpired,
    LoginNeeded,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    StorageError,
    TargetGone,
    Throttled,
    Unavailable,
    Unsupported,
    WindowClosed,
)
from yizhan.http.router import Exchange
from yizhan.model import (
    BytesContent,
    Event,
    EventKind,
    File,
    Forward,
    Handle,
    Image,
    Media,
    Message,
    Quote,
    Receipt,
    SendKey,
    State,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import LoginStep, MediaNeed
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.client import Adapter
from yizhan.platforms.ilink.server import Server
from yizhan.platforms.ilink.server.state import Bell
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.wire import Fault, HttpResponse
from yizhan.world.clock import TurnableClock

QUICK = {"login.pause_seconds": 0, "getupdates.hold_seconds": 1, "poll.pause_seconds": 0}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(632)


def media(data: bytes, kind: Any = "image", format: str = "png", name: str = "") -> Media:
    return Media(sha256(data).hexdigest(), md5(data).hexdigest(), 0, len(data), kind, "", format, name=name)


@dataclass
class Bench:
    """One served platform and one account on it."""

    served: Served
    adapter: Adapter
    state_store: MemoryStateStore
    contexts: dict[Target, dict[str, Any]]
    steps: list[LoginStep] = field(default_factory=list)
    tokens: int = 0

    @property
    def server(self) -> Server:
        server = self.served.server
        assert isinstance(server, Server)
        return server

    @property
    def user(self) -> str:
        assert self.adapter.calls.session is not None
        return self.adapter.calls.session.user_id

    @property
    def target(self) -> Target:
        return Target("ilink.main", "user", self.user)

    async def login(self) -> str:
        return await self.adapter.login(self.steps.append)

    async def events(self, count: int) -> list[Event]:
        """Return the next events; the contexts for answers are kept as in the engine."""
        found: list[Event] = []
        stream = self.adapter.events()
        async with asyncio.timeout(30):
            async for event in stream:
                found.append(event)
                if event.target is not None and event.context:
                    self.contexts[event.target] = {**event.context, "at": event.at, "event_id": event.id}
                if len(found) == count:
                    break
        if found[-1].kind is not EventKind.LOGIN_LOST:
            await self.store_cursor(stream)
        return found

    async def store_cursor(self, stream: AsyncIterator[Event]) -> None:
        """Run the poll until it has stored its cursor or has more of the same batch, then end it."""
        before = self.state_store.get("cursor")
        pending = asyncio.ensure_future(anext(stream))
        await until(lambda: pending.done() or self.state_store.get("cursor") != before)
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)

    async def send(self, *segments: Any, key: int | None = None, contents: dict[str, bytes] | None = None) -> list[str]:
        """Send a message as the engine does, without a store."""
        message = Message(segments)
        ids = []
        for part in self.adapter.compose(message, self.target):
            handles = {need: await self.place(need, (contents or {})[need.media.sha256]) for need in part.needs}
            self.tokens += 1
            sent = await self.adapter.send(part, handles, self.target, SendKey(key or self.tokens, 1), message)
            ids.append(sent.id)
        return ids

    async def place(self, need: MediaNeed, data: bytes) -> Handle:
        return await self.adapter.upload(need, BytesContent(data), self.target)

    def posts(self) -> list[Any]:
        return list(self.served.world.select(platform="ilink", call="sendmessage"))

    def begun(self, endpoint: str) -> list[Exchange]:
        """Collect the requests of an endpoint from now on, held ones too."""
        seen: list[Exchange] = []

        async def before(exchange: Exchange) -> HttpResponse | None:
            if exchange.endpoint == endpoint:
                seen.append(exchange)
            return None

        self.served.before = before  # type: ignore[method-assign]
        return seen

    def answer_with(self, endpoint: str, make: Callable[[Exchange], HttpResponse], times: int = 1) -> None:
        """Answer the next requests of an endpoint by `make`."""
        left = [times]

        async def before(exchange: Exchange) -> HttpResponse | None:
            if exchange.endpoint == endpoint and left[0] > 0:
                left[0] -= 1
                return make(exchange)
            return None

        self.served.before = before  # type: ignore[method-assign]


async def until(condition: Callable[[], Any]) -> None:
    """Let the other tasks run until `condition` is true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serve(PLATFORM, rules=QUICK) as served:
        bench = make(served)
        await bench.login()
        yield bench
        await bench.adapter.close()


def make(served: Served, state_store: MemoryStateStore | None = None, **more: Any) -> Bench:
    state_store, contexts = state_store or MemoryStateStore(), {}
    rules = {**QUICK, **more.pop("rules", {})}
    settings = {"base_url": served.url, **more}
    given = context(PLATFORM, served, settings, state_store=state_store, contexts=contexts, rules=rules)
    return Bench(served, Adapter(given), state_store, contexts)


def fault(row: Any) -> Callable[[Exchange], HttpResponse]:
    return lambda exchange: exchange.table.fail(None, Fault(row))  # type: ignore[union-attr]


# --- login ---


async def test_a_login_is_shown_step_by_step_and_kept() -> None:
    async with serve(PLATFORM, rules=QUICK) as served:
        bench = make(served)

        identity = await bench.login()

        assert ["qr", "scanned", "confirmed"] == [step.state for step in bench.steps]
        assert bench.steps[0].qr.startswith("https://liteapp.weixin.qq.com/q/")
        assert identity.startswith(bench.adapter.calls.session.bot_id)  # type: ignore[union-attr]
        assert {"session"} == set(bench.state_store.values)
        again = make(served, bench.state_store)
        assert identity == await again.login()
        assert [] == again.steps
        await bench.adapter.close()
        await again.adapter.close()


async def test_a_session_is_never_shown_to_another_address(bench: Bench) -> None:
    async with serve(PLATFORM, rules=QUICK) as elsewhere:
        moved = make(elsewhere, bench.state_store)

        assert moved.adapter.calls.session is None
        with pytest.raises(LoginNeeded, match="scanning"):
            await moved.adapter.calls.notify_start()
        await moved.adapter.close()


async def test_manual_logins_wait_for_the_phone() -> None:
    async with serve(PLATFORM, rules=QUICK, options=ServerOptions(manual_logins=True)) as served:
        bench = make(served)
        login = asyncio.ensure_future(bench.login())
        code = await first_code(served)

        await served.server.login(code, "scan")
        await until(lambda: len(bench.steps) == 2)
        assert not login.done()
        await served.server.login(code, "confirm")
        await login

        assert ["qr", "scanned", "confirmed"] == [step.state for step in bench.steps]
        with pytest.raises(LookupError, match="no login"):
            await served.server.login("f" * 32, "scan")
        await bench.adapter.close()


async def first_code(served: Served) -> str:
    codes: dict[str, Any] = served.server.logins.codes  # type: ignore[attr-defined]
    await until(lambda: codes)
    return next(iter(codes))


@pytest.mark.parametrize("how", ["expire", "clock"])
async def test_codes_that_expire_are_renewed_three_times_and_no_more(how: str) -> None:
    patient = {"login.total_seconds": 40_000}
    async with serve(PLATFORM, rules={**QUICK, **patient}, options=ServerOptions(manual_logins=True)) as served:
        bench = make(served, rules=patient)
        login = asyncio.ensure_future(bench.login())
        codes: dict[str, Any] = served.server.logins.codes  # type: ignore[attr-defined]
        for count in (1, 2, 3):
            await until(lambda count=count: len(codes) == count)
            if how == "clock":
                served.world.clock.advance(125)
            else:
                await served.server.login(list(codes)[-1], "expire")

        with pytest.raises(LoginNeeded, match="in time"):
            await login
        assert ["qr", "expired"] * 3 == [step.state for step in bench.steps]
        await bench.adapter.close()


async def test_a_clock_turned_while_a_wait_begins_still_ends_the_wait() -> None:
    clock = TurnableClock()
    waiting = asyncio.ensure_future(Bell().wait(clock, clock.now() + 600))
    await asyncio.sleep(0)
    clock.advance(601)

    await asyncio.wait_for(waiting, 30)


async def test_the_phones_digits_are_requested_until_they_are_right() -> None:
    async with serve(PLATFORM, rules={**QUICK, "login.verify_code": "246810"}) as served:
        bench = make(served)
        login = asyncio.ensure_future(bench.login())
        for digits, asked in (("111", 1), ("246810", 2)):
            await until(lambda asked=asked: sum(step.state == "code" for step in bench.steps) == asked)
            answer = bench.steps[-1].answer
            assert answer is not None
            answer(digits)
        await login

        assert ["qr", "code", "code", "scanned", "confirmed"] == [step.state for step in bench.steps]
        assert "those were wrong" in bench.steps[2].text
        await bench.adapter.close()


async def test_too_many_wrong_digits_need_a_new_code() -> None:
    async with serve(PLATFORM, rules={**QUICK, "login.verify_code": "246810", "login.verify_tries": 1}) as served:
        bench = make(served, rules={"login.max_codes": 1})
        login = asyncio.ensure_future(bench.login())
        await until(lambda: any(step.state == "code" for step in bench.steps))
        bench.adapter.code_entry.give("1")

        with pytest.raises(LoginNeeded):
            await login
        await bench.adapter.close()


async def test_a_redirected_login_continues_at_the_other_host() -> None:
    async with serve(PLATFORM, rules=QUICK) as served:
        other = served.url.replace("http://127.0.0.1", "localhost")
        served.server.rules = PLATFORM.rules(None, {**QUICK, "login.redirect_host": other})  # type: ignore[attr-defined]
        bench = make(served)

        await bench.login()

        hosts = [e.http.header("host") for e in served.exchanges if e.endpoint == "get_qrcode_status"]
        assert hosts[0].startswith("127.0.0.1")
        assert other == hosts[-1]
        assert f"http://{other}" == bench.adapter.calls.caller.bases["api"]
        await bench.adapter.close()


async def test_an_installation_that_is_bound_already_keeps_its_bot(bench: Bench) -> None:
    rules = PLATFORM.rules(None, {**QUICK, "login.already_bound": True})
    bench.server.rules = rules
    kept = bench.adapter.calls.session
    # The platform refuses the check once, as it does for a token in trouble; the login then finds the bot still bound.
    bench.answer_with("getconfig", fault(wire.STALE_TOKEN))

    await bench.login()

    assert kept == bench.adapter.calls.session
    assert 1 == len(bench.server.bots.by_token)


async def test_a_dead_token_is_found_and_the_same_person_scans_again(bench: Bench) -> None:
    user, token = bench.user, bench.adapter.calls.session.bot_token  # type: ignore[union-attr]
    await bench.events(1)
    assert "cursor" in bench.state_store.values
    bench.server.bots.end_session(token)

    assert [False] == [finding.ok for finding in await bench.adapter.check()]
    await bench.login()

    assert user == bench.user
    assert token != bench.adapter.calls.session.bot_token  # type: ignore[union-attr]
    assert "cursor" not in bench.state_store.values
    assert [True] == [finding.ok for finding in await bench.adapter.check()]


async def test_every_login_has_a_person_of_its_own() -> None:
    async with serve(PLATFORM, rules=QUICK) as served:
        benches = [make(served) for _ in range(3)]
        for bench in benches:
            await bench.login()

        users = {bench.user for bench in benches}
        assert 3 == len(users)
        assert users <= set(served.world.network("wechat").people)
        for bench in benches:
            await bench.send(Text(bench.user))
            await bench.adapter.close()
        assert [bench.user for bench in benches] == [post.target for post in benches[0].posts()]


async def test_a_login_survives_errors_of_the_network() -> None:
    async with serve(PLATFORM, rules=QUICK) as served:
        bench = make(served)
        bench.answer_with("get_qrcode_status", lambda _: HttpResponse(524, [], b"gateway"), 2)

        await bench.login()

        assert "confirmed" == bench.steps[-1].state
        await bench.adapter.close()


# --- receiving ---


async def test_the_first_hi_arrives_with_its_token(bench: Bench) -> None:
    (event,) = await bench.events(1)

    assert event.message == Message((Text("hi"),))
    assert bench.target == event.target
    assert event.context["context_token"].startswith("AARzJWAF")
    assert event.context["context_token"] not in str(event.raw)
    assert 1 == bench.served.calls("notifystart")


async def test_a_batch_with_a_stored_cursor_is_not_received_again(bench: Bench) -> None:
    await bench.events(1)
    await bench.server.say(bench.user, "bot", text="second")

    (event,) = await bench.events(1)

    assert "second" == event.message.text  # type: ignore[union-attr]


async def test_a_batch_without_a_stored_cursor_is_received_again(bench: Bench) -> None:
    first = await bench.adapter.calls.get_updates("", 5)
    again = await bench.adapter.calls.get_updates("", 5)

    assert first.msgs == again.msgs != []


async def test_a_held_poll_wakes_at_once() -> None:
    async with serve(PLATFORM, rules={"login.pause_seconds": 0, "getupdates.hold_seconds": 600}) as served:
        bench = make(served)
        await bench.login()
        await bench.events(1)
        polls = bench.begun("getupdates")
        waiting = asyncio.ensure_future(bench.events(1))
        await until(lambda: polls)

        id = await served.server.say(bench.user, "bot", text="wake up")

        assert [id] == [event.id for event in await waiting]
        await bench.adapter.close()


async def test_an_idle_poll_answers_with_an_empty_list_and_a_moved_cursor(bench: Bench) -> None:
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "getupdates.hold_seconds": 0})
    first = await bench.adapter.calls.get_updates("", 5)

    idle = await bench.adapter.calls.get_updates(first.get_updates_buf or "", 5)

    assert [] == idle.msgs
    assert idle.get_updates_buf


async def test_a_batch_has_at_most_twenty(bench: Bench) -> None:
    for number in range(30):
        await bench.server.say(bench.user, "bot", text=str(number))

    assert 20 == len((await bench.adapter.calls.get_updates("", 5)).msgs or ())
    events = await bench.events(31)
    assert ["hi", *map(str, range(30))] == [event.message.text for event in events]  # type: ignore[union-attr]


async def test_a_foreign_cursor_is_dropped(bench: Bench) -> None:
    await bench.state_store.put("cursor", b"CgoIAxCA98TVBhgBEgR4OnkK")

    assert "hi" == (await bench.events(1))[0].message.text  # type: ignore[union-attr]


async def test_a_cursor_of_another_login_is_not_used_after_a_restart(bench: Bench) -> None:
    await bench.events(1)
    kept = msgspec.json.decode(bench.state_store.get("cursor") or b"")
    await bench.state_store.put("cursor", msgspec.json.encode({**kept, "session": "another"}))
    restarted = make(bench.served, bench.state_store)
    await bench.server.say(bench.user, "bot", text="second")
    cursors = cursors_of(restarted)

    assert "second" == (await restarted.events(1))[0].message.text  # type: ignore[union-attr]
    assert "" == cursors[0]
    await restarted.adapter.close()


async def test_a_cursor_that_is_refused_repeatedly_is_given_up(bench: Bench) -> None:
    await bench.events(1)
    cursor = msgspec.json.decode(bench.state_store.get("cursor") or b"")["cursor"]
    restarted = make(bench.served, bench.state_store, rules={"poll.long_pause_seconds": 0})
    await bench.server.say(bench.user, "bot", text="second")
    bench.answer_with("getupdates", fault(wire.INVALID_ARGUMENTS), times=5)
    cursors = cursors_of(restarted)

    assert "second" == (await restarted.events(1))[0].message.text  # type: ignore[union-attr]
    assert ([cursor] * 5, "") == (cursors[:5], cursors[5])
    await restarted.adapter.close()


def cursors_of(bench: Bench) -> list[str]:
    """Collect the cursors of all polls from now on."""
    seen: list[str] = []
    calls = bench.adapter.calls
    get_updates = calls.get_updates

    async def recorded(cursor: str, timeout: float) -> wire.Updates:
        seen.append(cursor)
        return await get_updates(cursor, timeout)

    calls.get_updates = recorded  # type: ignore[method-assign]
    return seen


async def test_a_typing_ticket_that_is_refused_is_replaced(bench: Bench) -> None:
    await bench.adapter.typing(bench.target)
    bench.answer_with("sendtyping", fault(wire.INVALID_ARGUMENTS))
    with pytest.raises(Rejected):
        await bench.adapter.typing(bench.target)

    await bench.adapter.typing(bench.target)

    assert 2 == bench.served.calls("getconfig")


@pytest.mark.parametrize(("text", "named"), [("x" * 1001, True), ("x" * 1000, False)])
async def test_a_long_text_that_is_refused_names_the_rule_that_shortens_it(
    bench: Bench, text: str, named: bool
) -> None:
    bench.answer_with("sendmessage", fault(wire.INVALID_ARGUMENTS))

    with pytest.raises(Rejected) as caught:
        await bench.send(Text(text))
    assert named == ("text.max_chars" in str(caught.value))


def test_a_text_is_cut_at_the_shortest_limit_that_clients_report(bench: Bench) -> None:
    parts = bench.adapter.compose(Message((Text("一" * 4001),)), bench.target)

    assert [2000, 2000, 1] == [len(part.body.item_list[0].text_item.text) for part in parts]


async def test_a_lost_login_is_reported_once_and_a_new_one_continues(bench: Bench) -> None:
    await bench.events(1)
    stream = bench.adapter.events()
    bench.server.bots.end_session(bench.adapter.calls.session.bot_token)  # type: ignore[union-attr]

    lost = await asyncio.wait_for(anext(stream), 30)
    following = asyncio.ensure_future(anext(stream))
    await bench.login()
    after = await asyncio.wait_for(following, 30)

    assert EventKind.LOGIN_LOST == lost.kind
    assert "hi" == after.message.text  # type: ignore[union-attr]


LATE_ANSWERS: dict[str, Callable[[Exchange], HttpResponse]] = {
    "refused": fault(wire.STALE_TOKEN),
    "idle": lambda _: HttpResponse(200, [], b'{"msgs": [], "get_updates_buf": "of the bot before"}'),
}


@pytest.mark.parametrize("answer", LATE_ANSWERS.values(), ids=LATE_ANSWERS)
async def test_a_late_answer_to_the_earlier_bot_changes_nothing_for_the_new_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Exchange], HttpResponse]
) -> None:
    await bench.events(1)
    polls, late, kept, put = bench.begun("getupdates"), asyncio.Event(), [], bench.state_store.put
    note = bench.served.before

    async def before(exchange: Exchange) -> HttpResponse | None:
        await note(exchange)
        if exchange.endpoint != "getupdates" or len(polls) > 1:
            return None
        await late.wait()
        return answer(exchange)

    async def put_slowly(name: str, value: bytes | None) -> None:
        kept.append(value)
        if name == "session":
            late.set()
            await until(lambda: len(polls) > 1)
        await put(name, value)

    monkeypatch.setattr(bench.served, "before", before)
    monkeypatch.setattr(bench.state_store, "put", put_slowly)
    stream = bench.adapter.events()
    following = asyncio.ensure_future(anext(stream))
    await until(lambda: polls)
    bench.server.bots.end_session(bench.adapter.calls.session.bot_token)  # type: ignore[union-attr]
    await bench.login()

    event = await asyncio.wait_for(following, 30)

    assert "hi" == (event.message and event.message.text)
    assert b"of the bot before" not in kept
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_login_that_cannot_be_stored_is_not_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.adapter.calls.session
    bench.server.bots.end_session(before.bot_token)  # type: ignore[union-attr]

    async def full(name: str, value: bytes | None) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(bench.state_store, "put", full)
    with pytest.raises(StorageError):
        await bench.login()
    assert before == bench.adapter.calls.session
    monkeypatch.undo()
    await bench.login()

    assert before != bench.adapter.calls.session
    assert bench.state_store.get("session") == msgspec.json.encode(bench.adapter.calls.session)


async def test_a_token_that_works_again_may_be_lost_again(bench: Bench) -> None:
    await bench.events(1)
    patient = make(bench.served, bench.state_store, rules={"poll.dead_token_seconds": 0})
    stream = patient.adapter.events()
    said = []
    for text in ("works", "works again"):
        patient.answer_with("getupdates", fault(wire.STALE_TOKEN))
        said.append((await asyncio.wait_for(anext(stream), 30)).kind)
        assert not patient.adapter.poll.healthy
        await bench.server.say(bench.user, "bot", text=text)
        said.append((await asyncio.wait_for(anext(stream), 30)).kind)
        assert patient.adapter.poll.healthy

    assert [EventKind.LOGIN_LOST, EventKind.MESSAGE] * 2 == said
    await stream.aclose()  # type: ignore[attr-defined]
    await patient.adapter.close()


async def test_empty_answers_to_polls_mean_a_lapsed_login(bench: Bench) -> None:
    bench.answer_with("getupdates", lambda _: HttpResponse(200, [], b"{}"), 3)

    (event,) = await bench.events(1)

    assert EventKind.LOGIN_LOST == event.kind


@pytest.mark.parametrize(("hint_ms", "seconds"), [(0, 40), (60_000, 65), (10**15, 305)])
async def test_a_poll_waits_as_long_as_the_platform_says_up_to_a_limit(
    bench: Bench, hint_ms: int, seconds: float
) -> None:
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "getupdates.hint_ms": hint_ms})
    patient = make(bench.served, bench.state_store, rules={"getupdates.hold_seconds": 35})
    await patient.events(1)

    bench.served.world.clock.advance(seconds * (0.7 if hint_ms else 0.4))
    in_time = patient.adapter.poll.healthy
    bench.served.world.clock.advance(seconds)

    assert (True, False) == (in_time, patient.adapter.poll.healthy)
    await patient.adapter.close()


async def test_silence_until_the_end_of_a_poll_is_no_failure(bench: Bench) -> None:
    await bench.events(1)
    quiet = {"getupdates.hold_seconds": 0.1, "poll.margin_seconds": 0.1, "poll.pause_seconds": 30}
    patient = make(bench.served, bench.state_store, rules=quiet)
    bench.server.rules = PLATFORM.rules(None, {"getupdates.hold_seconds": 600})
    polls = bench.begun("getupdates")
    waiting = asyncio.ensure_future(patient.events(1))
    await until(lambda: len(polls) >= 3)
    told_good = patient.adapter.poll.healthy
    await bench.server.say(bench.user, "bot", text="still there?")

    assert not told_good, "nobody has said that the token is good"
    assert "still there?" == (await waiting)[0].message.text  # type: ignore[union-attr]
    await patient.adapter.close()


@pytest.mark.parametrize("kind", ["image", "video", "file"])
async def test_media_of_a_person_can_be_saved_and_sent_on_without_an_upload(bench: Bench, kind: Any) -> None:
    data = bytes(range(256)) * 3000
    blob = await bench.served.world.blobs.add(data)
    await bench.server.say(bench.user, "bot", text="look", media=blob, kind=kind, name="x.bin")

    message = (await bench.events(2))[1].message
    assert message is not None
    text, forward = message.segments
    assert isinstance(forward, Forward)
    saved = b"".join([piece async for piece in bench.adapter.open_reference(forward.reference)])
    await bench.send(forward)

    assert (Text("look"), kind, data) == (text, forward.kind, saved)
    (post,) = bench.posts()
    assert blob.sha256 == post.blob.sha256
    assert "yes" == post.extra["shown"]
    assert 0 == bench.served.calls("getuploadurl")


async def test_a_reference_that_is_refused_while_the_window_should_be_open_fails(bench: Bench) -> None:
    forward = Forward("image", {"param": "ended", "key": "00" * 16, "size": 9})
    await bench.events(1)

    with pytest.raises(Rejected, match="save the media and send them"):
        await bench.send(forward)
    bench.answer_with("sendmessage", fault(wire.PREPARE_FAILED))
    with pytest.raises(WindowClosed):
        await bench.send(Text("the window itself"))
    bench.served.world.clock.advance(24 * 3600 + 1)
    with pytest.raises(WindowClosed):
        await bench.send(forward)


async def test_references_may_be_distrusted(bench: Bench) -> None:
    blob = await bench.served.world.blobs.add(PNG)
    await bench.server.say(bench.user, "bot", media=blob, kind="image")
    (forward,) = (await bench.events(2))[1].message.segments  # type: ignore[union-attr]
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "forward.by_reference": False})
    await bench.send(forward)

    assert "no" == bench.posts()[0].extra["shown"]
    bench.adapter.rules = bench.server.rules
    with pytest.raises(Unsupported, match="Save it and send it as media"):
        await bench.send(forward)


async def test_a_wrong_key_of_the_platform_is_reported(bench: Bench) -> None:
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "cdn.wrong_key": True})
    blob = await bench.served.world.blobs.add(b"the same again" * 9)
    for _ in range(2):
        await bench.server.say(bench.user, "bot", media=blob, kind="file", name="x.txt")

    _, first, second = await bench.events(3)
    await read(bench, first)

    with pytest.raises(Rejected, match="wrong keys"):
        await read(bench, second)


async def read(bench: Bench, event: Event) -> bytes:
    assert event.message is not None
    (segment,) = event.message.segments
    assert isinstance(segment, Forward)
    return b"".join([piece async for piece in bench.adapter.open_reference(segment.reference)])


@pytest.mark.parametrize(
    "reference", [{"type": "file", "param": "x"}, {"type": "image", "param": "x"}, {"url": "file:///etc/passwd"}, {}]
)
async def test_references_to_unknown_media_are_refused(bench: Bench, reference: Any) -> None:
    with pytest.raises(PlatformError, match=r"key|invalid encrypted_param|not an address"):
        _ = [piece async for piece in bench.adapter.open_reference(reference)]


async def test_only_the_bots_own_person_can_write_to_it(bench: Bench) -> None:
    with pytest.raises(LookupError, match="no iLink bot"):
        await bench.server.say("wxid_alice", "bot", text="hi")
    with pytest.raises(LookupError, match="no groups"):
        await bench.server.say(bench.user, "10001@chatroom", text="hi")
    with pytest.raises(LookupError, match="no groups"):
        bench.server.people("group", 1)
    with pytest.raises(LookupError, match="no webhooks"):
        await bench.server.webhook("http://127.0.0.1:1")


async def test_new_people_know_the_newest_bot_or_scan_the_next_code() -> None:
    async with serve(PLATFORM, rules=QUICK) as served:
        (first,) = served.server.people("user", 1)
        bench = make(served)
        await bench.login()
        more = served.server.people("user", 2)

        assert first == bench.user
        events = await bench.events(3)
        assert {first, *more} == {event.sender for event in events}
        await bench.adapter.close()


# --- sending ---


async def test_a_text_arrives(bench: Bench) -> None:
    await bench.events(1)

    (id,) = await bench.send(Text("hello 你好 👋\nline two"))

    (post,) = bench.posts()
    assert (id, bench.user, "text", "hello 你好 👋\nline two") == (post.message_id, post.target, post.kind, post.text)
    sent = msgspec.json.decode(b"".join(bench.served.exchanges[-1].http.body))  # type: ignore[arg-type]
    assert bench.contexts[bench.target]["context_token"] == sent["msg"]["context_token"]
    assert "" == sent["msg"]["from_user_id"]


@pytest.mark.parametrize(
    ("make_segment", "kind", "name"),
    [
        (Image, "image", ""),
        (lambda m: Video(msgspec.structs.replace(m, kind="video", format="mp4")), "video", ""),
        (lambda m: File(m, "说明 文件.txt"), "file", "说明 文件.txt"),
        (lambda m: Voice(msgspec.structs.replace(m, kind="voice", format="silk")), "file", "voice.silk"),
    ],
)
async def test_media_arrive_plain_and_would_open_on_the_phone(
    bench: Bench, make_segment: Any, kind: str, name: str
) -> None:
    await bench.send(make_segment(media(PNG)), contents={sha256(PNG).hexdigest(): PNG})

    (post,) = bench.posts()
    assert (kind, name, "yes") == (post.kind, post.name, post.extra["shown"])
    assert PNG == post.blob.read()


async def test_a_large_file_streams_both_ways(bench: Bench) -> None:
    data = bytes(range(256)) * (20 << 12) + b"odd"
    left: list[int] = []
    need = bench.adapter.compose(Message((File(media(data, "file", "")),)), bench.target)[0].needs[0]

    handle = await bench.adapter.upload(need, BytesContent(data), bench.target, left.append)

    assert len(data) // 16 * 16 + 16 == sum(left)
    placed = msgspec.json.decode(handle.token)
    reference = {"type": "file", "param": placed["param"], "key": placed["key"]}
    digest = sha256()
    async for piece in bench.adapter.open_reference(reference):
        digest.update(piece)
    assert sha256(data).hexdigest() == digest.hexdigest()


async def test_one_upload_is_sent_many_times(bench: Bench) -> None:
    message = Message((Image(media(PNG)),))
    (part,) = bench.adapter.compose(message, bench.target)
    handles = {part.needs[0]: await bench.place(part.needs[0], PNG)}

    for number in range(5):
        await bench.adapter.send(part, handles, bench.target, SendKey(number + 1, 1), message)

    assert 5 == len(bench.posts())
    assert 1 == bench.served.calls("cdn_upload")
    assert handles[part.needs[0]].expires_at == pytest.approx(bench.served.world.now() + 21600, abs=5)


async def test_the_same_bytes_become_the_same_ciphertext_for_one_account(bench: Bench) -> None:
    (part,) = bench.adapter.compose(Message((Image(media(PNG)),)), bench.target)
    first, second = [msgspec.json.decode((await bench.place(part.needs[0], PNG)).token) for _ in range(2)]

    assert first["key"] == second["key"]
    assert first["param"] != second["param"]


async def test_a_repeat_under_the_same_key_is_swallowed(bench: Bench) -> None:
    first = await bench.send(Text("once"), key=77)
    second = await bench.send(Text("once"), key=77)

    assert first == second
    assert 1 == len(bench.posts())


async def test_the_sandbox_plays_quotes_raw_messages_and_lost_logins(bench: Bench) -> None:
    play = bench.server.event
    quoting = await play(SimulatedEvent("message", bench.user, text="this one", quote="7504206488704563208"))
    raw = await play(SimulatedEvent("raw", bench.user, body={"from_user_id": bench.user, "item_list": [{"type": 99}]}))
    _, quote, odd = await bench.events(3)
    await play(SimulatedEvent("login_lost", bench.user))
    (lost,) = await bench.events(1)

    assert quote.message is not None
    assert (Quote("7504206488704563208"), Text("this one")) == quote.message.segments
    assert [quoting, raw] == [quote.id, odd.id]
    assert EventKind.LOGIN_LOST is lost.kind


async def test_the_sandbox_names_the_events_that_ilink_has(bench: Bench) -> None:
    with pytest.raises(LookupError, match="message, login_lost, raw"):
        await bench.server.event(SimulatedEvent("member_joined", bench.user))
    with pytest.raises(LookupError, match="element of `msgs`"):
        await bench.server.event(SimulatedEvent("raw", bench.user, body={"item_list": 5}))


async def test_a_repeat_belongs_to_one_login(bench: Bench) -> None:
    before = bench.adapter.session()
    restarted = make(bench.served, bench.state_store).adapter.session()
    (token,) = bench.server.bots.by_token
    bench.server.bots.end_session(token)
    await bench.login()

    assert before == restarted
    assert before != bench.adapter.session()
    assert "none" == make(bench.served).adapter.session()
    assert token not in before


async def test_a_stored_session_that_cannot_be_read_asks_for_a_login(bench: Bench) -> None:
    await bench.state_store.put("session", b"\xff{")

    with pytest.raises(LoginNeeded, match="scanning a code"):
        await make(bench.served, bench.state_store).adapter.typing(bench.target)


async def test_a_context_token_of_another_bot_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = bench.adapter.calls
    assert calls.session is not None
    tokens: list[str | None] = []
    send_message = calls.send_message

    async def recorded(message: wire.WeixinMessage) -> wire.Sent:
        tokens.append(message.context_token)
        return await send_message(message)

    monkeypatch.setattr(calls, "send_message", recorded)
    for bot in ("other@im.bot", calls.session.bot_id):
        bench.contexts[bench.target] = {"context_token": f"of {bot}", "bot": bot}
        await bench.send(Text("hi"))

    assert [None, f"of {calls.session.bot_id}"] == tokens


async def test_a_context_token_and_a_window_of_another_address_are_not_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, (event,) = bench.adapter.calls, await bench.events(1)
    sent: list[wire.WeixinMessage] = []
    send_message = calls.send_message

    async def recorded(message: wire.WeixinMessage) -> wire.Sent:
        sent.append(message)
        return await send_message(message)

    monkeypatch.setattr(calls, "send_message", recorded)
    await bench.send(Text("here"))
    bench.contexts[bench.target] = {**event.context, "at": event.at, "address": "http://127.0.0.1:9"}
    await bench.send(Text("elsewhere"))

    assert [event.context["context_token"], None] == [message.context_token for message in sent]
    assert () == bench.adapter.limits(Message((Text("x"),)), bench.target)
    bench.contexts[bench.target] = {**event.context, "at": event.at, "bot": "other@im.bot"}
    assert () == bench.adapter.limits(Message((Text("x"),)), bench.target)


async def test_a_cursor_of_another_address_is_not_sent_there(bench: Bench) -> None:
    await bench.events(1)
    assert bench.state_store.get("cursor")
    async with serve(PLATFORM, rules=QUICK) as elsewhere:
        moved = make(elsewhere, bench.state_store)
        await moved.login()

        assert bench.state_store.get("cursor") is None
        assert ["hi"] == [event.message.text for event in await moved.events(1) if event.message]
        await moved.adapter.close()


async def test_a_success_without_an_id_is_an_unknown_outcome(bench: Bench) -> None:
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "sendmessage.silent": True})

    with pytest.raises(OutcomeUnknown, match="message_id"):
        await bench.send(Text("into the void"))
    assert [] == bench.posts()


async def test_ten_messages_then_the_person_must_write_again(bench: Bench) -> None:
    for number in range(10):
        await bench.send(Text(str(number)))
    with pytest.raises(WindowClosed, match="prepare failed"):
        await bench.send(Text("eleventh"))

    await bench.server.say(bench.user, "bot", text="go on")
    await bench.events(2)
    await bench.send(Text("eleventh"))

    assert 11 == len(bench.posts())


async def test_the_window_ends_after_a_day(bench: Bench) -> None:
    bench.served.world.clock.advance(24 * 3600 + 1)

    with pytest.raises(WindowClosed):
        await bench.send(Text("too late"))
    bench.server.rules = PLATFORM.rules(None, {"limits": False})
    with pytest.raises(WindowClosed, match="just now") as caught:
        await bench.send(Text("not asked again so soon"))
    assert 1 == bench.served.calls("sendmessage")
    bench.served.world.clock.set((caught.value.opens_at or 0.0) + 1)
    await bench.send(Text("without limits"))

    assert ["without limits"] == [post.text for post in bench.posts()]


async def test_limits_follow_the_last_inbound_message(bench: Bench) -> None:
    assert () == bench.adapter.limits(Message((Text("x"),)), bench.target)
    (event,) = await bench.events(1)

    (limit,) = bench.adapter.limits(Message((Text("x"),)), bench.target)

    assert (event.at, event.at + 86400, 10) == (limit.since, limit.until, limit.count)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (wire.STALE_TOKEN, LoginNeeded),
        (wire.PREPARE_FAILED, WindowClosed),
        (wire.UNUSABLE_CONTEXT, WindowClosed),
        (wire.RATE_LIMITED, Throttled),
        (wire.TOO_FAST, Throttled),
        (wire.INVALID_ARGUMENTS, Rejected),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_a_fault_while_sending_arrives_as_its_meaning(bench: Bench, row: Any, error: type[Exception]) -> None:
    bench.answer_with("sendmessage", fault(row))

    with pytest.raises(error) as caught:
        await bench.send(Text("x"))
    assert row.message in str(caught.value)


async def test_a_session_timeout_while_receiving_works_is_the_window(bench: Bench) -> None:
    await bench.events(1)
    bench.answer_with("sendmessage", fault(wire.STALE_TOKEN))

    with pytest.raises(WindowClosed, match="receiving works"):
        await bench.send(Text("x"))


async def test_a_session_timeout_of_an_upload_while_receiving_works_is_the_window(bench: Bench) -> None:
    need = MediaNeed(media(PNG), str(bench.target), use="image")
    bench.answer_with("getuploadurl", fault(wire.STALE_TOKEN))
    with pytest.raises(LoginNeeded):
        await bench.place(need, PNG)
    await bench.events(1)
    bench.answer_with("getuploadurl", fault(wire.STALE_TOKEN))

    with pytest.raises(WindowClosed, match="receiving works"):
        await bench.place(need, PNG)


async def test_an_old_upload_that_is_refused_is_made_again_and_a_new_one_is_not(bench: Bench) -> None:
    await bench.events(1)
    message = Message((Image(media(PNG)),))
    (part,) = bench.adapter.compose(message, bench.target)
    old = Handle('{"param":"gone","key":"00112233445566778899aabbccddeeff"}', part.needs[0].scope)
    fresh = await bench.place(part.needs[0], PNG)

    with pytest.raises(HandleExpired, match="upload may have ended"):
        await bench.adapter.send(part, {part.needs[0]: old}, bench.target, SendKey(1, 1), message)
    bench.answer_with("sendmessage", fault(wire.PREPARE_FAILED))
    with pytest.raises(WindowClosed):
        await bench.adapter.send(part, {part.needs[0]: fresh}, bench.target, SendKey(2, 1), message)


async def test_an_unknown_person_is_gone(bench: Bench) -> None:
    nobody = Target("ilink.main", "user", "o9cq80nobody@im.wechat")
    (part,) = bench.adapter.compose(Message((Image(media(PNG)),)), nobody)

    with pytest.raises(TargetGone):
        await bench.adapter.upload(part.needs[0], BytesContent(PNG), nobody)


# --- the CDN ---


async def test_an_upload_is_tried_three_times_at_the_same_address(bench: Bench) -> None:
    bench.answer_with("cdn_upload", fault(wire.CDN_FAILED), 2)

    await bench.send(Image(media(PNG)), contents={sha256(PNG).hexdigest(): PNG})

    uploads = [e.http for e in bench.served.exchanges if e.endpoint == "cdn_upload"]
    assert 3 == len(uploads)
    assert 1 == len({str(http.query) for http in uploads})
    assert 1 == bench.served.calls("getuploadurl")


@pytest.mark.parametrize(
    ("answer", "error", "tries"),
    [
        (fault(wire.CDN_FAILED), Unavailable, 3),
        (lambda _: HttpResponse(200, [], b""), Unavailable, 3),
        (lambda _: HttpResponse(204), Unavailable, 3),
        (fault(wire.CDN_PARAM), Rejected, 1),
        (fault(wire.CDN_ILLEGAL), ContentRefused, 1),
    ],
    ids=["500", "no header", "204", "400", "illegal"],
)
async def test_a_refused_upload_is_final_and_a_failed_one_is_not(
    bench: Bench, answer: Any, error: type[Exception], tries: int
) -> None:
    bench.answer_with("cdn_upload", answer, 9)

    with pytest.raises(error):
        await bench.send(Image(media(PNG)), contents={sha256(PNG).hexdigest(): PNG})
    assert tries == bench.served.calls("cdn_upload")


@pytest.mark.parametrize("both", [True, False])
async def test_an_upload_needs_only_one_of_the_two_addresses(bench: Bench, both: bool) -> None:
    bench.server.rules = PLATFORM.rules(None, {"getuploadurl.upload_param": both})
    answer = await bench.adapter.calls.get_upload_url(request_for(bench, PNG))

    assert bool(answer.upload_param) is both
    full = wire.UploadUrl(upload_full_url=answer.upload_full_url)
    built = wire.UploadUrl(upload_param=answer.upload_param)
    for place in (full, built) if both else (full,):
        assert await bench.adapter.calls.cdn_upload(place, "ab" * 16, sealed(PNG))


async def test_an_unencoded_plus_in_an_address_is_read_as_a_plus(bench: Bench) -> None:
    answer = await bench.adapter.calls.get_upload_url(request_for(bench, PNG))
    unencoded = (answer.upload_full_url or "").replace("%2B", "+")
    param = await bench.adapter.calls.cdn_upload(wire.UploadUrl(unencoded), "ab" * 16, sealed(PNG))
    address = f"{bench.served.url}{wire.CDN_DOWNLOAD.path}?encrypted_query_param="
    address += quote(param, safe="").replace("%2B", "+")
    key = "00112233445566778899aabbccddeeff"
    pieces = bench.adapter.open_reference({"type": "image", "param": param, "key": key, "url": address})

    assert "+" in unencoded
    assert "+" in address
    assert PNG == b"".join([piece async for piece in pieces])


def request_for(bench: Bench, data: bytes) -> wire.GetUploadUrl:
    return wire.GetUploadUrl(
        filekey="ab" * 16,
        media_type=1,
        to_user_id=bench.user,
        rawsize=len(data),
        rawfilemd5=md5(data).hexdigest(),
        filesize=len(data) // 16 * 16 + 16,
        no_need_thumb=True,
        aeskey="00112233445566778899aabbccddeeff",
    )


def sealed(data: bytes, key: str = "00112233445566778899aabbccddeeff") -> Any:
    from yizhan.platforms.ilink.wire.crypt import Enciphered

    return Enciphered(BytesContent(data), bytes.fromhex(key))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (sealed(PNG[:-20]), "size mismatch"),
        (sealed(PNG, "ff" * 16), "decrypt failed"),
        (sealed(bytes(640)), "md5 mismatch"),
        (sealed(PNG[:-1]), "size mismatch"),
        (BytesContent(b""), "size mismatch"),
    ],
    ids=["short", "key", "content", "plain size", "empty"],
)
async def test_the_cdn_compares_an_upload_with_its_announcement(bench: Bench, body: Any, words: str) -> None:
    place = await bench.adapter.calls.get_upload_url(request_for(bench, PNG))

    with pytest.raises(Rejected, match=words):
        await bench.adapter.calls.cdn_upload(place, "ab" * 16, body)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, "yes"),
        ({"aes_key": "ABEiM0RVZneImaq7zN3u/w=="}, "grey"),
        ({"aes_key": "?"}, "grey"),
        ({"aes_key": None}, "grey"),
        ({"mid_size": None}, "failed"),
        ({"own": True}, "no"),
    ],
    ids=str,
)
async def test_a_post_tells_how_the_phone_would_show_it(bench: Bench, change: dict[str, Any], shown: str) -> None:
    place = await bench.adapter.calls.get_upload_url(request_for(bench, PNG))
    param = await bench.adapter.calls.cdn_upload(place, "ab" * 16, sealed(PNG))
    found = wire.CDNMedia(
        place.upload_param if change.get("own") else param,
        change.get("aes_key", "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY="),
        1,
    )
    item = wire.MessageItem(type=2, image_item=wire.ImageItem(media=found, mid_size=change.get("mid_size", 656)))

    await bench.adapter.calls.send_message(message_to(bench, [item]))

    assert shown == bench.posts()[0].extra["shown"]


def message_to(bench: Bench, items: Any, **more: Any) -> wire.WeixinMessage:
    fields: dict[str, Any] = {
        "from_user_id": "",
        "to_user_id": bench.user,
        "client_id": f"test-{len(bench.served.exchanges)}",
        "message_type": 2,
        "message_state": 2,
        "item_list": items,
    }
    return wire.WeixinMessage(**{**fields, **more})


async def test_uploads_of_others_are_accepted_unless_the_rules_are_strict(bench: Bench) -> None:
    other = make(bench.served)
    await other.login()
    (part,) = bench.adapter.compose(Message((Image(media(PNG)),)), bench.target)
    handles = {part.needs[0]: await bench.place(part.needs[0], PNG)}

    await other.adapter.send(part, handles, other.target, SendKey(1, 1), Message(()))
    bench.server.rules = PLATFORM.rules(None, {"getuploadurl.strict_recipient": True})
    with pytest.raises(WindowClosed):
        await other.adapter.send(part, handles, other.target, SendKey(2, 1), Message(()))
    await bench.adapter.send(part, handles, bench.target, SendKey(3, 1), Message(()))
    await other.adapter.close()


async def test_two_items_in_one_message_are_refused(bench: Bench) -> None:
    items = [wire.MessageItem(type=1, text_item=wire.TextItem(text=t)) for t in "ab"]

    with pytest.raises(Rejected, match="invalid arguments"):
        await bench.adapter.calls.send_message(message_to(bench, items))


async def test_without_client_ids_only_the_first_message_arrives(bench: Bench) -> None:
    for text in "ab":
        items = [wire.MessageItem(type=1, text_item=wire.TextItem(text=text))]
        await bench.adapter.calls.send_message(message_to(bench, items, client_id=None))

    assert ["a"] == [post.text for post in bench.posts()]


async def test_strict_context_wants_the_token_of_the_last_message(bench: Bench) -> None:
    bench.server.rules = PLATFORM.rules(None, {**QUICK, "sendmessage.strict_context": True})

    with pytest.raises(WindowClosed, match="unknown error"):
        await bench.send(Text("without"))
    await bench.events(1)
    await bench.send(Text("with"))


@pytest.mark.parametrize(("profile", "shown"), [(None, "no"), ("2026-05", "yes")])
async def test_voices_of_bots_were_shown_until_june(bench: Bench, profile: str | None, shown: str) -> None:
    bench.server.rules = PLATFORM.rules(profile)
    place = await bench.adapter.calls.get_upload_url(request_for(bench, PNG))
    param = await bench.adapter.calls.cdn_upload(place, "ab" * 16, sealed(PNG))
    found = wire.CDNMedia(param, "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=", 1)

    await bench.adapter.calls.send_message(
        message_to(bench, [wire.MessageItem(type=3, voice_item=wire.VoiceItem(media=found))])
    )

    assert [("voice", shown)] == [(post.kind, post.extra["shown"]) for post in bench.posts()]


# --- the rest ---


async def test_typing_requests_a_ticket_once(bench: Bench) -> None:
    await bench.adapter.typing(bench.target)
    chat = bench.server.bots.by_token[bench.adapter.calls.session.bot_token].chats[bench.user]  # type: ignore[union-attr]
    was_typing = chat.typing
    await bench.adapter.typing(bench.target, on=False)

    assert (True, False) == (was_typing, chat.typing)
    assert 1 == bench.served.calls("getconfig")
    assert 2 == bench.served.calls("sendtyping")


async def test_a_missing_ticket_is_requested_again(bench: Bench) -> None:
    bench.answer_with("getconfig", lambda _: HttpResponse(200, [], b'{"ret": 0}'))

    with pytest.raises(Rejected, match="no typing ticket"):
        await bench.adapter.typing(bench.target)
    await bench.adapter.typing(bench.target)

    assert (2, 1) == (bench.served.calls("getconfig"), bench.served.calls("sendtyping"))


async def test_there_is_no_recall_and_no_read_mark(bench: Bench) -> None:
    receipt = Receipt("1", str(bench.target), State.SENT)
    with pytest.raises(Unsupported, match="withdraws no messages"):
        await bench.adapter.recall(None, bench.target, receipt)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="typing"):
        await bench.adapter.mark_read(bench.target)


async def test_closing_sends_notifystop_after_notifystart(bench: Bench) -> None:
    bot = bench.server.bots.by_token[bench.adapter.calls.session.bot_token]  # type: ignore[union-attr]
    await bench.events(1)
    assert bot.online

    await bench.adapter.close()

    assert not bot.online
    assert 1 == bench.served.calls("notifystop")


async def test_closing_does_not_wait_for_a_platform_that_ignores_notifystop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.events(1)
    monkeypatch.setattr("yizhan.platforms.ilink.client.adapter.NOTIFY_STOP_SECONDS", 0.05)
    monkeypatch.setattr(wire, "NOTIFY_STOP", replace(wire.NOTIFY_STOP, timeout=600.0))
    heard = asyncio.Event()

    async def before(exchange: Exchange) -> HttpResponse | None:
        if exchange.endpoint == "notifystop":
            await heard.wait()
        return None

    monkeypatch.setattr(bench.served, "before", before)

    await asyncio.wait_for(bench.adapter.close(), 30)
    heard.set()


async def test_a_reset_ends_every_session(bench: Bench) -> None:
    bench.server.reset()

    with pytest.raises(LoginNeeded):
        await bench.send(Text("x"))
    assert {} == bench.server.bots.by_token


async def test_an_account_without_a_login_says_so() -> None:
    async with serve(PLATFORM) as served:
        bench = make(served)

        (finding,) = await bench.adapter.check()

        assert (False, "Log in by scanning a code.") == (finding.ok, finding.remedy)
        await bench.adapter.close()


async def test_a_closing_server_answers_held_polls_and_ends_no_session(bench: Bench) -> None:
    await bench.events(1)
    bench.server.rules = PLATFORM.rules(None, {"getupdates.hold_seconds": 600})
    polls = bench.begun("getupdates")
    cursor = msgspec.json.decode(bench.state_store.get("cursor") or b"")["cursor"]
    held = asyncio.ensure_future(bench.adapter.calls.get_updates(cursor, 30))
    await until(lambda: polls)

    await bench.server.close()

    assert [] == (await held).msgs


async def test_a_platform_that_does_not_hold_its_polls_is_asked_with_pauses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yizhan.platforms.ilink.client.poll.AT_ONCE", 3600.0)
    bench.server.rules = PLATFORM.rules(None, {"getupdates.hold_seconds": 0})
    patient = make(bench.served, bench.state_store, rules={"poll.pause_seconds": 600})
    polls = bench.begun("getupdates")
    waiting = asyncio.ensure_future(patient.events(2))
    await until(lambda: bench.served.world.clock._sleepers)

    assert 2 == len(polls)
    await bench.server.say(bench.user, "bot", text="later")
    bench.served.world.clock.advance(601)
    assert ["hi", "later"] == [event.message.text for event in await waiting]  # type: ignore[union-attr]
    await patient.adapter.close()
