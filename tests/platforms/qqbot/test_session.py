"""The gateway session: resumed after breaks and restarts, and given up after failed resumes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tests.platforms.qqbot.support import APP_ID, USER, adapter_for, stop_clock
from tests.platforms.qqbot.test_gateway import listening, sleepers, text_of
from tests.support import MemoryStateStore, Served, serve, until
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client.gateway import NARROW, WIDE
from yizhan.platforms.qqbot.client.session import Origin, Session, SessionStore
from yizhan.platforms.qqbot.server.gateway import CloseConnection
from yizhan.platforms.qqbot.wire.gateway import CloseCode, Frame, Op, encode_frame

ORIGIN = Origin(APP_ID, "http://a", 5, (0, 1))


class BrokenResume:
    """A gateway that closes every resumed session at once."""

    def __init__(self, served: Served, code: int, says_resumed: bool = False) -> None:
        gateway = served.server.gateway  # type: ignore[attr-defined]
        self.resumed = self.identified = 0
        identify = gateway._identify

        async def broken(resume: Any, http: Any, socket: Any) -> None:
            self.resumed += 1
            if says_resumed:
                await socket.send(encode_frame(Frame(Op.DISPATCH, "", resume.seq + 1, "RESUMED")))
            raise CloseConnection(CloseCode(code, "broken"))

        async def counted(*given: Any) -> Any:
            self.identified += 1
            return await identify(*given)

        gateway._resume = broken
        gateway._identify = counted


class NoPauses:
    """A clock on which pauses between two connections end at once; heartbeats keep their time."""

    def __init__(self, served: Served) -> None:
        self.now = served.world.clock.now
        self._sleep = served.world.clock.sleep

    async def sleep(self, seconds: float) -> None:
        await (asyncio.sleep(0) if seconds < 30 else self._sleep(seconds))


async def break_off(served: Served) -> None:
    await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
    await served.server.gateway.disconnect(CloseCode(4009, "expired"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("code", "says_resumed"), [(4009, False), (1011, False), (4008, False), (1000, True)])
async def test_a_session_whose_resume_fails_three_times_is_opened_anew(code: int, says_resumed: bool) -> None:
    async with serve(PLATFORM) as served:
        gateway = BrokenResume(served, code, says_resumed)
        adapter = adapter_for(served)
        adapter.bot.clock = NoPauses(served)
        async with listening(adapter) as heard:
            await break_off(served)
            await until(lambda: gateway.identified == 2 and served.server.gateway.connected)  # type: ignore[attr-defined]
            await served.server.say(USER, "bot", text="hi")

            assert "hi" == await text_of(heard)
        assert (3, 2) == (gateway.resumed, gateway.identified)


async def test_failed_resumes_are_counted_over_restarts() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        stop_clock(served)
        gateway = BrokenResume(served, 4009)
        async with listening(adapter_for(served, state_store=state_store)):
            await break_off(served)
            await until(lambda: gateway.resumed == 1 and sleepers(served))
        async with listening(adapter_for(served, state_store=state_store)):
            await until(lambda: gateway.resumed == 3 and sleepers(served))
        async with listening(adapter_for(served, state_store=state_store)) as heard:
            await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
            await served.server.say(USER, "bot", text="hi")
            assert "hi" == await text_of(heard)

        assert (3, 2) == (gateway.resumed, gateway.identified)


async def test_an_event_after_a_resume_proves_that_the_session_is_alive() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        async with listening(adapter_for(served, state_store=state_store)) as heard:
            for number in range(6):
                await break_off(served)
                await served.server.say(USER, "bot", text=str(number))
                assert str(number) == await text_of(heard)
                if sleepers(served):
                    served.world.clock.advance(61)

        assert 1 == len(served.server.gateway.sessions)  # type: ignore[attr-defined]


async def test_a_resume_that_is_not_answered_ends_with_the_first_heartbeat() -> None:
    async with serve(PLATFORM) as served:
        gateway = served.server.gateway  # type: ignore[attr-defined]
        ignored = 0

        async def ignore(*_: Any) -> None:
            nonlocal ignored
            ignored += 1

        gateway._resume = ignore
        async with listening(adapter_for(served)) as heard:
            await break_off(served)
            for number in (1, 2, 3):
                await until(lambda number=number: ignored == number and sleepers(served))  # type: ignore[misc]
                served.world.clock.advance(46)
            await until(lambda: gateway.connected)
            await served.server.say(USER, "bot", text="hi")

            assert "hi" == await text_of(heard)


async def test_changed_intents_open_a_new_session_after_a_restart() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        gateway = served.server.gateway  # type: ignore[attr-defined]
        async with listening(adapter_for(served, state_store=state_store, settings={"intents": int(NARROW)})):
            await until(lambda: gateway.connected)
        async with listening(adapter_for(served, state_store=state_store, settings={"intents": int(WIDE)})):
            await until(lambda: gateway.connected)
            assert {int(NARROW), int(WIDE)} == {session.intents for session in gateway.sessions.values()}


async def test_a_session_with_fewer_intents_than_requested_is_resumed_after_a_restart() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM, rules={"gateway.intents_permitted": int(NARROW)}) as served:
        gateway = served.server.gateway  # type: ignore[attr-defined]
        for _ in range(2):
            async with listening(adapter_for(served, state_store=state_store)):
                # The server counts a client as connected before that one has read READY.
                await until(lambda: gateway.connected and "gateway" in state_store.values)
            await until(lambda: not gateway.connected)

        assert 1 == len(gateway.sessions)


async def test_a_restart_resumes_behind_the_last_consumed_event() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        stream = adapter_for(served, state_store=state_store).events()
        first = asyncio.ensure_future(anext(stream))
        await until(lambda: served.server.gateway.connected)  # type: ignore[attr-defined]
        await served.server.say(USER, "bot", text="taken")
        await first
        second = asyncio.ensure_future(anext(stream))
        await served.server.say(USER, "bot", text="received")
        event = await second
        # The consumer ends while it handles the second event.
        await stream.aclose()  # type: ignore[attr-defined]
        assert event.message is not None
        assert 2 == json.loads(state_store.values["gateway"])["seq"]

        async with listening(adapter_for(served, state_store=state_store)) as heard:
            assert "received" == await text_of(heard)


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        (ORIGIN, True),
        (msgspec.structs.replace(ORIGIN, app_id="2"), False),
        (msgspec.structs.replace(ORIGIN, base_url="http://b"), False),
        (msgspec.structs.replace(ORIGIN, intents=7), False),
        (msgspec.structs.replace(ORIGIN, shard=(0, 2)), False),
    ],
)
async def test_a_stored_session_is_resumed_only_for_the_same_bot_host_shard_and_intents(
    origin: Origin, found: bool
) -> None:
    state_store = MemoryStateStore()
    await SessionStore(state_store).save(Session("s", 9, ORIGIN), 4)

    session = SessionStore(state_store).load(origin)

    assert found == (session is not None)
    assert session is None or 4 == session.seq


@pytest.mark.parametrize("stored", [b"", b"{", b"[" * 9000, b'{"id":"s","seq":3}'])
async def test_a_broken_stored_session_is_not_resumed(stored: bytes) -> None:
    state_store = MemoryStateStore()
    await state_store.put("gateway", stored)

    assert SessionStore(state_store).load(ORIGIN) is None
