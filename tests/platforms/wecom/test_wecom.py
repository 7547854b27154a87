"""WeCom group robots, from an engine to the sandbox over a real socket, and the wire's own refusals."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.files import pdf, png
from tests.media import support as make
from tests.sending.waiting import waits
from yizhan.engine import Engine
from yizhan.errors import (
    DeliveryFailed,
    LoginNeeded,
    MediaFormat,
    MediaTooLarge,
    Refused,
    Rejected,
    UnknownTarget,
    Unsupported,
)
from yizhan.model import (
    Button,
    Buttons,
    File,
    Image,
    Link,
    Markdown,
    Mention,
    Message,
    Native,
    Quote,
    Segment,
    State,
    Target,
    Text,
    Voice,
)
from yizhan.platforms.rules import Rules
from yizhan.platforms.wecom import PLATFORM, wire
from yizhan.platforms.wecom.convert import RobotComposer
from yizhan.testing import RunningSandbox

KEY = PLATFORM.sandbox_settings["key"]
ME = "wecom.robot/group/me"


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock) as engine:
        await engine.add_account("wecom.robot", key=KEY, base_url=sandbox.url)
        yield engine


def composed(*segments: Segment, rules: Rules | None = None) -> list[Any]:
    """Return the messages of the parts."""
    parts = RobotComposer(Target.parse(ME), rules or PLATFORM.rules()).compose(Message(segments))
    return [part.body.message for part in parts]


# --- composing --------------------------------------------------------------------------------------------------------


def test_mentions_of_members_stand_in_the_text_and_those_of_telephones_and_all_beside_it() -> None:
    (message,) = composed(Text("hi "), Mention("zhangsan"), Text(" and "), Mention("13800001111"), Mention("all"))

    assert "hi <@zhangsan> and " == message.text.content
    assert (["@all"], ["13800001111"]) == (message.text.mentioned_list, message.text.mentioned_mobile_list)


def test_long_text_becomes_several_messages_of_2048_bytes_and_no_mention_is_cut() -> None:
    messages = composed(Text("字" * 680 + " "), Mention("z" * 20), Text("字" * 700))

    contents = [message.text.content for message in messages]
    assert all(len(content.encode()) <= 2048 for content in contents)
    assert 1 == sum(f"<@{'z' * 20}>" in content for content in contents)
    assert 1380 == sum(content.count("字") for content in contents)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("**bold** and [a link](https://x.example)", "markdown"),
        ("> quoted", "markdown"),
        ("* one\n* two", "markdown_v2"),
        ("1. one\n2. two", "markdown_v2"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "markdown_v2"),
        ("```\ncode\n```", "markdown_v2"),
        ("![a picture](https://x.example/a.png)", "markdown_v2"),
    ],
)
def test_markdown_goes_as_the_kind_that_shows_it(text: str, kind: str) -> None:
    (message,) = composed(Markdown(text))

    assert kind == message.msgtype
    assert text == getattr(message, kind).content


def test_long_markdown_is_split_at_blocks() -> None:
    messages = composed(Markdown("\n\n".join(["段落" * 100] * 20)))

    assert len(messages) > 1
    assert all(len(message.markdown.content.encode()) <= 4096 for message in messages)


def test_a_link_is_an_article_and_its_words_are_cut_with_a_note() -> None:
    rules = PLATFORM.rules()
    link = Link("https://x.example", "题" * 60, "说明" * 200, "https://x.example/a.png")
    (part,) = RobotComposer(Target.parse(ME), rules).compose(Message((link,)))

    (article,) = part.body.message.news.articles
    assert len(article.title.encode()) <= 128
    assert len(article.description.encode()) <= 512
    assert article.title.endswith("…")
    assert "was cut" in part.note
    assert "" == RobotComposer(Target.parse(ME), rules).compose(Message((Link("https://x", "t"),)))[0].note


def test_buttons_go_as_a_numbered_list() -> None:
    (message,) = composed(Buttons(((Button("Yes", "y"), Button("No", "n")),)))

    assert "text" == message.msgtype
    assert "1" in message.text.content
    assert "Yes" in message.text.content


def test_a_quote_is_refused_with_the_remedy() -> None:
    with pytest.raises(Unsupported, match="Repeat the words in your text"):
        composed(Quote("m1", "said", "a", "A"), Text("yes"))


def test_a_template_card_goes_as_native_and_a_wrong_field_is_named() -> None:
    card = {"card_type": "text_notice", "main_title": {"title": "A title"}}
    (message,) = composed(Native("send", {"msgtype": "template_card", "template_card": card}))

    assert card == message.template_card
    with pytest.raises(Unsupported, match="there is no field 'msgtyp'"):
        composed(Native("send", {"msgtyp": "text"}))
    with pytest.raises(Unsupported, match=r"has no call .sned.\. Did you mean send"):
        composed(Native("sned", {}))


@pytest.mark.parametrize("target", ["wecom.robot/group/you", "wecom.robot/user/me"])
def test_only_the_robots_own_group_can_be_written_to(target: str) -> None:
    with pytest.raises(Refused) as caught:
        RobotComposer(Target.parse(target), PLATFORM.rules()).compose(Message((Text("hi"),)))
    assert "wecom.robot/group/" in str(caught.value)


def test_a_wrong_target_is_an_unknown_target() -> None:
    with pytest.raises(UnknownTarget, match=r"key is its group\. Write wecom\.robot/group/me"):
        RobotComposer(Target.parse("wecom.robot/group/you"), PLATFORM.rules()).compose(Message((Text("hi"),)))


# --- over the sandbox -------------------------------------------------------------------------------------------------


async def test_everything_that_a_robot_sends_arrives(sandbox: RunningSandbox, engine: Engine) -> None:
    picture, paper = png(), pdf()

    link = Link("https://x.example", "A title")
    receipt = await engine.send(ME, "早上好", Image(picture), File(paper, "季度 报告.pdf"), link, Markdown("**b**"))

    posts = sandbox.posts(ME)
    assert receipt.ok
    assert ["text", "image", "file", "link", "markdown"] == [post.kind for post in posts]
    assert [picture, paper] == [post.blob.read() for post in posts if post.blob]
    assert "季度 报告.pdf" == posts[2].name
    assert 1 == sandbox.calls("upload_media")


async def test_a_sound_goes_as_a_voice_of_amr(sandbox: RunningSandbox, engine: Engine) -> None:
    receipt = await engine.send(ME, Voice(make.wav(2.0), "a.wav"))

    (post,) = sandbox.posts(ME)
    assert receipt.ok
    assert "voice" == post.kind
    assert post.blob is not None
    assert post.blob.head(6).startswith(b"#!AMR")


async def test_an_upload_is_used_for_three_days_and_then_made_again(sandbox: RunningSandbox, engine: Engine) -> None:
    paper = File(pdf(), "a.pdf")
    await engine.send(ME, paper)
    sandbox.clock.advance(2 * 86400)
    await engine.send(ME, paper)
    before = sandbox.calls("upload_media")
    sandbox.clock.advance(2 * 86400)
    await engine.send(ME, paper)

    assert (1, 2) == (before, sandbox.calls("upload_media"))
    assert 3 == len(sandbox.posts(ME))


async def test_a_lost_upload_is_made_again(sandbox: RunningSandbox, engine: Engine) -> None:
    paper = File(pdf(), "a.pdf")
    await engine.send(ME, paper)
    sandbox.chaos("send", fault="wrong_media_id", times=1)

    assert (await engine.send(ME, paper)).ok
    assert 2 == sandbox.calls("upload_media")


async def test_the_twenty_first_message_of_a_minute_waits(sandbox: RunningSandbox, engine: Engine) -> None:
    states = [(await engine.send(ME, f"message {n}")).state for n in range(21)]

    assert [State.SENT] * 20 + [State.HELD] == states
    assert 20 == len(sandbox.posts(ME))


async def test_the_platforms_own_refusal_of_the_pace_is_waited_out(sandbox: RunningSandbox, engine: Engine) -> None:
    sandbox.chaos("send", fault="too_often", times=1)

    receipts = await engine.submit(ME, "hello")
    await waits(engine, receipts[0])
    sandbox.clock.advance(61)
    (receipt,) = await engine.wait(receipts)

    assert State.SENT == receipt.state


async def test_a_wrong_key_asks_for_a_login_and_the_delivery_waits(sandbox: RunningSandbox, engine: Engine) -> None:
    await engine.add_account("wecom.wrong", key="nobody", base_url=sandbox.url)

    with pytest.raises(LoginNeeded):
        await engine.send("wecom.wrong/group/me", "hi")
    with pytest.raises(LoginNeeded, match="93000"):
        await engine.login("wecom.wrong", lambda step: None)
    (finding,) = await engine.check("wecom.wrong")
    assert not finding.ok
    assert "Copy the robot's address" in finding.remedy


async def test_a_login_posts_nothing(sandbox: RunningSandbox, engine: Engine) -> None:
    identity = await engine.login("wecom.robot", lambda step: None)

    assert [] == sandbox.posts(ME)
    assert KEY not in identity
    assert [True] == [finding.ok for finding in await engine.check("wecom.robot")]


async def test_a_recall_says_that_there_is_no_id(engine: Engine) -> None:
    receipt = await engine.send(ME, "hi")

    assert [""] == [part.id for part in receipt.platform_ids]
    with pytest.raises(Refused, match="cannot be recalled"):
        await engine.recall(receipt)


async def test_a_lost_answer_is_unknown(sandbox: RunningSandbox, engine: Engine) -> None:
    sandbox.chaos("send", cut="after", times=1)

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send(ME, "hi")

    assert State.UNKNOWN == caught.value.receipts[0].state
    assert 1 == len(sandbox.posts(ME))


async def test_files_out_of_range_are_refused_before_anything_is_stored(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    with pytest.raises(MediaFormat, match="too small: 6 bytes are the least"):
        await engine.send(ME, File(b"12345", "a.txt"))
    with pytest.raises(MediaTooLarge):
        await engine.send(ME, File(bytes(20 * 1024 * 1024 + 1), "a.bin"))

    assert [] == await engine.deliveries()
    assert 0 == len(sandbox.requests())


async def test_the_key_is_in_no_log_and_no_repr(sandbox: RunningSandbox, engine: Engine) -> None:
    await engine.send(ME, "hi", File(pdf(), "a.pdf"))

    assert KEY not in str(sandbox.requests())
    assert KEY not in repr(engine.supervisor.accounts.used("wecom.robot"))
    assert KEY not in str(await engine.accounts())


# --- the wire ---------------------------------------------------------------------------------------------------------

GOOD = {"msgtype": "text", "text": {"content": "hello"}}
PNG = png(width=8, height=8)
ENCODED = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (GOOD, 0),
        ({**GOOD, "msgtype": "shout"}, wire.WRONG_MESSAGE_TYPE.code),
        ({"msgtype": "text"}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "text", "text": {"content": " "}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "text", "text": {"content": "x" * 2049}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "text", "text": {"content": 5}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "markdown", "markdown": {"content": "字" * 1366}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "image", "image": {"base64": ENCODED, "md5": hashlib.md5(PNG).hexdigest()}}, 0),
        ({"msgtype": "image", "image": {"base64": ENCODED, "md5": "0" * 32}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "image", "image": {"base64": "%%%", "md5": "0" * 32}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "image", "image": {"base64": "R0lGODlh", "md5": "0" * 32}}, wire.WRONG_TYPE.code),
        ({"msgtype": "file", "file": {"media_id": "nobody"}}, wire.WRONG_MEDIA_ID.code),
        ({"msgtype": "news", "news": {"articles": []}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "news", "news": {"articles": [{"title": "t", "url": "https://x"}]}}, 0),
        ({"msgtype": "template_card", "template_card": {"card_type": "other"}}, wire.WRONG_PARAMETER.code),
        ({"msgtype": "template_card", "template_card": {"card_type": "text_notice"}}, 0),
        ([], wire.WRONG_PARAMETER.code),
    ],
)
async def test_the_sandbox_answers_as_the_platform_does(sandbox: RunningSandbox, body: Any, code: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.url}/cgi-bin/webhook/send", params={"key": KEY}, json=body) as answer,
    ):
        said = await answer.json()

    assert (200, code) == (answer.status, said["errcode"])
    assert (code == 0) == (said["errmsg"] == "ok") == bool(sandbox.posts(platform="wecom"))


async def test_an_upload_of_one_kind_is_not_sent_as_the_other(engine: Engine, sandbox: RunningSandbox) -> None:
    adapter = await engine.adapter("wecom.robot")
    await engine.send(ME, File(pdf(), "a.pdf"))
    (media_id,) = sandbox.sandbox.servers["wecom"]._names  # type: ignore[attr-defined]

    with pytest.raises(Rejected, match="40004"):
        await adapter.call(wire.SEND, wire.Send(KEY, "voice", voice=wire.MediaId(media_id)))
