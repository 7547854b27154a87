"""Plans of broadcasts: what a start would do, and when it ends."""

from __future__ import annotations

import pytest

from tests.broadcasts.test_broadcasts import HOUR, clock_of
from tests.sending.fake import Network
from tests.sending.test_path import users
from tests.sending.waiting import StillClock
from yizhan.broadcasts import plan as plan_module
from yizhan.broadcasts.options import BroadcastOptions, QuietHours
from yizhan.broadcasts.rows import Recipient
from yizhan.engine import Engine
from yizhan.errors import Refused, Unsupported
from yizhan.model import Image, Message, State, Target, Text
from yizhan.platforms.adapter import Limit, Part

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f6"
    "45400000000049454e44ae426082"
)


def paced(network: Network, per_minute: int = 30) -> None:
    network.limits = lambda message, target: [Limit("send", "account", "send", per_minute, 60.0)]


async def test_a_plan_names_the_end_and_the_limit_that_sets_it(
    engine: Engine, network: Network, clock: StillClock
) -> None:
    paced(network)
    draft = await engine.broadcasts.create([*users(100), "fake.me/channel/x"], "news", "more", refused="skip")

    plan = await draft.plan()

    (share,) = plan.accounts
    assert (101, 1, 1) == (plan.total, plan.refused, sum(plan.refusals.values()))
    assert (100, 200, 0, 15) == (share.recipients, share.parts, share.uploads, share.at_once)
    assert "send allows 30 in 60 seconds" == plan.limited_by == share.limited_by
    assert clock.now() + 360 == plan.ends_about == share.ends_about
    assert {State.HELD: 100} == await draft.counts()
    assert [] == network.arrived


async def test_a_plan_counts_each_upload_once_and_none_that_is_there(engine: Engine, network: Network) -> None:
    media = await engine.upload(PNG, "a.png")
    draft = await engine.broadcasts.create(users(20), Image(media), "news")

    before = (await draft.plan()).accounts[0]
    await engine.send("fake.me/user/x", Image(media))
    after = (await draft.plan()).accounts[0]

    assert (1, media.size) == (before.uploads, before.upload_bytes)
    assert (0, 0) == (after.uploads, after.upload_bytes)
    assert 1 == len(network.uploads)


async def test_a_plan_begins_behind_deliveries_that_wait_already(
    engine: Engine, network: Network, clock: StillClock
) -> None:
    paced(network, 10)
    first = await engine.broadcast(users(30), "first")
    await first.wait(until_held=True, timeout=0.2)

    plan = await (await engine.broadcasts.create(users(5), "second")).plan()

    # Ten have left, twenty wait: two more minutes, and then five.
    assert clock.now() + 180 == plan.ends_about


async def test_a_plan_knows_quiet_hours_pace_and_stop(engine: Engine, network: Network, clock: StillClock) -> None:
    hours = QuietHours(clock_of(clock.now() + 120), clock_of(clock.now() + HOUR), "UTC")
    options = BroadcastOptions(quiet=hours, per_minute=10, stop_at=clock.now() + 2 * HOUR)
    draft = await engine.broadcasts.create(users(50), "news", options=options)

    plan = await draft.plan()
    late = await draft.plan(clock.now() + 2 * HOUR + 1)

    assert plan.ends_about > clock.now() + HOUR - 60
    assert "pace of b1 allows 10 in 60 seconds" == plan.limited_by
    assert (0, 50) == (plan.accounts[0].expire, late.accounts[0].expire)


async def test_windows_that_the_other_side_opens_are_counted_apart(engine: Engine, network: Network) -> None:
    network.limits = lambda message, target: [Limit("asked", "target", "a", int(target.id in ("u0", "u1")))]

    share = (await (await engine.broadcasts.create(users(5), "news")).plan()).accounts[0]

    assert (2, 3, "asked allows 0") == (share.at_once, share.never, share.limited_by)


async def test_a_large_plan_continues_like_its_beginning(
    engine: Engine, network: Network, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(network, 10)
    monkeypatch.setattr(plan_module, "EXACT", 100)

    plan = await (await engine.broadcasts.create(users(1000), "news")).plan()

    assert 1000 == plan.accounts[0].recipients
    assert plan.ends_about == pytest.approx(clock.now() + 99 * 60, rel=0.05)


async def test_words_of_each_person_are_checked_behind_a_picture_too(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = await engine.adapter("fake.me")
    compose = adapter.compose

    def short_words_only(message: Message, target: Target) -> list[Part]:
        if any(isinstance(one, Text) and len(one.text) > 10 for one in message.segments):
            raise Unsupported(f"{target}: too many words")
        return list(compose(message, target))

    monkeypatch.setattr(adapter, "compose", short_words_only)
    people = [Recipient(Target("fake.me", "user", f"u{n}"), "", {"name": "N" * 10 * n}) for n in range(2)]

    with pytest.raises(Refused, match=r"fake\.me/user/u1: too many words"):
        await engine.broadcast(people, Image(PNG), "Dear {name}")
    assert [] == network.arrived


async def test_a_plan_says_how_many_can_be_recalled_at_most(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(network, 30)
    draft = await engine.broadcasts.create(users(500), "news")
    account = await engine.supervisor.accounts.use("fake.me")
    monkeypatch.setitem(account.context.rules._values, "recall.seconds", 119.0)  # type: ignore[index]

    plan = await draft.plan()

    assert 60 == plan.accounts[0].recallable
