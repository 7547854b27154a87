"""The base of the composers: one method for each segment, and everything else in words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.platforms.kit.robot import RobotComposer, Send, rules
from yizhan.errors import MediaFormat, Refused, Unsupported
from yizhan.model import (
    Button,
    Buttons,
    Card,
    File,
    Image,
    Link,
    Markdown,
    Mention,
    Message,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
)
from yizhan.platforms.adapter import Part
from yizhan.testing.conformance.samples import CLIP, GIF, PAPER, PICTURE, SEGMENTS

GROUP = Target("robot.a", "group", "g")
LIFTED = rules(limits=False)


def compose(*segments: Segment, target: Target = GROUP, values: object = None) -> Sequence[Part]:
    return RobotComposer(target, rules() if values is None else LIFTED).compose(Message(segments))


def texts(parts: Sequence[Part]) -> list[str]:
    return [part.body.text for part in parts]


def test_the_methods_of_a_composer_are_its_capabilities() -> None:
    assert {"text", "mention", "quote", "image", "file", "sticker", "native", "card", "markdown", "buttons"} == (
        RobotComposer.segments()
    )


@pytest.mark.parametrize("kind", sorted(set(SEGMENTS) - RobotComposer.segments()))
def test_a_segment_without_a_method_is_refused_with_a_remedy(kind: str) -> None:
    with pytest.raises(Unsupported, match=r"robot\.a/group/g cannot take a .*: Robot has no such message\. \w+"):
        compose(SEGMENTS[kind])


def test_a_platform_may_know_a_better_remedy() -> None:
    with pytest.raises(Unsupported, match="Send it as a file"):
        compose(Video(CLIP))


def test_text_and_mentions_side_by_side_are_one_message_which_is_cut_between_words_and_not_in_a_mention() -> None:
    parts = compose(Text("ask "), Mention("annabel", "Ann"), Text(" or Bob"), values="lifted")

    assert ["ask <@annabel> or Bob"] == texts(parts)
    assert ["annabel"] == parts[0].body.mentioned
    assert ["one two", "three four"] == texts(compose(Text("one two three four")))
    assert ["ask", "<@annabel>"] == texts(compose(Text("ask "), Mention("annabel")))


def test_a_quote_takes_the_text_behind_it_and_the_rest_follows_without_one() -> None:
    assert ["> what\none two", "three four", "new"] == texts(
        [*compose(Quote("m1", "what"), Text("one two three four")), *compose(Text("new"))]
    )
    with pytest.raises(Unsupported, match="Put a text right after it"):
        compose(Quote("m1", "what"), Image(PICTURE))


def test_media_come_to_the_method_of_their_kind() -> None:
    parts = compose(Image(PICTURE), File(PAPER, "b.pdf"), Sticker(GIF))

    assert ["image", "file", "image"] == [part.needs[0].use for part in parts]
    assert "b.pdf" == parts[1].needs[0].name
    assert all(part.repeatable for part in parts)
    with pytest.raises(Unsupported, match="there is no sticker by md5"):
        compose(Sticker(md5="0" * 32))
    with pytest.raises(MediaFormat, match="library"):
        compose(Image("/tmp/a.png"))


def test_markdown_buttons_and_cards_go_as_text_and_the_first_message_says_so() -> None:
    buttons = Buttons(((Button("Yes", "y"), Button("No", "n")),))

    assert [("A title", "Robot shows no Markdown; it was sent as plain text."), ("and more", "")] == [
        (part.body.text, part.note) for part in compose(Markdown("# A title\n\nand more"))
    ]
    (part,) = compose(buttons, values="lifted")
    assert ("1. Yes\n2. No", "Robot has no buttons; they were sent as a numbered list.") == (
        part.body.text,
        part.note,
    )
    assert ["Song"] == texts(compose(Card("Song", xml="<appmsg/>")))
    for strict in (Markdown("x", "fail"), Buttons(buttons.rows, "fail")):
        with pytest.raises(Unsupported, match="Leave `fallback` at 'text'"):
            compose(strict)


def test_a_native_body_is_checked_field_by_field() -> None:
    (part,) = compose(Native("send", {"text": "x", "mentioned": ["a"]}))

    assert Send("", "x", ["a"]) == part.body
    with pytest.raises(Unsupported, match=r"there is no field 'txt'.* It has key, text, mentioned, media_id"):
        compose(Native("send", {"txt": "x"}))
    with pytest.raises(Unsupported, match="the field 'mentioned' is text; it takes a list"):
        compose(Native("send", {"text": "x", "mentioned": "a"}))
    with pytest.raises(Unsupported, match=r"no call 'sent'\. Did you mean"):
        compose(Native("sent", {}))


def test_another_kind_of_target_and_blank_text_are_refused() -> None:
    with pytest.raises(Unsupported, match=r"Robot reaches groups, not 'user'\. Write robot\.a/group/ID"):
        compose(Text("x"), target=Target("robot.a", "user", "u"))
    with pytest.raises(Refused, match="nothing but blank text"):
        compose(Text("  "))
    with pytest.raises(Unsupported, match="Send title and address as text"):
        compose(Link("https://example.com", "t"))
