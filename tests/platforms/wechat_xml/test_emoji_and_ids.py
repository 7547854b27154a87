"""Emoji codes in text, and ids that have a fixed form."""

from __future__ import annotations

import pytest

from yizhan.model import Mention, MiniProgram, Text
from yizhan.platforms.wechat_xml import compose_mini_program, emoji_words, parse_card, parse_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/::)", "[微笑]"),
        ("/::D/::D ok", "[呲牙][呲牙] ok"),
        ("/:,@-D/:,@x", "[愉快][嘘]"),
        ("/:8-)/:8*", "[得意][可怜]"),
        ("/:rose", "[玫瑰]"),
        ("/users/:version", "/users/:version"),
        ("https://example.org/a:b", "https://example.org/a:b"),
        ("[微笑]", "[微笑]"),
        ("", ""),
    ],
)
def test_an_emoji_code_becomes_the_word_that_wechat_shows(text: str, words: str) -> None:
    assert words == emoji_words(text)


def test_an_at_sign_in_an_emoji_code_is_no_mention() -> None:
    source = "<msgsource><atuserlist>wxid_bob</atuserlist></msgsource>"

    assert (Text("[发怒] "), Mention("wxid_bob", "Bob", own=True), Text("hi")) == parse_words(
        "/::@ @Bob\u2005hi", source, "wxid_bob"
    )


def test_the_username_of_a_mini_program_is_completed() -> None:
    (program,) = parse_card(compose_mini_program(MiniProgram("wx1", "gh_0a1b", "t"))).segments()

    assert isinstance(program, MiniProgram)
    assert "gh_0a1b@app" == program.username


@pytest.mark.parametrize(
    ("app_id", "username", "words"),
    [
        ("", "gh_1@app", "appid"),
        ("1234", "gh_1@app", "appid"),
        ("wx1", "", "gh_"),
        ("wx1", "wxid_bob", "gh_"),
        ("wx1", "gh_1@chatroom", "gh_"),
        ("wx1", "gh_@app", "gh_"),
    ],
)
def test_an_id_of_another_form_is_refused(app_id: str, username: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compose_mini_program(MiniProgram(app_id, username, "t"))
