"""Answers that grow while people read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import yizhan
from tests.platforms.qqbot.support import GROUP, USER
from yizhan.engine import Engine
from yizhan.errors import Refused
from yizhan.model import Event, EventKind, State
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox


async def opened(sandbox: RunningSandbox, folder: Path, **settings: object) -> Engine:
    engine = await Engine.open(folder / "store", clock=sandbox.clock)
    known = platform_named("qqbot").sandbox_settings
    await engine.add_account("qqbot.main", **known, base_url=sandbox.url, **settings)
    return engine


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await opened(sandbox, tmp_path)
    yield engine
    await engine.close()


async def asked(sandbox: RunningSandbox, engine: Engine, to: str = "bot") -> Event:
    """Return the event of a question."""
    stream = engine.events(["qqbot.main"])
    first = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(lambda: sandbox.say("qqbot", USER, "?", to=to))
    event = await asyncio.wait_for(first, 30)
    await stream.aclose()
    return event


def streamed(sandbox: RunningSandbox) -> list[str]:
    return [str(request.body["content_raw"]) for request in sandbox.requests("streamToUser")]  # type: ignore[index]


async def test_a_text_grows_with_few_updates_and_counts_as_one_answer(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await asked(sandbox, engine)
    async with engine.stream(event) as text:
        await text.write("你")
        await text.write("好")
        sandbox.clock.advance(1)
        await text.write("吗")
        await text.write("？")

    assert ["你", "你好吗", "你好吗？"] == streamed(sandbox)
    assert ["你好吗？"] == [post.text for post in sandbox.posts(USER)]
    assert text.receipt is not None
    assert State.SENT is text.receipt.state
    for _ in range(3):
        assert (await engine.reply(event, "more")).ok


async def test_the_whole_text_goes_at_the_end_where_texts_do_not_grow(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await asked(sandbox, engine, to=GROUP)
    async with engine.stream(event) as text:
        await text.write("你")
        await text.write("好")

    assert ["你好"] == [post.text for post in sandbox.posts(GROUP)]


async def test_an_error_in_the_block_ends_the_text_as_far_as_it_was_written(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    event = await asked(sandbox, engine)

    async def broken() -> None:
        async with engine.stream(event) as text:
            await text.write("a")
            await text.write("b")
            raise RuntimeError("the model broke")

    with pytest.raises(RuntimeError, match="the model broke"):
        await broken()

    last = sandbox.requests("streamToUser")[-1].body
    assert isinstance(last, dict)
    assert ("ab", 10) == (last["content_raw"], last["input_state"])


async def test_a_lost_update_does_no_harm(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await asked(sandbox, engine)
    async with engine.stream(event) as text:
        await text.write("a")
        sandbox.chaos("streamToUser", status=500, times=1)
        sandbox.clock.advance(1)
        await text.write("b")

    assert ["ab"] == [post.text for post in sandbox.posts(USER)]


async def test_a_stream_that_the_platform_refuses_is_sent_as_one_text(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await asked(sandbox, engine)
    sandbox.chaos("streamToUser", fault="markdown_not_allowed", times=1)
    async with engine.stream(event) as text:
        await text.write("a")
        await text.write("b")

    assert [("sendToUser", "ab")] == [(post.call, post.text) for post in sandbox.posts(USER)]


async def test_a_text_over_the_limit_continues_in_another_message(sandbox: RunningSandbox, tmp_path: Path) -> None:
    engine = await opened(sandbox, tmp_path, rules={"text.max_chars": 10})
    event = await asked(sandbox, engine)
    async with engine.stream(event) as text:
        await text.write("0123456")
        await text.write("789 and more")
    await engine.close()

    assert ["0123456789", "and more"] == [post.text.strip() for post in sandbox.posts(USER)]


async def test_a_closed_stream_and_an_event_without_a_conversation_are_refused(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    event = await asked(sandbox, engine)
    stream = engine.stream(event)
    await stream.write("a")
    receipt = await stream.close()

    assert receipt == await stream.close()
    with pytest.raises(Refused, match="closed"):
        await stream.write("b")
    with pytest.raises(Refused, match="no conversation"):
        engine.stream(Event("1", EventKind.OTHER, "qqbot.main", 1.0))


async def test_a_stream_without_text_is_refused(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await asked(sandbox, engine)
    with pytest.raises(Refused):
        await engine.stream(event).close()


def test_a_text_grows_without_async_as_well(sandbox: RunningSandbox, tmp_path: Path) -> None:
    with yizhan.open_blocking(tmp_path / "store") as yz:
        known = platform_named("qqbot").sandbox_settings
        yz.add_account("qqbot.main", **known, base_url=sandbox.url)
        yz.listen("qqbot.main")
        events = yz.events("qqbot.main")
        sandbox.say("qqbot", USER, "?")
        text = yz.stream(next(events))
        text.write("你")
        text.write("好")

        assert text.close().ok
        assert ["你好"] == [post.text for post in sandbox.posts(USER)]
