"""Text with mentions: grouping, visible names and the mentioned ids."""

from __future__ import annotations

import pytest

from yizhan.errors import Unsupported
from yizhan.model import Image, Mention, Quote, Segment, Target, Text
from yizhan.platforms.wechat_xml import MENTION_END, Words, at_users, parse_words, runs

ROOM = Target("wechatsdk.main", "group", "10001@chatroom")
BOB = Target("wechatsdk.main", "user", "wxid_bob")


def test_text_and_mentions_form_one_run_behind_their_quote_and_other_segments_stand_alone() -> None:
    quote, picture = Quote("1", "before"), Image("a.png")
    segments: list[Segment] = [Text("a"), Mention("x"), picture, quote, Text("b"), quote, picture]

    assert [[Text("a"), Mention("x")], [picture], [quote, Text("b")], [quote], [picture]] == list(runs(segments))


def test_each_piece_lists_its_own_mentions_and_no_mention_is_cut() -> None:
    words = Words.of([Text("Dear "), Mention("wxid_bob", "Bob B."), Text("and "), Mention("all")], ROOM)

    pieces = words.pieces(max_chars=14)

    assert [("Dear @Bob B.", ["wxid_bob"]), (f"and @所有人{MENTION_END}", ["all"])] == pieces
    assert ["notify@all", "wxid_bob"] == at_users(["all", "wxid_bob"])


def test_mentions_keep_their_position_behind_a_prefix() -> None:
    words = Words.of([Mention("wxid_bob", "Bob"), Text("yes")], ROOM).prefixed("> is it?\n")

    assert [(f"> is it?\n@Bob{MENTION_END}yes", ["wxid_bob"])] == words.pieces()
    assert words.text[words.mentioned[0][0] :].startswith("@Bob")


def test_a_mention_outside_of_a_group_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"group only.*as text"):
        Words.of([Text("hi "), Mention("wxid_bob")], BOB)


@pytest.mark.parametrize(
    "users", ["wxid_bob,notify@all", " wxid_bob, ,notify@all ", "<![CDATA[,wxid_bob,notify@all]]>"]
)
def test_mentions_are_matched_to_ids_in_their_order(users: str) -> None:
    text, source = f"to @Bob B.{MENTION_END}and @all you", f"<msgsource><atuserlist>{users}</atuserlist></msgsource>"

    assert (
        Text("to "),
        Mention("wxid_bob", "Bob B."),
        Text("and "),
        Mention("all", "all"),
        Text("you"),
    ) == parse_words(text, source)


@pytest.mark.parametrize("source", ["", "<msgsource></msgsource>", "<msgsource><atuserlist></atuserlist></msgsource>"])
def test_an_at_sign_without_a_list_of_ids_is_text(source: str) -> None:
    assert (Text("me@example.com"),) == parse_words("me@example.com", source)
