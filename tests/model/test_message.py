"""Messages as values: their text, and their form in the store."""

from __future__ import annotations

import pytest

from yizhan import Button, Buttons, Card, Forward, Markdown, Mention, Message, Quote, Text
from yizhan.model import CardLine, dump_message, load_message

PICTURE = Forward("image", {"id": "1"}, "a.png", size=12, width=3, height=4)


@pytest.mark.parametrize(
    "segment",
    [
        Quote("", "what was said", "bob", "Bob", 1.5, (PICTURE,)),
        Card(
            "A chat", "two lines", "https://example.com", "chat_record", "<a/>", (CardLine("hi", "Bob", 2.0, PICTURE),)
        ),
        Markdown("# title", fallback="fail"),
        Buttons(((Button("Yes", "y", users=("bob",)),), (Button("Read", url="https://example.com"),)), fallback="fail"),
        Mention("me", "Me", own=True),
        Forward("voice", {"id": "1"}, duration_ms=1200, transcript="hello"),
    ],
)
def test_a_segment_survives_the_store(segment: object) -> None:
    message = Message((segment,))  # type: ignore[arg-type]

    assert message == load_message(dump_message(message))


@pytest.mark.parametrize(
    ("segments", "kept"),
    [
        ((Mention("me", own=True), Text(" do it")), (Text("do it"),)),
        ((Text("please "), Mention("me", own=True), Text(" do it")), (Text("please "), Text(" do it"))),
        ((Mention("bob"), Text(" hi")), (Mention("bob"), Text(" hi"))),
        ((Mention("me", own=True), Text("  ")), ()),
    ],
)
def test_a_message_without_its_own_mention_keeps_everything_else(
    segments: tuple[Text | Mention, ...], kept: tuple[Text | Mention, ...]
) -> None:
    assert kept == Message(segments).without_own_mention().segments


def test_a_card_reads_as_its_title_its_address_and_its_lines() -> None:
    card = Card("A chat", "", "https://example.com", lines=(CardLine("hi", "Bob"), CardLine("a picture")))

    assert "A chat\nhttps://example.com\nBob: hi\na picture" == card.words


def test_buttons_read_as_a_numbered_list() -> None:
    buttons = Buttons(((Button("Yes", "y"), Button("No", "n")), (Button("Read", url="https://example.com"),)))

    assert "1. Yes\n2. No\n3. Read https://example.com" == buttons.words
