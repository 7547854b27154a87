"""Values for each person in the words of a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yizhan.broadcasts.placeholders import filled, names_in
from yizhan.errors import Refused
from yizhan.model import Link, Markdown, Mention, Message, Text


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Dear {name},", "Dear 张伟,"),
        ("{name}{name}", "张伟张伟"),
        ("{{name}}", "{name}"),
        ("{{{name}}}", "{张伟}"),
        ('{"a": 1}', '{"a": 1}'),
        ("{}", "{}"),
        ("{1}", "{1}"),
        ("{姓名}", "张先生"),
        ("f(x) {\n return 1 }", "f(x) {\n return 1 }"),
    ],
)
def test_a_placeholder_becomes_the_value_of_its_column(text: str, result: str) -> None:
    message = Message((Text(text),))

    assert Message((Text(result),)) == filled(message, {"name": "张伟", "姓名": "张先生"})


def test_all_words_of_a_message_have_placeholders() -> None:
    message = Message((Text("{a}"), Markdown("# {b}"), Link("https://x.example/{c}", "{d}", "{e}"), Mention("{f}")))

    assert ["a", "b", "c", "d", "e"] == names_in(message)
    assert "https://x.example/3" == filled(message, dict(zip("abcde", "12345", strict=True))).segments[2].url  # type: ignore[union-attr]


def test_a_placeholder_without_a_column_is_refused() -> None:
    with pytest.raises(Refused, match=r"says \{nmae\}, and there is no such column\. Columns: name, city\."):
        filled(Message((Text("{nmae}"),)), {"name": "x", "city": "y"})


@given(st.text())
def test_a_value_is_never_read_as_a_placeholder_again(value: str) -> None:
    assert value == filled(Message((Text("{name}"),)), {"name": value}).segments[0].text  # type: ignore[union-attr]
