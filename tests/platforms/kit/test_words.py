"""Text with mentions: grouped into runs, and cut into pieces."""

from __future__ import annotations

from yizhan.model import Image, Mention, Quote, Segment, Text
from yizhan.platforms.kit.words import Piece, Words, runs


def test_text_and_mentions_form_one_run_behind_their_quote_and_other_segments_stand_alone() -> None:
    quote, picture = Quote("1", "before"), Image("a.png")
    segments: list[Segment] = [Text("a"), Mention("x"), picture, quote, Text("b"), quote, picture]

    assert [[Text("a"), Mention("x")], [picture], [quote, Text("b")], [quote], [picture]] == list(runs(segments))


def test_mentions_keep_their_position_behind_a_prefix() -> None:
    words = Words().joined("@Bob ", "wxid_bob").joined("yes").prefixed("> is it?\n")

    assert [Piece("> is it?\n@Bob yes", ("wxid_bob",))] == words.pieces()
    assert words.text[words.mentioned[0][0] :].startswith("@Bob")
