"""The effects of events of every platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.support import PATIENCE, until
from yizhan.engine import Engine
from yizhan.errors import LoginNeeded, Refused, Unavailable, Unsupported, WindowClosed
from yizhan.model import Event, EventKind, Forward, Message, Quote, Reply, State, Target, Text
from yizhan.world import TurnableClock

ALICE = Target("fake.me", "user", "alice")


def said(text: str, *, id: str = "", account: str = "fake.me", at: float = 1000.0, **context: str) -> Event:
    id = id or text
    target = Target(account, "user", "alice")
    return Event(id, EventKind.MESSAGE, account, at, target, "alice", "", Message((Text(text),)), Reply(id), context)


async def first(stream: AsyncIterator[Event]) -> Event:
    return await asyncio.wait_for(anext(stream), PATIENCE)


async def text_of(stream: AsyncIterator[Event]) -> str:
    event = await first(stream)
    return event.message.text if event.message else event.kind.value


async def test_an_event_stream_that_fails_ends_no_other_and_is_reopened_with_growing_pauses(
    engine: Engine, network: Network, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, pauses = engine.supervisor.listeners._rest, []

    async def noted(name: str, seconds: float) -> None:
        pauses.append((name, seconds))
        await rest(name, seconds)

    monkeypatch.setattr(engine.supervisor.listeners, "_rest", noted)
    await engine.add_account("fake.you")
    network.inboxes["fake.you"] = asyncio.Queue()
    stream = engine.events()
    for error in (ZeroDivisionError("a bug"), Unavailable("the line is dead")):
        network.inboxes["fake.you"].put_nowait(error)
    network.inboxes["fake.you"].put_nowait(said("back again", account="fake.you"))
    network.inbox.put_nowait(said("all the while"))

    assert "all the while" == await text_of(stream)
    for number in (1, 2):
        await until(lambda number=number: number == len(pauses))
        assert number == network.listened.count("fake.you")
        clock.advance(2.1)
    assert "back again" == await text_of(stream)
    assert [("fake.you", 1.0), ("fake.you", 2.0)] == pauses


async def test_a_stored_event_is_never_delivered_again_even_after_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    stream = engine.events()
    network.inbox.put_nowait(said("one", id="1"))
    assert "one" == await text_of(stream)
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        stream = again.events()
        for event in (said("one", id="1"), said("two", id="2"), said("two", id="2"), said("three", id="3")):
            network.inbox.put_nowait(event)
        assert ["two", "three"] == [await text_of(stream), await text_of(stream)]
        recent = await again.recent_events()
        assert ["one", "two", "three"] == [event.message.text for event in recent if event.message]


async def test_an_event_between_the_call_and_the_first_look_is_seen(engine: Engine, network: Network) -> None:
    await engine.listen()
    stream = engine.events()
    network.inbox.put_nowait(said("one"))
    await until(lambda: engine.supervisor.listeners.latest == 1)
    late = engine.events()
    network.inbox.put_nowait(said("two"))

    assert ["one", "two"] == [await text_of(stream), await text_of(stream)]
    assert "two" == await text_of(late)


async def test_every_reader_sees_every_event(engine: Engine, network: Network) -> None:
    streams = [engine.events(), engine.events(["fake.me"]), engine.events("fake.me")]
    pending = [asyncio.ensure_future(first(stream)) for stream in streams]
    await until(lambda: network.listened)
    network.inbox.put_nowait(said("hello"))

    assert ["hello"] * 3 == [event.id for event in await asyncio.gather(*pending)]
    assert 1 == len(network.listened)


@pytest.mark.parametrize("wanted", [None, ["fake.me"]])
async def test_events_continue_when_an_account_changes(
    engine: Engine, network: Network, wanted: list[str] | None
) -> None:
    stream = engine.events(wanted)
    network.inbox.put_nowait(said("one"))
    assert "one" == await text_of(stream)

    await engine.add_account("fake.me", rules={"client.concurrency": 7})
    network.inbox.put_nowait(said("two"))

    assert "two" == await text_of(stream)


async def test_a_reader_of_all_events_gets_those_of_an_account_added_later(engine: Engine, network: Network) -> None:
    stream = engine.events()
    network.inbox.put_nowait(said("one"))
    assert "one" == await text_of(stream)
    network.inboxes["fake.new"] = asyncio.Queue()
    network.inboxes["fake.new"].put_nowait(said("hello", account="fake.new"))

    await engine.add_account("fake.new")

    assert "hello" == await text_of(stream)


async def test_a_lost_login_is_one_event_pauses_sending_and_ends_with_a_new_login(
    engine: Engine, network: Network
) -> None:
    await engine.send(ALICE, "before")
    stream = engine.events()
    for number in range(2):
        network.inbox.put_nowait(Event(f"lost{number}", EventKind.LOGIN_LOST, "fake.me", 1.0, raw={"reason": "kicked"}))

    assert EventKind.LOGIN_LOST is (await first(stream)).kind
    with pytest.raises(LoginNeeded, match="kicked"):
        await engine.send(ALICE, "meanwhile")
    assert ["alice before"] == network.order
    await engine.login("fake.me", lambda step: None)
    await engine.wait(await engine.deliveries())

    assert ["alice before", "alice meanwhile"] == network.order
    recent = await engine.recent_events()
    assert [EventKind.LOGIN_LOST] == [event.kind for event in recent]


async def test_a_received_message_shows_that_the_login_is_back(engine: Engine, network: Network) -> None:
    await engine.send(ALICE, "before")
    stream = engine.events()
    network.inbox.put_nowait(Event("lost", EventKind.LOGIN_LOST, "fake.me", 1.0))
    await first(stream)
    (waiting,) = await engine.submit(ALICE, "meanwhile")
    network.inbox.put_nowait(said("I can reach you again"))
    await first(stream)

    (receipt,) = await engine.wait([waiting])

    assert State.SENT is receipt.state


@pytest.mark.parametrize("where", ["receiving", "sending"])
async def test_login_needed_becomes_an_event_whether_sending_or_receiving_meets_it(
    engine: Engine, network: Network, clock: TurnableClock, where: str
) -> None:
    stream = engine.events()
    pending = asyncio.ensure_future(first(stream))
    await until(lambda: network.listened)
    if where == "receiving":
        network.inbox.put_nowait(LoginNeeded("log in, please"))
    else:
        network.script = lambda target, number: LoginNeeded("log in, please")
        await engine.submit(ALICE, "hi")

    event = await pending
    assert (EventKind.LOGIN_LOST, "log in, please") == (event.kind, event.raw["reason"])
    network.script = lambda target, number: None
    await engine.login("fake.me", lambda step: None)
    network.inbox.put_nowait(said("heard at once, without a turn of the clock"))
    assert EventKind.MESSAGE is (await first(stream)).kind


async def test_the_newest_context_is_kept_over_restarts(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    stream = engine.events()
    network.inbox.put_nowait(said("new", at=2000.0, token="second"))
    network.inbox.put_nowait(said("old, pushed late", at=1000.0, token="first"))
    await first(stream)
    await first(stream)
    await engine.send(ALICE, "a")
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        await again.send(ALICE, "b")

    assert [("second", 2000.0, "new")] * 2 == [(c["token"], c["at"], c["event_id"]) for c in network.contexts]


async def test_an_event_stored_by_another_process_is_seen_and_opens_windows_here(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.script = lambda target, number: WindowClosed("closed", opens_at=None) if number == 1 else None
    held = await engine.send(ALICE, "when you write")
    assert State.HELD is held.state
    # The second engine is like a second process: it does not send, and it was the first to listen.
    other = await Engine.open(tmp_path / "store", clock=clock, sending=False)
    await other.listen(["fake.me"])
    await until(lambda: network.listened)
    here = engine.events()
    pending = asyncio.ensure_future(first(here))

    network.inbox.put_nowait(said("go on", token="t"))

    assert "go on" == (await pending).id
    (receipt,) = await engine.wait([held], until_held=False)
    assert State.SENT is receipt.state
    assert "t" == network.contexts[-1]["token"]
    assert ["fake.me"] == network.listened
    await other.close()
    # The other process does not listen any more, so this one takes over.
    network.inbox.put_nowait(said("still there?"))
    assert "still there?" == await text_of(here)


async def test_a_webhook_is_for_platforms_that_have_them(engine: Engine) -> None:
    with pytest.raises(Unsupported, match="no webhooks"):
        await engine.receive_webhook("fake.me", {}, b"{}")


async def test_every_forwardable_segment_names_the_account_that_received_it(engine: Engine, network: Network) -> None:
    stream = engine.events()
    picture = Forward("image", {"id": 1})
    network.inbox.put_nowait(
        Event("e", EventKind.MESSAGE, "fake.me", 1.0, ALICE, message=Message((Text("see"), picture)))
    )

    event = await first(stream)

    assert event.message is not None
    assert ["fake.me"] == [s.account for s in event.message.segments if isinstance(s, Forward)]


async def test_a_named_reader_continues_where_it_stopped_and_loses_nothing(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    stream = engine.events(reader="bridge")
    pending = asyncio.ensure_future(text_of(stream))
    await until(lambda: network.listened)
    for number in range(4):
        network.inbox.put_nowait(said(str(number)))
    seen = [await pending, await text_of(stream)]
    # The program ends while it works on the second; it was never done with it.
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        stream = again.events(reader="bridge")
        seen += [await text_of(stream) for _ in range(3)]
        with pytest.raises(Refused, match="30 characters"):
            await first(again.events(reader="b" * 31))

    assert ["0", "1", "1", "2", "3"] == seen


async def test_a_reader_that_will_not_come_back_can_be_forgotten(engine: Engine) -> None:
    await engine.supervisor.event_table.move("gone", 0)

    assert [True, False] == [await engine.forget_reader("gone") for _ in range(2)]
    assert await engine.supervisor.event_table.place("gone") is None


async def test_a_reader_of_one_account_does_not_keep_the_events_of_the_others(engine: Engine, network: Network) -> None:
    await engine.add_account("fake.you")
    network.inboxes["fake.you"] = asyncio.Queue()
    await engine.listen()
    reading = asyncio.ensure_future(anext(engine.events(["fake.you"], reader="quiet")))
    network.inbox.put_nowait(said("to me"))
    await until(lambda: engine.supervisor.listeners.latest == 1)

    async with asyncio.timeout(PATIENCE):
        while await engine.supervisor.event_table.place("quiet") != 1:  # noqa: ASYNC110  (there is no signal for it)
            await asyncio.sleep(0.002)

    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


# --- quotes ---


def quoting(quote: Quote) -> Event:
    return Event("answer", EventKind.MESSAGE, "fake.me", 2.0, ALICE, "bob", "Bob", Message((quote, Text("this one"))))


async def test_a_quote_of_which_the_wire_gives_only_the_id_has_the_content_of_the_stored_message(
    engine: Engine, network: Network
) -> None:
    stream = engine.events()
    photo = Forward("image", {"url": "x"}, "a.png")
    quoted = Event("q", EventKind.MESSAGE, "fake.me", 1.0, ALICE, "alice", "Alice", Message((Text("look"), photo)))
    for event in (quoted, quoting(Quote("q"))):
        network.inbox.put_nowait(event)
    await first(stream)
    event = await first(stream)

    assert event.message is not None
    kept = Forward("image", {"url": "x"}, "a.png", "fake.me")
    assert Quote("q", "look", "alice", "Alice", 1.0, (kept,)) == event.message.segments[0]


async def test_a_quote_of_which_the_wire_gives_only_the_time_has_the_content_of_the_message_of_that_time(
    engine: Engine, network: Network
) -> None:
    stream = engine.events()
    bob = Target("fake.me", "user", "bob")
    other = Event("p", EventKind.MESSAGE, "fake.me", 1.001, bob, "bob", "", Message((Text("elsewhere"),)))
    quoted = Event("q", EventKind.MESSAGE, "fake.me", 1.0, ALICE, "alice", "Alice", Message((Text("look"),)))
    for event in (other, quoted, said("later", id="r", at=1.02), quoting(Quote(at=1.001))):
        network.inbox.put_nowait(event)
    events = [await first(stream) for _ in range(4)]

    assert events[3].message is not None
    assert Quote("q", "look", "alice", "Alice", 1.001) == events[3].message.segments[0]


@pytest.mark.parametrize(
    "quote", [Quote("unknown"), Quote(at=9.0), Quote("", "words"), Quote("q", "the wire's own words")]
)
async def test_other_quotes_stay_as_the_wire_gives_them(engine: Engine, network: Network, quote: Quote) -> None:
    stream = engine.events()
    network.inbox.put_nowait(said("stored", id="q"))
    network.inbox.put_nowait(quoting(quote))
    await first(stream)
    event = await first(stream)

    assert event.message is not None
    assert quote == event.message.segments[0]
