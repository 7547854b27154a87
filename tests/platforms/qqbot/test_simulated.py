"""Events that are played in the sandbox arrive at the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.platforms.qqbot.support import CHANNEL, GROUP, PNG, USER
from yizhan.engine import Engine
from yizhan.model import Button, Buttons, Card, Event, EventKind, Forward, Markdown, Mention, Quote
from yizhan.platforms.server import SaidMedia
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

TO_GROUP = f"qqbot.main/group/{GROUP}"


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    await engine.add_account("qqbot.main", **platform_named("qqbot").sandbox_settings, base_url=sandbox.url)
    yield engine
    await engine.close()


async def received(engine: Engine, play: Callable[[], str], count: int = 1) -> tuple[str, Event]:
    """Listen, play, and return the id of the last play and the last of `count` events."""
    stream = engine.events(["qqbot.main"])
    next_event = asyncio.ensure_future(anext(stream))
    id = await asyncio.to_thread(play)
    event = await asyncio.wait_for(next_event, 30)
    for _ in range(count - 1):
        event = await asyncio.wait_for(anext(stream), 30)
    await stream.aclose()
    return id, event


async def test_a_message_with_mentions_quote_and_media_arrives(sandbox: RunningSandbox, engine: Engine) -> None:
    receipt = await engine.send(TO_GROUP, "你好")
    id, event = await received(
        engine,
        lambda: sandbox.event(
            "qqbot",
            "message",
            USER,
            to=GROUP,
            text="看这个",
            addressed=False,
            mentions=["bot", "all"],
            quote=receipt.platform_ids[0].id,
            media=[SaidMedia(PNG, "image", "a.png"), SaidMedia(b"\x02#!SILK_V3", "voice", "b.silk", "三点开会")],
        ),
    )

    assert (id, True) == (event.id, event.mentioned)
    quote, own, _, everyone, _, image, voice = event.message.segments
    assert isinstance(quote, Quote)
    assert "你好" == quote.text
    assert isinstance(own, Mention)
    assert own.own
    assert Mention("all", "全体成员") == everyone
    assert isinstance(image, Forward)
    assert isinstance(voice, Forward)
    assert ("image", "三点开会") == (image.kind, voice.transcript)


async def test_quoted_media_can_be_saved(sandbox: RunningSandbox, engine: Engine) -> None:
    def quote_a_picture() -> str:
        said = sandbox.event("qqbot", "message", USER, media=[SaidMedia(PNG, "image", "a.png")])
        return sandbox.event("qqbot", "message", USER, text="这是什么", quote=said)

    _, event = await received(engine, quote_a_picture, count=2)
    quote = event.message.segments[0]
    assert isinstance(quote, Quote)
    media = await engine.save(quote.media[0])

    assert (len(PNG), "qqbot.main") == (media.size, quote.media[0].account)


async def test_a_button_that_was_sent_can_be_pressed(sandbox: RunningSandbox, engine: Engine) -> None:
    buttons = Buttons(((Button("好", "/ok"), Button("不", "/no", users=("nobody",))),))
    receipt = await engine.send(TO_GROUP, Markdown("**选**"), buttons)
    sent = receipt.platform_ids[0].id
    _, event = await received(
        engine, lambda: sandbox.event("qqbot", "button_pressed", USER, to=GROUP, message_id=sent, data="1")
    )

    assert (EventKind.BUTTON_PRESSED, "/ok", sent, USER) == (event.kind, event.data, event.about, event.person)
    for button in ("2", "3"):
        with pytest.raises(LookupError, match=r"is not for|has no button"):
            sandbox.event("qqbot", "button_pressed", USER, to=GROUP, message_id=sent, data=button)


PLAYED: list[tuple[str, dict[str, Any], EventKind]] = [
    ("member_joined", {"to": GROUP}, EventKind.MEMBER_JOINED),
    ("member_left", {"to": GROUP}, EventKind.MEMBER_LEFT),
    ("reaction", {"to": CHANNEL, "message_id": "08aa", "data": "4"}, EventKind.REACTION),
    ("active_refused", {}, EventKind.ACTIVE_REFUSED),
    ("active_allowed", {"to": GROUP}, EventKind.ACTIVE_ALLOWED),
    ("group_added", {"to": GROUP}, EventKind.GROUP_ADDED),
    ("friend_added", {}, EventKind.FRIEND_ADDED),
    ("raw", {"body": {"t": "FRIEND_DEL", "d": {"openid": USER, "timestamp": 1}}}, EventKind.FRIEND_REMOVED),
    ("message", {"to": GROUP, "text": "a", "addressed": False}, EventKind.MESSAGE),
]


@pytest.mark.parametrize(("name", "fields", "kind"), PLAYED, ids=[name for name, _, _ in PLAYED])
async def test_each_event_arrives_under_its_kind(
    sandbox: RunningSandbox, engine: Engine, name: str, fields: dict[str, Any], kind: EventKind
) -> None:
    _, event = await received(engine, lambda: sandbox.event("qqbot", name, USER, **fields))

    assert kind is event.kind


async def test_a_message_of_a_channel_can_be_withdrawn(sandbox: RunningSandbox, engine: Engine) -> None:
    said: list[str] = []

    def withdraw() -> str:
        said.append(sandbox.say("qqbot", USER, "a", to=CHANNEL))
        return sandbox.event("qqbot", "recall", USER, message_id=said[0])

    _, event = await received(engine, withdraw, count=2)

    assert (EventKind.RECALL, said[0]) == (event.kind, event.about)


async def test_events_are_played_over_http(sandbox: RunningSandbox) -> None:
    card = {"title": "一首歌", "url": "https://example.com/"}
    line = {"from": USER, "text": "早"}
    wrong = {"event": "wink"}
    async with aiohttp.ClientSession() as http:
        for fields, status in (({"event": "message", "card": card, "lines": [line]}, 200), (wrong, 404)):
            body = {"platform": "qqbot", "from": USER, **fields}
            async with http.post(f"{sandbox.url}/_sandbox/event", json=body) as answer:
                said = await answer.json()
                assert status == answer.status, said
        assert "QQ has no event 'wink'" in said["detail"] + said["error"]
        body = {"platform": "ilink", "from": "x", "event": "message"}
        async with http.post(f"{sandbox.url}/_sandbox/event", json=body) as answer:
            assert 404 == answer.status


async def test_a_card_and_a_chat_record_arrive_as_cards(sandbox: RunningSandbox, engine: Engine) -> None:
    card = Card("一首歌", "歌手", "https://example.com/", "com.music")
    _, event = await received(engine, lambda: sandbox.event("qqbot", "message", USER, card=card))

    assert (card,) == event.message.segments
