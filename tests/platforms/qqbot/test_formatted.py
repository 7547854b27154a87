"""Markdown and buttons: composed, sent, refused, and in other forms where the platform does not take them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platforms.qqbot.support import (
    GROUP,
    TO_CHANNEL,
    TO_GROUP,
    TO_USER,
    USER,
    adapter_for,
    bot_of,
    deliver,
    media_of,
)
from yizhan.errors import NotAllowed, Unsupported
from yizhan.model import (
    Button,
    Buttons,
    Card,
    Image,
    Markdown,
    Mention,
    Message,
    Quote,
    Reply,
    Segment,
    Target,
    Text,
)
from yizhan.platforms.adapter import Part
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.convert import FormattedBody, GuildBody, compose
from yizhan.platforms.qqbot.convert.composer import escaped
from yizhan.platforms.qqbot.wire import faults
from yizhan.wire import Fault, FaultCode

YES_NO = Buttons(((Button("好", "/ok", pressed_text="好了"), Button("看", url="https://example.com/")),))
MUST = Buttons(YES_NO.rows, fallback="fail")


def composed(*segments: Segment, target: Target = TO_GROUP, **rules: Any) -> list[Part]:
    return compose(Message(segments), target, PLATFORM.rules(None, rules.get("rules")))


def forms(parts: list[Part]) -> list[tuple[str, bool]]:
    """Markdown (or text) of every part, and whether it has buttons."""
    found = []
    for part in parts:
        message = part.body.message if isinstance(part.body, (FormattedBody, GuildBody)) else part.body
        found.append((str((message.markdown or {}).get("content") or message.content), bool(message.keyboard)))
    return found


# --- composing ---


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ((Markdown("**a**"),), [("**a**", False)]),
        ((Text("a"), Markdown("**b**"), Text("c")), [("a", False), ("**b**", False), ("c", False)]),
        ((Markdown("**选**"), YES_NO), [("**选**", True)]),
        ((Text("选 *一个*"), YES_NO), [(r"选 \*一个\*", True)]),
        ((YES_NO,), [("好 · 看", True)]),
        ((YES_NO, Text("选")), [("选", True)]),
        ((Markdown("a"), YES_NO, Text("b")), [("a", False), ("b", True)]),
    ],
)
def test_buttons_stand_under_the_last_text_of_a_message(
    segments: tuple[Segment, ...], expected: list[tuple[str, bool]]
) -> None:
    assert expected == forms(composed(*segments))
    assert expected == forms(composed(*segments, target=TO_CHANNEL))


def test_buttons_under_a_picture_are_a_message_of_their_own() -> None:
    parts = composed(Image(media_of(b"p" * 100)), YES_NO)

    assert [7, 2] == [getattr(part.body, "msg_type", None) or part.body.message.msg_type for part in parts]


def test_buttons_have_the_platforms_kinds_and_permissions() -> None:
    rows = ((Button("a", "1", users=("U1",)), Button("b", admins_only=True)), (Button("c", url="https://x/"),))
    (part,) = composed(Markdown("x"), Buttons(rows))
    first, second = part.body.message.keyboard["content"]["rows"]

    assert {"type": 0, "specify_user_ids": ["U1"]} == first["buttons"][0]["action"]["permission"]
    assert ({"type": 1}, "b") == (first["buttons"][1]["action"]["permission"], first["buttons"][1]["action"]["data"])
    assert (0, "https://x/") == (second["buttons"][0]["action"]["type"], second["buttons"][0]["action"]["data"])
    assert ["1", "2", "3"] == [button["id"] for row in (first, second) for button in row["buttons"]]


def test_a_long_label_is_cut_with_a_note() -> None:
    (part,) = composed(Buttons(((Button("a very long label"),),)))
    (row,) = part.body.message.keyboard["content"]["rows"]

    assert "a very…" == row["buttons"][0]["render_data"]["label"]
    assert "keyboard.label_max_chars" in part.note


def test_long_markdown_is_cut_between_blocks_with_its_fences_closed() -> None:
    code = "```python\n" + "print('你好')\n" * 1200 + "```\n\n完"
    parts = composed(Markdown(code))
    pieces = [content for content, _ in forms(parts)]

    assert len(pieces) > 1
    assert all(len(piece) <= 4000 and piece.count("```") % 2 == 0 for piece in pieces)


def test_a_quote_goes_with_the_first_part() -> None:
    parts = composed(Quote("REFIDX_1"), Markdown("a"), YES_NO)

    assert "REFIDX_1" == parts[0].body.message.message_reference.message_id


@pytest.mark.parametrize(
    ("rules", "buttons"),
    [
        ({"markdown.free_form": False}, YES_NO),
        ({"keyboard.allowed": False}, YES_NO),
        ({"keyboard.max_buttons": 1}, YES_NO),
        ({}, Buttons(tuple((Button(str(n)),) for n in range(6)))),
    ],
)
def test_buttons_that_the_rules_forbid_are_a_numbered_list_or_a_refusal(
    rules: dict[str, Any], buttons: Buttons
) -> None:
    (part,) = composed(Text("选"), buttons, rules=rules)

    assert f"选\n\n{buttons.words}" == part.body.content
    assert next(iter(rules), "keyboard.max_rows") in part.note
    with pytest.raises(Unsupported, match=r"rule (keyboard|markdown)\."):
        composed(Text("选"), Buttons(buttons.rows, fallback="fail"), rules=rules)


def test_markdown_that_the_rules_forbid_goes_as_plain_text_or_is_refused() -> None:
    rules = {"markdown.free_form": False}
    (part,) = composed(Markdown("# A\n\n[b](https://c/)"), rules=rules)

    assert "A\n\nb (https://c/)" == part.body.content
    assert "markdown.free_form" in part.note
    with pytest.raises(Unsupported, match=r"markdown\.free_form"):
        composed(Markdown("a", fallback="fail"), rules=rules)


def test_a_card_goes_as_its_words_with_a_note() -> None:
    (part,) = composed(Card("一首歌", "歌手", "https://example.com/s"))

    assert "一首歌\n歌手\nhttps://example.com/s" == part.body.content
    assert "一首歌" in part.note


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a_b *c* `d`", r"a\_b \*c\* \`d\`"),
        ("# no title\n- no item\n1. no number", "\\# no title  \n\\- no item  \n1\\. no number"),
        ('<qqbot-at-user id="A_B" /> hi', '<qqbot-at-user id="A_B" /> hi'),
        ("3.14 - 1", "3.14 - 1"),
    ],
)
def test_text_under_buttons_is_shown_as_it_is(text: str, markdown: str) -> None:
    assert markdown == escaped(text)


def test_mentions_survive_beside_buttons() -> None:
    (part,) = composed(Mention("A_B"), Text(" *选*"), YES_NO)

    assert r'<qqbot-at-user id="A_B" /> \*选\*' == part.body.message.markdown["content"]


# --- sending ---


@pytest.mark.parametrize("target", [TO_USER, TO_GROUP, TO_CHANNEL])
async def test_markdown_and_buttons_arrive_unchanged(target: Target) -> None:
    async with bot_of() as (served, _):
        adapter = adapter_for(served)
        await deliver(adapter, Message((Markdown("**选**"), YES_NO)), target)
        await adapter.close()

        (post,) = served.world.posts
        assert ("markdown", "**选**") == (post.kind, post.text)
        assert "好了" in str(post.extra["keyboard"])


REFUSED: list[tuple[FaultCode, str, str]] = [
    (faults.MARKDOWN_NOT_ALLOWED, "text", "选\n\n1. 好\n2. 看 https://example.com/"),
    (faults.ANSWER_NOT_MARKDOWN, "text", "选\n\n1. 好\n2. 看 https://example.com/"),
    (faults.KEYBOARD_NOT_ALLOWED, "markdown", "**选**\n\n1\\. 好  \n2\\. 看 https://example.com/"),
]


def refusing(served: Any, row: FaultCode) -> None:
    """Refuse Markdown, or only keyboards, with `row`."""
    messages = served.server.messages
    send = messages.send

    def refused(request: Any, scene: str) -> Any:
        if request.markdown and (request.keyboard or row not in faults.KEYBOARD_FAULTS):
            raise Fault(row)
        return send(request, scene)

    messages.send = refused


@pytest.mark.parametrize(("row", "kind", "text"), REFUSED)
async def test_a_refused_form_is_replaced_by_another_with_a_note(row: FaultCode, kind: str, text: str) -> None:
    async with bot_of() as (served, _):
        refusing(served, row)
        adapter = adapter_for(served)
        asked = await served.server.say(USER, GROUP, text="?")
        message = Message((Markdown("**选**"), YES_NO), Reply(asked, 1))
        (sent,) = await deliver(adapter, message, TO_GROUP)
        await adapter.close()

        post = served.world.posts[-1]
        assert (kind, text) == (post.kind, post.text)
        assert str(row.code) in sent.note


@pytest.mark.parametrize("row", [faults.MARKDOWN_NOT_ALLOWED, faults.KEYBOARD_NOT_ALLOWED])
@pytest.mark.parametrize("segments", [(Markdown("a", fallback="fail"), MUST), (Text("a"), MUST)])
async def test_a_refused_form_without_fallback_fails_with_the_platforms_words(
    row: FaultCode, segments: tuple[Segment, ...]
) -> None:
    async with bot_of() as (served, _):
        refusing(served, row)
        adapter = adapter_for(served)
        with pytest.raises(NotAllowed, match=str(row.code)):
            await deliver(adapter, Message(segments), TO_GROUP)
        await adapter.close()

        assert [] == served.world.posts
