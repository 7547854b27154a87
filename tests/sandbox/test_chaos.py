"""Faults on demand: which exchanges they meet, in what shape, how often; and that chance can be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.pigeon import PARCEL, PIGEON, SEND, Letter
from yizhan.errors import LoginNeeded, OutcomeUnknown, Throttled, Unavailable, YizhanError
from yizhan.http.client import Caller
from yizhan.sandbox import Sandbox
from yizhan.sandbox.wire import ChaosRule


class Loft:
    """A sandbox, and a client that writes letters to it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.set_rules("pigeon", limits=False)
        self.caller = Caller("pigeon.me", sandbox.url)

    async def write(self, to: str = "x") -> str:
        """Return how a letter ended: `sent`, or the name of the error."""
        try:
            await self.caller.call(SEND, Letter(to, "hi"))
        except YizhanError as error:
            return type(error).__name__
        return "sent"

    def meet(self, **rule: Any) -> None:
        self.sandbox.chaos.set([msgspec.convert(rule, ChaosRule)])

    @property
    def arrived(self) -> int:
        return len(self.sandbox.world.posts)


@pytest.fixture
async def loft() -> AsyncIterator[Loft]:
    async with Sandbox(platforms=[PIGEON]) as sandbox:
        loft = Loft(sandbox)
        yield loft
        await loft.caller.close()


@pytest.mark.parametrize(
    ("rule", "error", "arrived"),
    [
        ({"fault": 7}, Throttled, 0),
        ({"fault": "tired"}, Throttled, 0),
        ({"fault": "8"}, LoginNeeded, 0),
        ({"status": 503}, Unavailable, 0),
        ({"cut": "before"}, OutcomeUnknown, 0),
        ({"cut": "after"}, OutcomeUnknown, 1),
    ],
)
async def test_the_fault_of_a_rule_arrives_as_its_meaning(
    loft: Loft, rule: dict[str, Any], error: type[Exception], arrived: int
) -> None:
    loft.meet(**rule)

    assert error.__name__ == await loft.write()
    assert arrived == loft.arrived


async def test_a_fault_has_the_platforms_words_and_a_bare_status_has_not(loft: Loft) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{loft.sandbox.url}/pigeon/x/letters"
        loft.meet(fault="tired", times=1)
        async with session.post(url, json={"text": "hi"}) as answer:
            own = answer.status, await answer.json()
        loft.meet(status=502)
        async with session.post(url, json={"text": "hi"}) as answer:
            bare = answer.status, answer.content_type

    assert (429, {"coo": 7, "words": "the pigeon is tired"}) == own
    assert (502, "text/html") == bare


async def test_rules_apply_only_to_the_exchanges_that_they_name(loft: Loft) -> None:
    loft.meet(endpoint="sendP*", cut="before")
    loft.meet(endpoint="send[L]etter", target="a*", fault=7)
    loft.meet(platform="pig*", endpoint="sendLetter", target="b", fault=8)

    assert ["Throttled", "LoginNeeded", "sent"] == [await loft.write(to) for to in ("abc", "b", "c")]


async def test_a_rule_is_spent_after_its_times(loft: Loft) -> None:
    loft.meet(fault=7, times=2)

    assert ["Throttled", "Throttled", "sent"] == [await loft.write() for _ in range(3)]
    assert [2] == [view.fired for view in loft.sandbox.chaos.views()]


async def test_chance_strikes_at_its_rate_and_alike_after_a_reset(loft: Loft) -> None:
    async def row() -> list[str]:
        loft.sandbox.reset()
        loft.sandbox.set_rules("pigeon", limits=False)
        loft.meet(fault=7, rate=0.2)
        return [await loft.write() for _ in range(200)]

    first, second = await row(), await row()

    assert first == second
    assert 20 <= first.count("Throttled") <= 60
    assert 200 == len(first)


async def test_a_rate_of_nothing_never_strikes(loft: Loft) -> None:
    loft.meet(fault=7, rate=0)

    assert {"sent"} == {await loft.write() for _ in range(20)}


async def test_a_delay_holds_one_request_and_no_other(loft: Loft, monkeypatch: pytest.MonkeyPatch) -> None:
    held, waits = asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await held.wait()

    monkeypatch.setattr("yizhan.sandbox.chaos.asyncio.sleep", sleep)
    loft.meet(target="slow", delay=12.5)
    slow = asyncio.create_task(loft.write("slow"))
    quick = await loft.write("quick")
    still_waiting = not slow.done()
    held.set()

    assert ("sent", True, "sent", [12.5]) == (quick, still_waiting, await slow, waits)


