"""Broadcasts as objects: fed ahead of the lanes, paused, resumed, cancelled, recalled, retried, and always counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sending.fake import Network
from tests.sending.killing import kill
from tests.sending.test_path import users
from tests.sending.waiting import rested
from tests.support import PATIENCE, until
from yizhan.broadcasts import feeder
from yizhan.broadcasts.broadcast import Broadcast
from yizhan.broadcasts.options import BroadcastOptions, PauseAfter, QuietHours
from yizhan.broadcasts.rows import Recipient
from yizhan.broadcasts.states import BroadcastState, PauseReason
from yizhan.engine import Engine
from yizhan.errors import OutcomeUnknown, Refused, Rejected, Unsupported
from yizhan.model import State, Target
from yizhan.world import TurnableClock

HOUR = 3600.0


def fails(*names: str) -> Callable[[Target, int], Exception | None]:
    return lambda target, number: Rejected("no") if target.id in names else None


async def in_state(broadcast: Broadcast, state: str) -> None:
    """Wait until the broadcast is in `state`."""
    async with asyncio.timeout(PATIENCE):
        while (await broadcast.row()).state != state:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def rows_of(broadcast: Broadcast) -> list[tuple[str, str]]:
    return [(row.target, row.state) async for row in broadcast.recipients()]


async def test_everybody_gets_it_once_and_then_it_is_done(engine: Engine, network: Network) -> None:
    broadcast = await engine.broadcast(users(50), "news", name="the news")

    counts = await broadcast.wait()
    await in_state(broadcast, "done")

    assert {State.SENT: 50} == counts
    assert 50 == len({target for target, _, _ in network.arrived}) == len(network.arrived)
    assert [(target, "sent") for target in users(50)] == await rows_of(broadcast)
    assert ("b1", "the news", 50) == (broadcast.id, (await engine.broadcasts.get("b1")).name, broadcast.total)


async def test_recipients_are_fed_in_portions_ahead_of_the_lane(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "PORTION", 40)
    monkeypatch.setattr(feeder, "LOW", 20)
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(500), "news")
    await until(lambda: network.concurrent > 0)
    stored = sum((await engine.records.counts()).values())

    network.gate.set()
    counts = await broadcast.wait()

    assert stored < 100
    assert {State.SENT: 500} == counts
    assert users(500) == [target for target, _ in await rows_of(broadcast)]
    assert 500 == len({target for target, _, _ in network.arrived}) == len(network.arrived)


async def test_a_large_audience_is_stored_in_slices_and_each_target_once(engine: Engine, network: Network) -> None:
    broadcast = await engine.broadcast((target for target in [*users(2500), *users(2500)]), "news")

    assert {State.SENT: 2500} == await broadcast.wait()
    assert 2500 == broadcast.total == len(network.arrived)


async def test_a_refused_target_refuses_all_and_nothing_is_stored(engine: Engine, network: Network) -> None:
    with pytest.raises(Unsupported, match="names a 'channel'"):
        await engine.broadcast([*users(1500), "fake.me/channel/x"], "news")

    assert [] == await engine.broadcasts.list()
    assert {} == await engine.records.counts()
    assert [] == network.arrived


async def test_refused_targets_can_be_left_out_with_their_reason_in_the_report(engine: Engine) -> None:
    broadcast = await engine.broadcast([*users(2), "fake.me/channel/x"], "news", refused="skip")
    counts = await broadcast.wait()

    rows = [row async for row in broadcast.recipients(["refused"])]
    report = await broadcast.report()
    assert {State.SENT: 2} == counts
    assert ["fake.me/channel/x"] == [row.target for row in rows]
    assert "names a 'channel'" in rows[0].detail
    assert (3, 1) == (report.total, report.refused)
    assert report.total == sum(report.counts.values())


async def test_a_draft_waits_for_its_start(engine: Engine, network: Network) -> None:
    draft = await engine.broadcasts.create(users(3), "news", name="later")
    before = await draft.counts()
    await draft.start()

    assert {State.HELD: 3} == before
    assert {State.SENT: 3} == await draft.wait()
    with pytest.raises(Refused, match=r"b1 is (running|done); start is for one that is draft or scheduled"):
        await draft.start()


async def test_a_scheduled_broadcast_starts_on_time(engine: Engine, network: Network, clock: TurnableClock) -> None:
    broadcast = await engine.broadcast(users(3), "news", at=clock.now() + HOUR)
    assert {State.HELD: 3} == await broadcast.wait()
    assert [] == network.arrived

    clock.advance(HOUR)
    await in_state(broadcast, "done")

    assert {State.SENT: 3} == await broadcast.wait()


async def test_a_start_that_was_missed_by_hours_waits_for_a_person(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    await engine.broadcast(users(3), "news", at=clock.now() + HOUR)
    await engine.close()
    clock.advance(3 * HOUR)

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        broadcast = await again.broadcasts.get("b1")
        await in_state(broadcast, "paused")
        row = await broadcast.row()
        assert [] == network.arrived
        await broadcast.resume()

        assert {State.SENT: 3} == await broadcast.wait()
    assert PauseReason.LATE == row.reason
    assert "was to start 7,200 seconds ago" in row.detail


async def test_a_pause_stops_all_but_sends_in_progress_and_survives_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(200), "news")
    await until(lambda: network.concurrent > 0)
    await broadcast.pause()
    network.gate.set()
    await rested(engine)
    counts = await broadcast.wait()
    arrived = len(network.arrived)
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        paused = await again.broadcasts.get(broadcast.id)
        await again.send("fake.me/user/someone", "hi")
        assert arrived + 1 == len(network.arrived)
        assert BroadcastState.PAUSED == (await paused.row()).state
        await paused.resume()
        assert {State.SENT: 200} == await paused.wait()

    assert 0 < counts[State.SENT] == arrived <= 32
    assert 201 == len({target for target, _, _ in network.arrived}) == len(network.arrived)


async def test_the_rest_of_a_half_sent_message_goes_out_during_a_pause(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(100), "one", "two")
    await until(lambda: network.concurrent > 0)

    await broadcast.pause()
    network.gate.set()
    await broadcast.wait()
    await rested(engine)
    counts = await broadcast.counts()

    firsts = {target for target, text, _ in network.arrived if text == "one"}
    assert firsts == {target for target, text, _ in network.arrived if text == "two"}
    assert counts[State.SENT] == len(firsts) < 100


async def test_a_cancelled_broadcast_sends_nothing_more_and_counts_everybody(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "PORTION", 60)
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(200), "news")
    await until(lambda: network.concurrent > 0)

    cancelled = await broadcast.cancel()
    network.gate.set()
    counts = await broadcast.wait()

    assert cancelled == counts[State.CANCELLED]
    assert 200 == sum(counts.values())
    assert counts[State.SENT] == len(network.arrived)
    assert BroadcastState.CANCELLED == (await broadcast.row()).state


async def test_it_pauses_by_itself_when_too_much_fails_and_can_be_resumed(engine: Engine, network: Network) -> None:
    network.script = fails(*(target.rpartition("/")[2] for target in users(400)[:200]))
    broadcast = await engine.broadcast(users(400), "news", options=BroadcastOptions(pause_after=PauseAfter()))
    await in_state(broadcast, "paused")
    await rested(engine)
    row, counts = await broadcast.row(), await broadcast.wait()
    network.script = fails()

    await broadcast.resume()
    after = await broadcast.wait()

    assert PauseReason.ERRORS == row.reason
    assert "failed" in row.detail
    assert counts[State.FAILED] < 200
    assert counts[State.FAILED] == after[State.FAILED]
    assert 400 == sum(after.values())


async def test_it_continues_through_errors_unless_it_may_pause(engine: Engine, network: Network) -> None:
    network.script = fails(*(target.rpartition("/")[2] for target in users(100)))

    broadcast = await engine.broadcast(users(120), "news")

    assert {State.FAILED: 100, State.SENT: 20} == await broadcast.wait()


async def test_nothing_leaves_in_quiet_hours(engine: Engine, network: Network, clock: TurnableClock) -> None:
    night = BroadcastOptions(quiet=QuietHours(clock_of(clock.now() - 60), clock_of(clock.now() + HOUR), "UTC"))
    broadcast = await engine.broadcast(users(3), "news", options=night)
    await in_state(broadcast, "paused")
    reason, arrived = (await broadcast.row()).reason, len(network.arrived)

    clock.advance(HOUR + 60)
    await in_state(broadcast, "done")

    assert PauseReason.QUIET_HOURS == reason
    assert 0 == arrived
    assert {State.SENT: 3} == await broadcast.wait()


async def test_it_keeps_its_own_pace(engine: Engine, network: Network, clock: TurnableClock) -> None:
    broadcast = await engine.broadcast(users(12), "news", options=BroadcastOptions(per_minute=5))
    await until(lambda: len(network.arrived) == 5)
    for _ in range(12):
        await rested(engine)
        clock.advance(12)
    counts = await broadcast.wait()

    assert {State.SENT: 12} == counts
    assert not [at for at in network.times if sum(at <= other < at + 60 for other in network.times) > 5]


async def test_failed_recipients_are_retried_by_a_child_that_sends_only_missing_parts(
    engine: Engine, network: Network
) -> None:
    network.script = lambda target, number: Rejected("no") if target.id == "u1" and wrong and second(network) else None
    wrong = True
    broadcast = await engine.broadcast(users(3), "one", "two")
    counts = await broadcast.wait()
    wrong = False

    child = await broadcast.retry()
    again = await child.wait()

    assert {State.SENT: 2, State.FAILED: 1} == counts
    assert {State.SENT: 1} == again
    assert ["u1 one", "u1 two"] == [line for line in network.order if line.startswith("u1 ")]
    (receipt,) = await child.receipts()
    assert receipt.retry_of == next(r.delivery for r in await broadcast.receipts() if not r.ok)
    with pytest.raises(Refused, match="or all were retried already"):
        await broadcast.retry()


async def test_a_state_that_ended_well_is_not_retried(engine: Engine) -> None:
    broadcast = await engine.broadcast(users(1), "news")
    await broadcast.wait()

    with pytest.raises(Refused, match="A recipient that is sent is not retried"):
        await broadcast.retry([State.SENT])


async def test_a_recall_withdraws_sent_messages_and_cancels_the_rest(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(100), "news")
    await until(lambda: network.concurrent > 0)
    recall = asyncio.create_task(broadcast.recall())
    await in_state(broadcast, "recalling")
    network.gate.set()
    await recall
    await in_state(broadcast, "recalled")
    counts = await broadcast.wait()

    assert counts[State.RECALLED] == len(network.arrived) == len(network.recalled)
    assert {State.RECALLED, State.CANCELLED} == set(counts)
    assert 100 == sum(counts.values())


async def test_a_message_that_arrives_while_a_recall_looks_is_recalled_too(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(20), "news")
    await until(lambda: network.concurrent > 0)
    table = engine.supervisor.broadcast_table
    look = table.to_recall

    async def look_while_it_arrives(id: int, limit: int) -> object:
        found = await look(id, limit)
        if network.gate is not None and not network.gate.is_set():
            network.gate.set()
            async with asyncio.timeout(PATIENCE):
                while (await engine.records.counts()).get(State.SENDING):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        return found

    monkeypatch.setattr(table, "to_recall", look_while_it_arrives)
    await broadcast.recall()
    await in_state(broadcast, "recalled")

    assert 0 < len(network.arrived) == len(network.recalled)
    assert (await broadcast.counts())[State.RECALLED] == len(network.arrived)


async def test_a_message_that_can_no_longer_be_recalled_is_refused_with_the_reason(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcast = await engine.broadcast(users(3), "news")
    await broadcast.wait()

    async def refuse(*_: object) -> None:
        raise Unsupported("no recall here")

    adapter = await engine.adapter("fake.me")
    monkeypatch.setattr(adapter, "recall", refuse)
    await broadcast.recall()
    await in_state(broadcast, "recalled")

    assert {State.SENT: 3} == await broadcast.wait()
    assert {"unsupported": 3} == (await broadcast.report()).recall


async def test_each_person_gets_the_own_words(engine: Engine, network: Network) -> None:
    people = [Recipient(Target("fake.me", "user", f"u{n}"), f"Person {n}", {"name": f"N{n}"}) for n in range(3)]

    broadcast = await engine.broadcast(people, "Dear {name}", name="letters")
    await broadcast.wait()

    assert ["u0 Dear N0", "u1 Dear N1", "u2 Dear N2"] == sorted(network.order)
    assert ["Person 0", "Person 1", "Person 2"] == [row.name async for row in broadcast.recipients()]


async def test_a_test_send_goes_to_a_few_and_counts_for_nothing(engine: Engine, network: Network) -> None:
    people = [Recipient(Target("fake.me", "user", f"u{n}"), f"Person {n}", {"name": f"N{n}"}) for n in range(3)]
    draft = await engine.broadcasts.create(people, "Dear {name}")

    receipts = await draft.test(["fake.me/user/me", Recipient(Target("fake.me", "user", "you"), "", {"name": "You"})])

    assert ["sent", "sent"] == [receipt.state for receipt in receipts]
    assert ["me Dear N0", "you Dear You"] == network.order
    assert {State.HELD: 3} == await draft.counts()
    with pytest.raises(Refused, match="'channel'"):
        await draft.test(["fake.me/channel/x"])
    await draft.start()
    assert {State.SENT: 3} == await draft.wait()


async def test_options_are_changed_while_it_runs_and_not_after_its_end(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(3), "news", name="old")
    night = BroadcastOptions(quiet=QuietHours(clock_of(clock.now() - 60), clock_of(clock.now() + HOUR), "UTC"))

    await broadcast.configure(name="new", options=night)
    await in_state(broadcast, "paused")

    row = await broadcast.row()
    assert ("new", night, PauseReason.QUIET_HOURS) == (row.name, row.options, row.reason)
    network.gate.set()
    await broadcast.cancel()
    with pytest.raises(Refused, match="b1 is cancelled; its options matter no more"):
        await broadcast.configure(options=BroadcastOptions())


async def test_a_row_without_a_column_of_the_message_refuses_all(engine: Engine, network: Network) -> None:
    people = [Recipient(Target("fake.me", "user", "u0"), "", {"nmae": "N"})]

    with pytest.raises(Refused, match=r"says \{name\}, and there is no such column"):
        await engine.broadcast(people, "Dear {name}")
    assert [] == network.arrived


async def test_the_same_key_finds_the_first_broadcast(engine: Engine, network: Network) -> None:
    first = await engine.broadcast(users(3), "news", key="k")
    await first.wait()
    second = await engine.broadcast(users(5), "news", key="k")

    assert {State.SENT: 5} == await second.wait()
    assert (False, True, first.id) == (first.repeated, second.repeated, second.id)
    assert 5 == len(network.arrived)
    with pytest.raises(Refused, match="The key 'k' was used before for another message"):
        await engine.broadcast(users(3), "other", key="k")


async def test_a_target_gets_a_message_once_under_one_key_however_it_is_sent(engine: Engine, network: Network) -> None:
    alone = await engine.send("fake.me/user/u1", "news", key="k")

    broadcast = await engine.broadcast(users(3), "news", key="k")
    counts = await broadcast.wait()
    again = await engine.send("fake.me/user/u2", "news", key="k")

    assert {State.SENT: 2} == counts
    assert ["u0", "u1", "u2"] == sorted(target.id for target, _, _ in network.arrived)
    (refused,) = [row async for row in broadcast.recipients(["refused"])]
    assert "fake.me/user/u1" == refused.target
    assert f"It has this message under the key 'k' already: {alone.delivery}." == refused.detail
    assert again.delivery == (await broadcast.receipts())[-1].delivery
    await in_state(broadcast, "done")


async def test_a_key_of_a_broadcast_is_refused_for_another_message(engine: Engine, network: Network) -> None:
    letters = [Recipient(Target("fake.me", "user", "u0"), "", {"name": "Ann"})]
    await (await engine.broadcast(letters, "Dear {name}", key="k")).wait()
    await engine.send("fake.me/user/u0", "news", key="single")

    with pytest.raises(Refused, match="The key 'k' was used before for another message"):
        await engine.send("fake.me/user/u9", "news", key="k")
    with pytest.raises(Refused, match="The key 'single' was used before for another message"):
        await engine.broadcast(users(2), "other", key="single")
    assert 2 == len(network.arrived)


async def test_a_broadcast_whose_every_target_was_served_under_its_key_is_done(
    engine: Engine, network: Network
) -> None:
    await engine.submit(users(2), "news", key="k")

    broadcast = await engine.broadcast(users(2), "news", key="k")

    assert {} == await broadcast.wait()
    await in_state(broadcast, "done")
    assert 2 == len(network.arrived)


async def test_a_repeated_call_finds_its_broadcast_also_after_its_time(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    at = clock.now() + HOUR
    first = await engine.broadcast(users(2), "news", key="k", at=at)
    clock.advance(3 * HOUR)
    await in_state(first, "paused")

    second = await engine.broadcast(users(2), "news", key="k", at=at)

    assert (first.id, True) == (second.id, second.repeated)
    with pytest.raises(Refused, match=r"passed 7,[12]\d\d seconds ago|passed 3,6\d\d seconds ago"):
        await engine.broadcast(users(2), "news", key="other", at=at)


async def test_a_kill_in_the_middle_leaves_neither_lost_nor_doubled_recipients(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "PORTION", 30)
    monkeypatch.setattr(feeder, "LOW", 10)
    network.repeatable = True
    network.recognise = lambda known: known
    broadcast = await engine.broadcast(users(300), "news")
    await until(lambda: len(network.arrived) > 100)
    await kill(engine)

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        counts = await (await again.broadcasts.get(broadcast.id)).wait()

    assert {State.SENT: 300} == counts
    assert 300 == len({target for target, _, _ in network.arrived}) == len(network.arrived)


async def test_two_broadcasts_of_one_account_take_turns(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "PORTION", 20)
    monkeypatch.setattr(feeder, "LOW", 10)
    first = await engine.broadcast(users(300), "first")
    second = await engine.broadcast(users(300), "second")
    await asyncio.gather(first.wait(), second.wait())

    half = [text for _, text, _ in network.arrived][:300]
    assert 60 < half.count("second")


async def test_the_counts_of_the_store_are_those_of_its_rows(engine: Engine, network: Network) -> None:
    network.script = fails("u3", "u7")
    broadcast = await engine.broadcast(users(20), "news")
    await broadcast.wait()

    found = [row.state async for row in broadcast.recipients()]
    assert {"sent": 18, "failed": 2} == {state: found.count(state) for state in set(found)}
    assert {State.SENT: 18, State.FAILED: 2} == await broadcast.counts()
    report = await broadcast.report()
    assert [("fake.me", "failed", "Rejected", 2)] == [(e.account, e.state, e.error, e.count) for e in report.errors]
    assert 18 == sum(count for _, count in report.timeline)


@pytest.mark.parametrize("id", ["7", "b", "d1", "b-1", "b9999999999999999999", ""])
async def test_an_invalid_id_is_refused(engine: Engine, id: str) -> None:
    with pytest.raises(Refused, match=r"There is no broadcast b7|is not a broadcast's id"):
        await engine.broadcasts.get(id)


def second(network: Network) -> bool:
    return any(line.startswith("u1 one") for line in network.order)


def clock_of(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


async def test_an_unknown_delivery_that_is_sent_again_after_the_end_is_waited_for(
    engine: Engine, network: Network
) -> None:
    network.after = lambda target, number: OutcomeUnknown("no answer") if number == 1 and target.id == "u1" else None
    broadcast = await engine.broadcast(users(3), "news")
    before = await broadcast.wait()
    await in_state(broadcast, "done")
    (unknown,) = await broadcast.receipts([State.UNKNOWN])

    await engine.settle(unknown, as_="again")

    assert {State.SENT: 2, State.UNKNOWN: 1} == before
    assert {State.SENT: 3} == await broadcast.wait()
