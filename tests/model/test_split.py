"""Text that is too long goes in several messages, cut where a reader would cut it."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yizhan.errors import Unsupported
from yizhan.model import Mention, Message, Reply, Target, Text
from yizhan.model.split import head, joined, spans, split_text
from yizhan.platforms.spec import platform_named
from yizhan.testing.conformance.samples import adapter_of

FAMILY = "👨‍👩‍👧‍👦"
FLAGS = "🇨🇳🇫🇷🇯🇵"


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("", 5, []),
        ("  \n ", 5, []),
        ("short", 5, ["short"]),
        ("one two three", 8, ["one two", "three"]),
        ("one two", 0, ["one two"]),
        ("a para\n\nb c d", 10, ["a para", "b c d"]),
        ("line one\nline two", 12, ["line one", "line two"]),
        ("if x:\n    y = 1\n    z = 2", 18, ["if x:\n    y = 1", "    z = 2"]),
        ("He came. She saw it", 14, ["He came.", "She saw it"]),
        ("version 3.14159 is", 9, ["version", "3.14159", "is"]),
        ("他来了。她看见了他们", 6, ["他来了。", "她看见了他们"]),
        ("“他来了。”她说完就走了", 8, ["“他来了。”", "她说完就走了"]),
        ("先吃饭，再说别的事情吧", 7, ["先吃饭，", "再说别的事情吧"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        (f"ab{FAMILY}cd", 6, ["ab", FAMILY[:6], FAMILY[6:] + "cd"]),
        (f"abcd{FAMILY}", 11, ["abcd" + FAMILY]),
        (f"abcde{FAMILY}", 11, ["abcde", FAMILY]),
        (FLAGS, 3, ["🇨🇳", "🇫🇷", "🇯🇵"]),
        ("cafe\u0301 au", 4, ["caf", "e\u0301", "au"]),
        ("👍🏽👍🏽", 3, ["👍🏽", "👍🏽"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", 4, ["\u1112\u1161\u11ab", "\u1100\u1173\u11af"]),
        ("a\r\nb\r\nc", 4, ["a", "b\r\nc"]),
    ],
)
def test_a_cut_is_made_where_a_reader_would_make_it(text: str, limit: int, pieces: list[str]) -> None:
    assert pieces == split_text(text, limit)


def test_characters_that_belong_together_are_not_cut_apart() -> None:
    mention = '<qqbot-at-user id="ABCDEF" />'

    pieces = split_text(f"hello {mention} and &amp; on", 32, whole=re.compile(r"<[^>]*>|&\w+;"))

    assert ["hello", f"{mention}", "and &amp; on"] == pieces


def test_a_letter_over_the_limit_is_cut_all_the_same() -> None:
    zalgo = "a" + "\u0301" * 50

    assert [10] * 5 + [1] == [len(piece) for piece in split_text(zalgo, 10)]


LETTERS = st.text(
    st.sampled_from(
        [*"ab\r .,!?\n\t你好。，", "\u0301", "\u200d", "\ufe0f", "👩", "🏽", "🇨", "🇳", "각", "\u11a8", "\ud800"]
    ),
    max_size=200,
)


@given(LETTERS | st.text(max_size=300), st.integers(0, 40), st.integers(0, 120).filter(lambda n: n == 0 or n >= 4))
def test_pieces_hold_all_of_the_text_and_stay_within_the_limits(text: str, most: int, most_bytes: int) -> None:
    found = spans(text, most, most_bytes)
    pieces = split_text(text, most, most_bytes)

    assert [text[start:stop] for start, stop in found] == pieces
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert "".join(text.split()) == "".join("".join(pieces).split())
    assert all(piece.strip() for piece in pieces)
    assert not most or all(len(piece) <= most for piece in pieces)
    assert not most_bytes or all(len(piece.encode("utf-8", "surrogatepass")) <= most_bytes for piece in pieces)


@given(st.lists(st.sampled_from([FAMILY, "e\u0301", "👍🏽", "🇨🇳", "각", "a", "字", "\u1112\u1161\u11ab"]), min_size=1))
def test_no_letter_is_cut_apart(letters: list[str]) -> None:
    text = "".join(letters)

    cuts = [start for start, _ in spans(text, 12)][1:]

    assert not [at for at in cuts if joined(text, at)]


def test_media_that_fit_are_left_unchanged() -> None:
    text = "  indented\n\n  text \n"

    assert [text] == split_text(text, 100)


def test_a_mark_never_stands_alone_at_the_beginning_of_a_piece() -> None:
    text = "ŭ̈ñḉ" * 200

    for piece in split_text(unicodedata.normalize("NFD", text), 7):
        assert unicodedata.category(piece[0]) not in ("Mn", "Me")


# --- on the platforms -------------------------------------------------------------------------------------------------


async def test_a_mention_goes_with_the_piece_that_contains_it() -> None:
    for platform, names in (("wechatsdk", "atUserList"), ("ohwxapi", "AtUsers"), ("webwechat", "mentions")):
        adapter = adapter_of(platform_named(platform))
        message = Message((Mention("wxid_bob", "Bob"), Text("长" * 100_000), Mention("wxid_eve", "Eve"), Text("end")))
        parts: Any = adapter.compose(message, Target(f"{platform}.main", "group", "1@chatroom"))
        await adapter.close()

        bodies = [getattr(p.body, "parameters", getattr(p.body, "request", p.body)) for p in parts]
        named = ["".join(getattr(body, names)) for body in bodies]
        assert ("wxid_bob", "wxid_eve") == (named[0], named[-1]), platform
        assert not any(named[1:-1]), platform


async def test_an_answer_that_needs_more_messages_than_are_allowed_is_refused() -> None:
    adapter = adapter_of(platform_named("qqbot"))
    message = Message((Text("长" * 45_000),), Reply("m1", 1.0))

    with pytest.raises(Unsupported, match=r"at most 4 messages \(rule passive.user.count.*needs 12"):
        adapter.compose(message, Target("qqbot.main", "user", "someone"))
    await adapter.close()


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("abc", 3, "abc"),
        ("abc", 0, ""),
        ("报告", 5, "报"),
        ("a👨‍👩‍👧b", 18, "a"),
        ("a🇨🇳🇩🇪", 12, "a🇨🇳"),
        ("cafe\u0301", 4, "caf"),
    ],
)
def test_a_head_is_cut_between_graphemes(text: str, most: int, kept: str) -> None:
    assert kept == head(text, most)