async def test_a_delay_goes_with_another_fault(loft: Loft) -> None:
    loft.meet(delay=0.001, fault=7)
    loft.meet(endpoint="sendParcel", delay=0.001, cut="after")

    assert "Throttled" == await loft.write()


async def test_several_rules_strike_one_after_the_other(loft: Loft) -> None:
    loft.meet(fault=7, times=1)
    loft.meet(cut="before", times=1)

    assert ["Throttled", "OutcomeUnknown", "sent"] == [await loft.write() for _ in range(3)]


async def test_a_socket_that_is_being_opened_can_be_refused_or_cut(loft: Loft) -> None:
    url = f"{loft.sandbox.url}/pigeon/socket"
    for rule, error in (({"status": 503}, aiohttp.WSServerHandshakeError), ({"cut": "before"}, aiohttp.ClientError)):
        loft.meet(endpoint="socket", **rule)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(error):
                await session.ws_connect(url)
        loft.sandbox.chaos.clear()
    loft.meet(endpoint="socket", cut="after", times=1)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as cut:
            assert aiohttp.WSMsgType.CLOSED == (await cut.receive()).type
        async with session.ws_connect(url) as socket:
            await socket.send_str("coo")
            assert "coo" == await socket.receive_str()

    statuses = [entry.status for entry in loft.sandbox.request_log.select(endpoint="socket")]
    # The client tries once more when the connection breaks before an answer.
    assert [503, 0, 0, 0, 101] == statuses


async def test_the_record_says_which_rule_struck(loft: Loft) -> None:
    for rule in ({"fault": "tired", "times": 1}, {"cut": "after", "times": 1}, {"status": 500, "times": 1}):
        loft.meet(**rule)
    for _ in range(3):
        await loft.write()
    notes = [(entry.exchange.note, entry.status) for entry in loft.sandbox.request_log.select()]

    assert [("chaos 1: fault tired", 429), ("chaos 2; chaos 3: status 500: cut after", 0), ("", 200)] == notes


async def test_a_list_replaces_an_object_is_added_and_delete_clears(loft: Loft) -> None:
    async with aiohttp.ClientSession() as session:

        async def chaos(method: str, body: Any = None, query: str = "") -> Any:
            async with session.request(method, f"{loft.sandbox.url}/_sandbox/chaos{query}", json=body) as answer:
                return [(rule["number"], rule["status"]) for rule in await answer.json()]

        assert [(1, 500)] == await chaos("POST", {"status": 500})
        assert [(1, 500), (2, 501)] == await chaos("POST", {"status": 501})
        assert [(3, 502), (4, 503)] == await chaos("POST", [{"status": 502}, {"status": 503}])
        assert [(3, 502), (4, 503)] == await chaos("GET")
        assert [(4, 503)] == await chaos("DELETE", query="?number=3")
        assert [] == await chaos("POST", [])
        assert [(5, 500)] == await chaos("POST", {"status": 500})
        assert [] == await chaos("DELETE")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "at least one of fault, status, delay, cut"),
        ({"endpoint": "sendLettr", "status": 500}, "Did you mean sendLetter"),
        ({"platform": "pigon", "status": 500}, "Did you mean pigeon?"),
        ({"fault": 99}, "Known: tired (7), 8, 9"),
        ({"fault": 7, "status": 500}, "not both"),
        ({"status": 700}, "at most 599"),
        ({"rate": 1.5, "status": 500}, "at most 1.0"),
        ({"delay": 31}, "at most 30.0"),
        ({"cut": "middle"}, "cannot be 'middle'"),
        ({"times": 0, "status": 500}, "at least 1"),
        ({"endpont": "x", "status": 500}, "no field 'rules[0].endpont'"),
        ("cut", "takes an object"),
    ],
)
async def test_a_rule_that_could_never_strike_is_refused(loft: Loft, rule: Any, words: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{loft.sandbox.url}/_sandbox/chaos", json=[rule]) as answer:
            problem = await answer.json()

    assert (400, "bad_request") == (answer.status, problem["error"])
    assert words in problem["detail"]
    assert "rate (optional)" in problem["expected"]
    assert [] == loft.sandbox.chaos.views()


async def test_chaos_leaves_the_control_calls_alone(loft: Loft) -> None:
    loft.meet(cut="before")
    async with aiohttp.ClientSession() as session, session.get(f"{loft.sandbox.url}/_sandbox/") as answer:
        assert 200 == answer.status


async def test_repeating_a_call_that_does_not_act_is_safe_when_cut(loft: Loft) -> None:
    from dataclasses import replace

    loft.meet(cut="before")

    with pytest.raises(Unavailable):
        await loft.caller.call(replace(SEND, acts=False), Letter("x", "hi"))
    assert PARCEL.acts
