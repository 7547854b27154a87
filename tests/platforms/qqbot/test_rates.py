"""Rates of calls: the platform refuses, and the client waits and repeats."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.platforms.qqbot.support import CHANNEL, GROUP, USER, bot_of, plain_of, stop_clock
from tests.support import Served
from yizhan.errors import Throttled
from yizhan.platforms.qqbot.wire import GET_ME, RECALL_FROM_USER


async def turn_while_somebody_waits(served: Served, task: asyncio.Future[Any]) -> None:
    """Turn the world's clock by a second whenever anything waits for it, until `task` is done."""
    async with asyncio.timeout(30):
        while not task.done():
            if served.world.clock._sleepers:
                served.world.clock.advance(1)
            await asyncio.sleep(0.005)


async def test_a_call_over_its_rate_is_refused_and_succeeds_a_second_later() -> None:
    async with plain_of() as plain:
        stop_clock(plain.served)
        path = f"/v2/users/{USER}/messages/nope"
        first = [(await plain("DELETE", path))[1]["code"] for _ in range(10)]
        status, body, _ = await plain("DELETE", path)
        of_groups = (await plain("DELETE", f"/v2/groups/{GROUP}/messages/nope"))[1]["code"]
        plain.served.world.clock.advance(0.2)
        later = (await plain("DELETE", path))[1]["code"]

    assert {40061002} == {*first, later}
    assert (429, 100017, 40023001) == (status, body["code"], body["err_code"])
    assert "接口调用超过频率限制。" == body["message"]
    assert 40061001 == of_groups


async def test_the_gateway_address_is_given_out_ten_times_and_then_twice_a_minute() -> None:
    async with plain_of() as plain:
        stop_clock(plain.served)
        first = [(await plain("GET", "/gateway/bot"))[0] for _ in range(11)]
        plain.served.world.clock.advance(31)
        later = [(await plain("GET", "/gateway/bot"))[0] for _ in range(2)]

    assert ([200] * 10 + [429], [200, 429]) == (first, later)


async def test_both_upload_calls_of_one_path_share_a_rate() -> None:
    async with plain_of(rules={"rates.uploadToGroup": 1}) as plain:
        stop_clock(plain.served)
        path, body = f"/v2/groups/{GROUP}/files", {"file_type": 4, "file_data": "aGk="}
        first = (await plain("POST", path, body))[0]

        assert [200, 429] == [first, (await plain("POST", path, {**body, "srv_send_msg": True}))[0]]


async def test_lifted_rules_lift_rates() -> None:
    async with plain_of(rules={"limits": False}) as plain:
        stop_clock(plain.served)
        assert {200} == {(await plain("GET", "/gateway"))[0] for _ in range(30)}


async def test_a_call_over_its_rate_is_repeated() -> None:
    async with bot_of(rules={"rates.recallFromUser": 2}) as (served, bot):
        stop_clock(served)
        sent = [await bot.c2c.post_message(USER, content="a") for _ in range(4)]
        recalls = asyncio.gather(*(bot.c2c.delete_message(USER, one.id) for one in sent))
        await turn_while_somebody_waits(served, recalls)

        assert [True] * 4 == [post.recalled for post in served.world.posts]
        assert 4 < served.calls(RECALL_FROM_USER.name)


async def test_a_call_over_its_rate_is_repeated_for_half_a_minute_at_most() -> None:
    async with bot_of(rules={"rates.getMe": 1}) as (served, bot):
        stop_clock(served)
        await bot.me()
        served.server.rules = served.server.rules.overridden({"rates.getMe": 0.001})  # type: ignore[attr-defined]
        call = asyncio.ensure_future(bot.me())
        await turn_while_somebody_waits(served, call)

        with pytest.raises(Throttled, match="100017"):
            await call
        assert 30 < served.calls(GET_ME.name)


async def test_a_send_over_its_rate_is_not_repeated_by_the_client() -> None:
    async with bot_of(rules={"rates.sendToUser": 1}) as (served, bot):
        stop_clock(served)
        await bot.c2c.post_message(USER, content="a")

        with pytest.raises(Throttled, match="100017") as caught:
            await bot.c2c.post_message(USER, content="b")
        assert ("account", 1) == (caught.value.concerns, caught.value.retry_after)


async def test_a_channel_takes_five_messages_a_second_including_answers() -> None:
    async with bot_of() as (served, bot):
        stop_clock(served)
        message_id = await served.server.say(USER, CHANNEL, text="hi")
        for msg_id in (message_id, None, message_id, None, message_id):
            await bot.channels.post_message(CHANNEL, content="a", msg_id=msg_id)
        with pytest.raises(Throttled, match="304050"):
            await bot.channels.post_message(CHANNEL, content="a", msg_id=message_id)
        served.world.clock.advance(1.1)
        await bot.channels.post_message(CHANNEL, content="a", msg_id=message_id)


async def test_only_two_channels_of_a_guild_get_active_messages_on_one_day() -> None:
    async with bot_of() as (served, bot):
        stop_clock(served)
        network = served.world.network("qq")
        for channel in ("1000002", "1000003"):
            network.add_group(channel, channel, [USER], kind="channel")
        message_id = await served.server.say(USER, "1000003", text="hi")
        for channel in (CHANNEL, "1000002", CHANNEL):
            await bot.channels.post_message(channel, content="a")
        with pytest.raises(Throttled, match="304047"):
            await bot.channels.post_message("1000003", content="a")
        await bot.channels.post_message("1000003", content="a", msg_id=message_id)
        served.world.clock.advance(86401)
        await bot.channels.post_message("1000003", content="a")
