"""Text with mentions: grouping, visible names and the mentioned ids."""

from __future__ import annotations

import pytest

from yizhan.errors import Unsupported
from yizhan.model import Mention, Message, Segment, Target, Text
from yizhan.platforms.adapter import Part
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import MENTION_END, WeChatComposer, at_users, parse_words

ROOM = Target("wechatsdk.main", "group", "10001@chatroom")
BOB = Target("wechatsdk.main", "user", "wxid_bob")


class SpeakingComposer(WeChatComposer):
    title = "WeChat"

    def text(self, piece: Piece) -> Part:
        return self.part("send", piece, "text")


def said(*segments: Segment, max_chars: int, target: Target = ROOM) -> list[Piece]:
    rules = Rules("rules.toml", "2026", {"text.max_chars": max_chars})
    return [part.body for part in SpeakingComposer(target, rules).compose(Message(segments))]


def test_each_piece_lists_its_own_mentions_and_no_mention_is_cut() -> None:
    pieces = said(Text("Dear "), Mention("wxid_bob", "Bob B."), Text("and "), Mention("all"), max_chars=14)

    assert [Piece("Dear @Bob B.", ("wxid_bob",)), Piece(f"and @所有人{MENTION_END}", ("all",))] == pieces
    assert ["notify@all", "wxid_bob"] == at_users(["all", "wxid_bob"])


def test_a_mention_outside_of_a_group_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"group only.*as text"):
        said(Text("hi "), Mention("wxid_bob"), max_chars=0, target=BOB)


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
