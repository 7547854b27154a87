"""One message, five wires: it arrives unchanged, or is refused where a wire cannot carry it, and nothing leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.files import pdf, png
from yizhan.engine import Engine
from yizhan.errors import Unsupported
from yizhan.model import (
    ChannelVideo,
    ContactCard,
    File,
    Image,
    Link,
    MiniProgram,
    Quote,
    Segment,
    SegmentLike,
    State,
    Target,
    Text,
)
from yizhan.testing import RunningSandbox

SHOWN = "季度 报告（终）.pdf"


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await add_accounts(engine, sandbox, tuple(ALL))
    yield engine
    await engine.close()


async def test_one_broadcast_brings_the_same_picture_and_file_to_one_target_on_each_platform(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    picture, paper = png(), pdf()
    targets = [await person_of(engine, platform) for platform in ALL]

    broadcast = await engine.broadcast(targets, Text("好的 👋"), Image(picture), File(paper, SHOWN))
    counts = await broadcast.wait()

    assert {State.SENT: 5} == counts, await broadcast.receipts()
    for target in targets:
        posts = sandbox.posts(target)
        blobs = [post.blob.read() for post in posts if post.blob]
        assert [picture, paper] == blobs, target
        assert [SHOWN] == [post.name for post in posts if post.kind == "file"], target
        assert ["好的 👋"] == [post.text for post in posts if post.text], target


CARDS: list[tuple[str, Segment, set[str]]] = [
    ("link", Link("https://example.com/a?b=1&c=2", "标题 <1>", "描述"), {"wechatsdk", "ohwxapi"}),
    (
        "mini_program",
        MiniProgram("wx0123456789abcdef", "gh_0123456789ab@app", "小程序", "pages/index"),
        {"wechatsdk", "ohwxapi"},
    ),
    ("channel_video", ChannelVideo("12345678901234567890", "987_0_1", "频道"), {"wechatsdk", "ohwxapi"}),
    ("contact_card", ContactCard("wxid_bob", "Bob"), {"webwechat", "wechatsdk", "ohwxapi"}),
]


@pytest.mark.parametrize("platform", ALL)
@pytest.mark.parametrize(("name", "card", "carried_by"), CARDS, ids=[row[0] for row in CARDS])
async def test_a_card_arrives_where_it_exists_and_is_refused_clearly_elsewhere(
    sandbox: RunningSandbox, engine: Engine, platform: str, name: str, card: Segment, carried_by: set[str]
) -> None:
    target = Target.parse(await person_of(engine, platform))

    if platform in carried_by:
        receipt = await engine.send(target, card)
        (post,) = sandbox.posts(target)
        assert (State.SENT, name) == (receipt.state, post.kind)
    else:
        with pytest.raises(Unsupported) as caught:
            await engine.send(target, card)
        said = str(caught.value)
        assert str(target) in said
        assert any(word in said for word in ("Send", "Write", "choose")), said
        assert [] == sandbox.posts(target)
        assert [] == await engine.deliveries()


QUOTES = {"qqbot", "webwechat", "wechatsdk", "ohwxapi"}


@pytest.mark.parametrize("platform", ALL)
async def test_an_answer_with_a_quote_arrives_where_quotes_exist_and_is_refused_elsewhere(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    target = Target.parse(await person_of(engine, platform))
    said = sandbox.say(platform, target.id, "when do we meet?")
    answer: list[SegmentLike] = [Quote(said, "when do we meet?", target.id), Text("at nine")]

    if platform in QUOTES:
        receipt = await engine.send(target, answer)
        (post,) = sandbox.posts(target)
        assert State.SENT is receipt.state
        assert "at nine" in post.text
    else:
        with pytest.raises(Unsupported, match="quote"):
            await engine.send(target, answer)
        assert [] == sandbox.posts(target)


async def test_a_broadcast_that_one_platform_cannot_carry_is_refused_whole_and_names_it(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    targets = [await person_of(engine, platform) for platform in ALL]

    with pytest.raises(Unsupported, match=r"(qqbot|webwechat|ilink)\."):
        await engine.broadcast(targets, Link("https://example.com", "title"))
    assert [] == await engine.deliveries()
    assert [] == sandbox.posts()
