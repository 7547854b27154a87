"""The access token from both ends: one fetch for many, overlap, restarts, refusals."""

from __future__ import annotations

import asyncio

import pytest

from tests.platforms.qqbot.support import APP_ID, SECRET, USER, adapter_for, bot_of
from tests.support import MemoryStateStore, serve
from yizhan.errors import LoginNeeded, Unavailable
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Bot
from yizhan.platforms.qqbot.wire import GET_TOKEN
from yizhan.platforms.qqbot.wire.token import AppSecret


async def test_a_hundred_calls_fetch_one_token() -> None:
    async with bot_of(rules={"limits": False}) as (served, bot):
        await asyncio.gather(*(bot.me() for _ in range(100)))

    assert 1 == served.calls("getAppAccessToken")
    assert 100 == served.calls("getMe")


async def test_the_same_token_is_returned_until_its_last_minute() -> None:
    async with bot_of() as (served, bot):

        async def fetch() -> tuple[str, object]:
            answer = await bot.caller.call(GET_TOKEN, AppSecret(APP_ID, SECRET))
            return answer.access_token, answer.expires_in

        first, life = await fetch()
        served.world.clock.advance(7000)
        again, left = await fetch()
        served.world.clock.advance(145)
        second, new_life = await fetch()

        assert first == again != second
        assert ("7200", "7200") == (life, new_life)
        assert left in ("199", "200")
        # The old one stays valid until it expires.
        assert served.server.tokens.is_valid(first)  # type: ignore[attr-defined]
        served.world.clock.advance(60)
        assert not served.server.tokens.is_valid(first)  # type: ignore[attr-defined]


async def test_a_token_is_renewed_while_the_old_one_still_works() -> None:
    async with bot_of() as (served, bot):
        await bot.me()
        served.world.clock.advance(7200 - 50)
        await bot.me()
        assert 1 == served.calls("getAppAccessToken")
        served.world.clock.advance(10)
        await bot.me()
        await bot.me()

    assert 2 == served.calls("getAppAccessToken")


async def test_a_call_is_repeated_once_with_a_new_token_when_its_token_is_refused() -> None:
    async with bot_of() as (served, bot):
        await bot.me()
        served.server.tokens.forget()  # type: ignore[attr-defined]

        await asyncio.gather(*(bot.c2c.post_message(USER, content=str(n)) for n in range(5)))

        assert 5 == len(served.world.posts)
        assert 2 == served.calls("getAppAccessToken")


async def test_a_token_survives_a_restart() -> None:
    state_store = MemoryStateStore()
    async with serve(PLATFORM) as served:
        for _ in range(2):
            adapter = adapter_for(served, state_store=state_store)
            assert f"yizhan-bot (AppID {APP_ID})" == await adapter.login(lambda step: None)
            await adapter.close()

        assert 1 == served.calls("getAppAccessToken")


async def test_a_stored_token_of_another_bot_or_a_broken_one_is_not_used() -> None:
    async with serve(PLATFORM) as served:
        for kept in (b'{"app_id":"1","token":"t","ends":9999999999}', b"{", b"[]"):
            state_store = MemoryStateStore()
            await state_store.put("token", kept)
            adapter = adapter_for(served, state_store=state_store)
            await adapter.login(lambda step: None)
            await adapter.close()

        assert 3 == served.calls("getAppAccessToken")


@pytest.mark.parametrize(
    ("app_id", "secret", "words"), [(APP_ID, "wrong", "invalid appid or secret"), ("1", SECRET, "appid invalid")]
)
async def test_a_wrong_secret_raises_loginneeded(app_id: str, secret: str, words: str) -> None:
    async with serve(PLATFORM) as served, Bot(app_id, secret, base_url=served.url) as bot:
        with pytest.raises(LoginNeeded, match=words):
            await bot.me()


async def test_a_failed_renewal_is_no_error_while_the_old_token_works() -> None:
    async with bot_of() as (served, bot):
        await bot.me()
        bot.caller.bases["token"] = "http://127.0.0.1:9"
        served.world.clock.advance(7200 - 30)
        await bot.me()
        served.world.clock.advance(31)

        with pytest.raises(Unavailable, match="could not be reached"):
            await bot.me()


async def test_a_secret_that_was_changed_is_reported_while_the_old_token_works() -> None:
    async with bot_of() as (served, bot):
        await bot.me()
        served.server.secret = "another"  # type: ignore[attr-defined]
        served.world.clock.advance(7200 - 30)

        with pytest.raises(LoginNeeded, match="100016"):
            await bot.me()


async def test_the_account_check_names_problem_and_remedy() -> None:
    async with serve(PLATFORM) as served:
        good, bad = adapter_for(served), adapter_for(served, settings={"secret": "wrong"})

        assert [True, True, True] == [finding.ok for finding in await good.check()]
        findings = await bad.check()
        assert [False, False, False] == [finding.ok for finding in findings]
        assert "management console" in findings[0].remedy
        await good.close()
        await bad.close()
