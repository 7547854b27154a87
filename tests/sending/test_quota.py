"""Counts of past sends, compared with limits."""

from __future__ import annotations

from yizhan.model import Reply, Target
from yizhan.platforms.adapter import Limit
from yizhan.sending.quota import Budget

ALICE = Target("fake.me", "user", "alice")
BOB = Target("fake.me", "user", "bob")
MINUTE = Limit("per minute", "target", "active", 2, 60)
DAY = Limit("per day", "target", "active", 3, 86400)


def test_a_window_slides() -> None:
    budget = Budget()
    for at in (0, 30):
        assert budget.check([MINUTE], ALICE, None, at) is None
        budget.spend([MINUTE], ALICE, None, at)

    closed = budget.check([MINUTE], ALICE, None, 31)

    assert closed is not None
    assert 60 == closed.opens_at
    assert budget.check([MINUTE], BOB, None, 31) is None
    assert budget.check([MINUTE], ALICE, None, 60.1) is None


def test_the_limit_that_opens_last_decides() -> None:
    budget = Budget()
    for at in (0, 100, 200, 201):
        budget.spend([MINUTE, DAY], ALICE, None, at)

    closed = budget.check([MINUTE, DAY], ALICE, None, 202)

    assert closed is not None
    assert "per day" == closed.limit.name
    assert 86400 + 100 == closed.opens_at


def test_two_windows_over_the_same_sends_count_them_once() -> None:
    budget = Budget()

    note = budget.spend([MINUTE, DAY], ALICE, None, 0)

    assert "target|active" == note
    assert budget.check([MINUTE], ALICE, None, 1) is None


def test_each_waiting_delivery_gets_a_slot_of_its_own() -> None:
    limit = Limit("ten per second", "account", "active", 10, 1.0)
    budget = Budget()
    for _ in range(10):
        budget.spend([limit], ALICE, None, 0)

    slots = [
        closed.opens_at for _ in range(5) if (closed := budget.check([limit], ALICE, None, 0.5, reserve_slot=True))
    ]

    assert [1.0, 1.1, 1.2, 1.3, 1.4] == [round(slot or 0, 3) for slot in slots]


def test_answers_are_counted_by_the_message_they_answer_and_end_with_its_window() -> None:
    limit = Limit("answers", "reply", "passive", 2, until=3600, ends="fail")
    budget = Budget()
    first, second = Reply("m1"), Reply("m2")
    budget.spend([limit], ALICE, first, 0)
    budget.spend([limit], ALICE, first, 1)

    used_up = budget.check([limit], ALICE, first, 2)
    over = budget.check([limit], ALICE, second, 3600)

    assert used_up is not None
    assert used_up.opens_at is None
    assert over is not None
    assert over.opens_at is None
    assert budget.check([limit], ALICE, second, 2) is None


def test_a_refund_frees_its_place() -> None:
    one = Limit("one", "target", "active", 1, 60)
    budget = Budget()
    budget.spend([one], ALICE, None, 0)

    budget.refund([one], ALICE, None, at=0)

    assert budget.check([one], ALICE, None, 1) is None


def test_counts_come_back_from_the_store() -> None:
    budget = Budget()
    budget.restore([("user", "alice", None, "target|active", 10.0, 2)])

    closed = budget.check([MINUTE], ALICE, None, 20)

    assert closed is not None
    assert 70 == closed.opens_at


def test_old_counts_are_forgotten() -> None:
    budget = Budget()
    budget.spend([DAY], ALICE, None, 0)

    budget.forget(before=1)

    assert {} == budget._spent


def test_an_urgent_delivery_does_not_wait_behind_reserved_slots() -> None:
    limit = Limit("ten per second", "account", "active", 10, 1.0)
    budget = Budget()
    for _ in range(10):
        budget.spend([limit], ALICE, None, 0)
    for _ in range(1000):
        budget.check([limit], ALICE, None, 0.5, reserve_slot=True)

    alone = budget.check([limit], BOB, None, 0.5)
    budget.reset_slots()
    behind = budget.check([limit], BOB, None, 0.5, reserve_slot=True)

    assert alone is not None
    assert behind is not None
    assert (1.0, 1.0) == (alone.opens_at, behind.opens_at)


def test_a_limit_of_zero_is_closed_for_any_earlier_sends() -> None:
    none = Limit("none", "target", "active", 0, 60)
    budget = Budget()
    budget.spend([MINUTE], ALICE, None, 0)

    closed = budget.check([none], ALICE, None, 1)

    assert closed is not None
    assert closed.opens_at is None


def test_a_clock_that_is_set_back_closes_a_window_for_its_length_at_most() -> None:
    budget = Budget()
    budget.spend([MINUTE], ALICE, None, 1_000_000)
    budget.spend([MINUTE], ALICE, None, 1_000_000)

    closed = budget.check([MINUTE], ALICE, None, 1000)

    assert closed is not None
    assert 1060 == closed.opens_at
    assert budget.check([MINUTE], ALICE, None, 1060) is None


def test_a_refund_takes_back_the_right_send() -> None:
    budget = Budget()
    budget.spend([MINUTE], ALICE, None, 0)
    budget.spend([MINUTE], ALICE, None, 50)

    budget.refund([MINUTE], ALICE, None, at=0)
    budget.spend([MINUTE], ALICE, None, 55)
    closed = budget.check([MINUTE], ALICE, None, 61)

    assert closed is not None
    assert 110 == closed.opens_at


def test_memory_stays_flat_however_many_sends_and_targets_there_are() -> None:
    pace = Limit("pace", "account", "active", 5, 1.0)
    budget = Budget(horizon=100.0)

    for number in range(20_000):
        budget.spend([pace, MINUTE], Target("fake.me", "user", f"u{number}"), None, float(number))

    assert len(budget._spent) < 2100
    assert len(budget._spent["account", "active", ""]) < 100


def test_slots_after_the_clock_was_set_back_follow_the_new_time() -> None:
    budget = Budget()
    for _ in range(2):
        budget.spend([MINUTE], ALICE, None, 86400)
    for _ in range(5):
        budget.check([MINUTE], ALICE, None, 86400, reserve_slot=True)

    closed = budget.check([MINUTE], ALICE, None, 10, reserve_slot=True)

    assert closed is not None
    assert 70 == closed.opens_at
