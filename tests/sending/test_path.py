"""The durable path from submit to settle, with a platform in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.sending.fake import Network
from tests.sending.waiting import rested, waits
from tests.support import until
from yizhan.engine import Engine
from yizhan.errors import (
    DeliveryFailed,
    Duplicate,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unavailable,
    UnknownAccount,
    UnknownTarget,
    Unsupported,
    WindowClosed,
)
from yizhan.model import Event, EventKind, Image, Link, Message, Reply, State, Target, Text
from yizhan.platforms.adapter import Limit
from yizhan.receiving import listener
from yizhan.sending import lane as lane_module
from yizhan.world import TurnableClock

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000080000000808020000004b6d29dc0000001149444154789c6330"
    "4e9b891531 0c2d0900caefb64c8100e227ab".replace(" ", "")
) + bytes.fromhex("0000000049454e44ae426082")


def users(count: int) -> list[str]:
    return [f"fake.me/user/u{n}" for n in range(count)]


async def test_a_receipt_says_sent_and_holds_the_platforms_id(engine: Engine, network: Network) -> None:
    receipt = await engine.send("fake.me/user/alice", "hello")

    assert State.SENT == receipt.state
    assert "m1" == receipt.platform_ids[0].id
    assert ["alice hello"] == network.order


async def test_one_file_to_a_hundred_users_and_groups_is_uploaded_once_per_scope(
    engine: Engine, network: Network
) -> None:
    targets = users(100) + [f"fake.me/group/g{n}" for n in range(100)]

    broadcast = await engine.broadcast(targets, Image(PNG))
    counts = await broadcast.wait()

    assert {State.SENT: 200} == counts
    assert 2 == len(network.uploads)
    assert 200 == len(network.arrived)


async def test_a_stored_handle_serves_a_new_process(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    await engine.send("fake.me/user/a", Image(PNG))
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        await again.send("fake.me/user/b", Image(PNG))

    assert 1 == len(network.uploads)


async def test_a_handle_near_its_end_is_renewed_by_one_upload(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.handle_ends = 300
    await engine.send("fake.me/user/a", Image(PNG))
    clock.advance(290)

    await (await engine.broadcast(users(50), Image(PNG))).wait()

    assert 2 == len(network.uploads)


async def test_a_handle_that_the_platform_refuses_is_renewed_once(engine: Engine, network: Network) -> None:
    network.refused_tokens = {"h1"}

    broadcast = await engine.broadcast(users(20), Image(PNG))
    counts = await broadcast.wait()

    assert {State.SENT: 20} == counts
    assert 2 == len(network.uploads)


async def test_a_handle_refused_twice_fails(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: HandleExpired("gone")

    with pytest.raises(DeliveryFailed, match="also after a fresh upload"):
        await engine.send("fake.me/user/a", Image(PNG))


async def test_a_failed_upload_is_tried_again_and_serves_all(engine: Engine, network: Network) -> None:
    network.upload_error = lambda number: Unavailable("down") if number == 1 else None

    counts = await (await engine.broadcast(users(20), Image(PNG))).wait()

    assert {State.SENT: 20} == counts
    assert 2 == len(network.uploads)


async def test_the_same_key_finds_the_same_delivery(engine: Engine, network: Network) -> None:
    first = await engine.send("fake.me/user/a", "hi", key="k1")
    second = await engine.send("fake.me/user/a", "hi", key="k1")

    assert first.delivery == second.delivery
    assert 1 == len(network.arrived)


async def test_a_key_for_another_message_is_refused(engine: Engine, network: Network) -> None:
    await engine.send("fake.me/user/a", "hi", key="k1")

    with pytest.raises(Refused, match="used before for another message"):
        await engine.send("fake.me/user/a", "bye", key="k1")
    assert 1 == len(network.arrived)


async def test_a_key_adds_only_the_targets_that_are_new(engine: Engine, network: Network) -> None:
    await engine.submit(["fake.me/user/a", "fake.me/user/b"], "hi", key="k")
    receipts = await engine.submit(["fake.me/user/b", "fake.me/user/c"], "hi", key="k")
    await engine.wait(receipts)

    assert ["d2", "d3"] == [receipt.delivery for receipt in receipts]
    assert {"a hi", "b hi", "c hi"} == set(network.order)


async def test_a_send_without_an_answer_is_unknown_and_not_resent(engine: Engine, network: Network) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut")

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send("fake.me/user/a", "hi")

    assert State.UNKNOWN == caught.value.receipts[0].state
    assert 1 == len(network.arrived)


async def test_a_send_without_an_answer_is_resent_where_the_wire_recognizes_a_repeat(
    engine: Engine, network: Network
) -> None:
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None

    receipt = await engine.send("fake.me/user/a", "hi")

    assert State.SENT == receipt.state
    assert network.arrived[0][2] == network.arrived[1][2]


async def test_a_refused_repeat_means_that_the_first_attempt_arrived(engine: Engine, network: Network) -> None:
    network.repeatable = True
    network.after = lambda target, number: OutcomeUnknown("cut")
    network.script = lambda target, number: Duplicate("again") if number == 2 else None

    receipt = await engine.send("fake.me/user/a", "hi")

    assert State.SENT == receipt.state
    assert "An earlier attempt had arrived" in receipt.detail
    assert 1 == len(network.arrived)


async def test_an_unknown_delivery_is_settled_by_hand(engine: Engine, network: Network) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None
    with pytest.raises(DeliveryFailed) as caught:
        await engine.send("fake.me/user/a", "hi")

    receipt = await engine.settle(caught.value.receipts[0], as_="again")
    (settled,) = await engine.wait([receipt])

    assert State.SENT == settled.state
    assert 2 == len(network.arrived)


async def test_an_unavailable_platform_is_retried_up_to_the_policys_limit(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: Unavailable("down") if target.id == "never" or number < 3 else None

    receipt = await engine.send("fake.me/user/a", "hi")
    with pytest.raises(DeliveryFailed, match="after 8 attempts"):
        await engine.send("fake.me/user/never", "hi")

    assert 3 == receipt.attempts
    assert 2 == len(await engine.records.attempts_of(1))


async def test_throttling_slows_the_account_and_counts_no_attempt(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    network.script = lambda target, number: Throttled("slow down", retry_after=600) if number == 1 else None

    (receipt,) = await engine.submit("fake.me/user/a", "hi")
    await waits(engine, receipt)
    (other,) = await engine.submit("fake.me/user/b", "hi")
    await rested(engine)
    assert "b:hi" not in network.tries
    clock.advance(601)
    # The second is throttled once as well; its wait is turned away too.
    await waits(engine, other)
    clock.advance(601)

    done = await engine.wait([receipt, other])
    assert [State.SENT, State.SENT] == [one.state for one in done]
    assert 1 == done[0].attempts


async def test_a_refusal_is_final_and_keeps_the_platforms_words(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: NotAllowed("主动消息失败, 无权限")

    with pytest.raises(DeliveryFailed, match="无权限"):
        await engine.send("fake.me/user/a", "hi")
    assert 1 == network.tries["a:hi"]


async def test_a_lost_login_pauses_the_account_and_loses_nothing(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: LoginNeeded("log in") if number == 1 else None

    with pytest.raises(LoginNeeded, match="log in"):
        await engine.send("fake.me/user/a", "hi")
    await engine.login("fake.me", lambda step: None)
    (receipt,) = await engine.wait(await engine.deliveries())

    assert State.SENT == receipt.state


async def test_a_closed_window_holds_until_it_opens(engine: Engine, network: Network, clock: TurnableClock) -> None:
    opens = clock.now() + 3600
    network.script = lambda target, number: WindowClosed("not now", opens_at=opens) if number == 1 else None

    receipt = await engine.send("fake.me/user/a", "hi")
    assert State.HELD == receipt.state
    assert receipt.due_at == pytest.approx(opens, abs=1)
    clock.advance(3601)
    (receipt,) = await engine.wait([receipt], until_held=False)

    assert State.SENT == receipt.state


async def test_a_quota_holds_and_releases_by_the_clock(engine: Engine, network: Network, clock: TurnableClock) -> None:
    network.limits = lambda message, target: [Limit("two per hour", "target", "active", 2, 3600)]

    receipts = [receipt for n in range(3) for receipt in await engine.submit("fake.me/user/a", f"hi {n}")]
    done = await engine.wait(receipts)
    assert [State.SENT, State.SENT, State.HELD] == [one.state for one in done]
    assert "two per hour" in done[2].detail
    clock.advance(3601)
    done = await engine.wait(receipts, until_held=False)

    assert [State.SENT] * 3 == [one.state for one in done]


async def test_a_quota_survives_a_restart(
    engine: Engine, network: Network, clock: TurnableClock, tmp_path: Path
) -> None:
    network.limits = lambda message, target: [Limit("one per day", "account", "active", 1, 86400)]
    await engine.send("fake.me/user/a", "hi")
    await engine.close()

    async with await Engine.open(tmp_path / "store", clock=clock) as again:
        receipt = await again.send("fake.me/user/b", "hi")

    assert State.HELD == receipt.state


async def test_a_window_that_only_the_other_side_opens_is_released_by_its_message(
    engine: Engine, network: Network, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CATCH_UP_SECONDS", 0.0)
    inbound = {"at": clock.now()}
    network.limits = lambda message, target: [Limit("one per inbound", "target", "any", 1, since=inbound["at"])]
    await engine.listen()
    await engine.send("fake.me/user/a", "one")
    held = await engine.send("fake.me/user/a", "two")
    assert State.HELD == held.state

    clock.advance(10)
    inbound["at"] = clock.now()
    target = Target("fake.me", "user", "a")
    network.inbox.put_nowait(Event("e1", EventKind.MESSAGE, "fake.me", clock.now(), target))
    (receipt,) = await engine.wait([held], until_held=False)

    assert State.SENT == receipt.state


async def test_answers_to_one_message_never_share_a_number(engine: Engine, network: Network) -> None:
    reply = Reply("in1", 1.0)

    async def answer(n: int) -> None:
        await engine.send("fake.me/user/a", f"part {n}a", f"part {n}b", reply=reply)

    await asyncio.gather(*(answer(n) for n in range(20)))

    numbers = [key.number for _, _, key in network.arrived]
    assert list(range(1, 41)) == sorted(numbers)
    assert 40 == len({key.token for _, _, key in network.arrived})


async def test_parts_of_two_messages_to_one_target_never_interleave(engine: Engine, network: Network) -> None:
    network.delay = 0.002
    network.script = lambda target, number: Unavailable("hiccup") if number == 1 else None
    messages = [[f"{n}a", f"{n}b", f"{n}c"] for n in range(6)]

    receipts = [receipt for parts in messages for receipt in await engine.submit("fake.me/user/a", *parts)]
    await engine.wait(receipts)

    order = [entry.split()[1] for entry in network.order]
    units = [order[index : index + 3] for index in range(0, 18, 3)]
    assert sorted(messages) == sorted(units)


async def test_a_second_send_through_a_paused_account_raises_at_once(engine: Engine, network: Network) -> None:
    network.script = lambda target, number: LoginNeeded("log in")
    with pytest.raises(LoginNeeded):
        await engine.send("fake.me/user/a", "hi")

    with pytest.raises(LoginNeeded, match="log in"):
        await engine.send("fake.me/user/b", "hi")
    assert [State.QUEUED, State.QUEUED] == [receipt.state for receipt in await engine.deliveries()]


async def test_a_send_to_many_is_refused_before_anything_is_stored(engine: Engine, network: Network) -> None:
    with pytest.raises(Refused, match="broadcast"):
        await engine.send(users(2), "hi")
    assert [] == await engine.deliveries()


async def test_a_delivery_read_before_it_ended_is_not_sent_again(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "AFTER_URGENT", 0.0)
    await engine.send("fake.me/user/first", "hi")
    lane, due, mark_sending = (
        engine.supervisor.worker.lanes["fake.me"],
        engine.supervisor.outbox.due,
        engine.supervisor.outbox.mark_sending,
    )
    was_read = asyncio.Event()
    read: list[int] = []

    async def late_due(*args: Any, **kwargs: Any) -> Any:
        jobs = await due(*args, **kwargs)
        read.append(len(jobs))
        # The read deliveries wait here until all of them have been sent.
        was_read.set()
        await until(lambda: not lane.under_way)
        return jobs

    async def late_mark(*args: Any, **kwargs: Any) -> None:
        await was_read.wait()
        await mark_sending(*args, **kwargs)

    monkeypatch.setattr(engine.supervisor.outbox, "due", late_due)
    monkeypatch.setattr(engine.supervisor.outbox, "mark_sending", late_mark)
    receipts = await engine.submit(users(8), "news")
    await until(lambda: 8 == len(lane.under_way))
    lane.wake()
    await engine.wait(receipts)
    await rested(engine)

    assert 8 == read[0]
    assert 1 + 8 == len(network.arrived)


async def test_a_single_send_overtakes_a_broadcast(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    broadcast = await engine.broadcast(users(300), "news")
    await until(lambda: network.concurrent >= 8)
    (single,) = await engine.submit("fake.me/user/vip", "for you")
    await until(lambda: "vip:for you" in network.tries)
    network.gate.set()
    await engine.wait([single])

    await broadcast.wait()
    assert network.order.index("vip for you") < 60
    assert network.most_concurrent <= 10


async def test_a_delivery_past_its_time_is_expired(engine: Engine, network: Network, clock: TurnableClock) -> None:
    network.script = lambda target, number: WindowClosed("later", opens_at=clock.now() + 7200)
    receipt = await engine.send("fake.me/user/a", "hi", expires_in=3600)
    assert State.HELD == receipt.state

    clock.advance(3601)
    with pytest.raises(DeliveryFailed):
        await engine.wait([receipt], until_held=False)

    assert State.EXPIRED == (await engine.receipt(receipt.delivery)).state


async def test_only_deliveries_that_have_not_begun_can_be_cancelled(engine: Engine, network: Network) -> None:
    network.gate = asyncio.Event()
    receipts = await engine.submit(users(30), "hi")
    await until(lambda: network.concurrent >= 8)

    cancelled = await engine.cancel(receipts)
    network.gate.set()
    await rested(engine)

    states = [receipt.state for receipt in await engine.deliveries()]
    assert cancelled == states.count(State.CANCELLED)
    assert len(network.arrived) == states.count(State.SENT)
    assert 30 == len(network.arrived) + cancelled
    assert network.arrived


async def test_a_recall_reaches_every_part(engine: Engine, network: Network) -> None:
    receipt = await engine.send("fake.me/user/a", "one", "two")

    recalled = await engine.recall(receipt)

    assert State.RECALLED == recalled.state
    assert ["m1", "m2"] == network.recalled
    with pytest.raises(Refused, match="only a sent message"):
        await engine.recall(receipt)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("nonsense", UnknownTarget, "platform.account/kind/id"),
        ("fake.you/user/a", UnknownAccount, "Did you mean fake.me"),
        ("fake.me/usr/a", Unsupported, "Did you mean user"),
        ("@bos", UnknownTarget, "Did you mean @boss"),
        ("#nobody", UnknownTarget, "no tag"),
    ],
)
async def test_a_bad_target_is_refused_and_nothing_is_stored(
    engine: Engine, network: Network, target: str, error: type[Exception], words: str
) -> None:
    await engine.contacts.put("@boss", ["fake.me/user/b"])

    with pytest.raises(error, match=words):
        await engine.submit(["fake.me/user/fine", target], "hi")
    assert [] == await engine.deliveries()


@pytest.mark.parametrize("content", [("",), ("  ",), (Link("https://a", "b"),), (Image(b""),), (Image("missing.png"),)])
async def test_bad_content_is_refused_and_nothing_is_stored(
    engine: Engine, network: Network, content: tuple[Any, ...]
) -> None:
    with pytest.raises(Refused):
        await engine.send("fake.me/user/a", *content)
    assert [] == await engine.deliveries()


async def test_aliases_and_tags_are_resolved_each_target_once(engine: Engine, network: Network) -> None:
    await engine.contacts.put("@boss", ["fake.me/user/b"])
    await engine.contacts.put("#ops", ["fake.me/user/a", "fake.me/user/b"])

    receipts = await engine.submit(["@boss", "#ops", "fake.me/user/c"], "hi")
    await engine.wait(receipts)

    assert ["b", "a", "c"] == [Target.parse(receipt.target).id for receipt in receipts]


async def test_a_plan_names_the_uploads(engine: Engine, network: Network) -> None:
    before = await engine.plan("fake.me/user/a", Image(PNG))
    await engine.send("fake.me/user/a", Image(PNG))
    after = await engine.plan("fake.me/user/b", Image(PNG))

    assert 1 == len(before[0].parts[0].uploads)
    assert () == after[0].parts[0].uploads
    assert 1 == len(await engine.deliveries())


async def test_an_event_comes_once_and_is_answered_in_its_conversation(
    engine: Engine, network: Network, clock: TurnableClock
) -> None:
    target = Target("fake.me", "user", "a")
    event, later = (
        Event(id, EventKind.MESSAGE, "fake.me", clock.now(), target, "a", "A", Message((Text("hi"),)), Reply(id))
        for id in ("e1", "e2")
    )
    stream = engine.events()
    for one in (event, event, later):
        network.inbox.put_nowait(one)
    first = await anext(stream)
    await engine.reply(first, "hello")

    assert ["e1", "e2"] == [first.id, (await anext(stream)).id]
    assert ["a hello"] == network.order


async def test_an_internal_error_after_the_request_left_is_unknown_not_failed(engine: Engine, network: Network) -> None:
    network.after = lambda target, number: ZeroDivisionError("bug")

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send("fake.me/user/a", "hi")
    assert State.UNKNOWN == caught.value.receipts[0].state
