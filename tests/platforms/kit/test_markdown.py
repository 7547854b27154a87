"""Markdown as plain text, and in pieces that mean the same."""

from __future__ import annotations

import pytest

from yizhan.platforms.kit.markdown import plain_text, split_markdown


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Title\n\n**bold** and *italic* and `code`", "Title\n\nbold and italic and code"),
        ("[yizhan](https://example.com/a)", "yizhan (https://example.com/a)"),
        ("<https://example.com/a>", "https://example.com/a"),
        ("<me@example.com>", "me@example.com"),
        ("![a cat](https://example.com/c.png)", "a cat (https://example.com/c.png)"),
        ("- one\n- two\n  - inner\n- three", "- one\n- two\n  - inner\n- three"),
        ("3. three\n4. four", "3. three\n4. four"),
        ("> said\n> again", "> said\n> again"),
        ("```python\nif a < b:\n    pass\n```", "if a < b:\n    pass"),
        ("| 姓名 | 尺寸 |\n| :--- | ---: |\n| 张三 | S |", "姓名 | 尺寸\n张三 | S"),
        ("a\n\n---\n\nb", "a\n\n---\n\nb"),
        ("one  \ntwo\nthree", "one\ntwo\nthree"),
        ("<b>loud</b> &amp; ~~gone~~", "loud & gone"),
        ("", ""),
        ("5 * 3 * 2 = 30, a_b_c, 100%", "5 * 3 * 2 = 30, a_b_c, 100%"),
    ],
)
def test_markdown_reads_as_plain_text(markdown: str, text: str) -> None:
    assert text == plain_text(markdown)


def test_markdown_within_the_limit_stays_as_it_is() -> None:
    text = "# a\n\n\n\nb  \n"

    assert [text] == split_markdown(text, 100)


def test_markdown_is_cut_between_blocks() -> None:
    assert ["# one\n\nfirst", "# two\n\nsecond"] == split_markdown("# one\n\nfirst\n\n# two\n\nsecond", 16)


def test_a_code_block_is_closed_before_the_cut_and_opened_behind_it() -> None:
    pieces = split_markdown("```python\n" + "\n".join(f"line {n}" for n in range(10)) + "\n```", 45)

    assert all(piece.startswith("```python\n") and piece.endswith("\n```") for piece in pieces)
    assert [f"line {n}" for n in range(10)] == [l for p in pieces for l in p.split("\n")[1:-1]]  # noqa: E741
    assert all(len(piece) <= 45 for piece in pieces)


def test_a_table_keeps_its_head_on_every_piece() -> None:
    rows = [f"| {n} | {n * n} |" for n in range(8)]
    pieces = split_markdown("| n | square |\n| --- | --- |\n" + "\n".join(rows), 60)

    assert all(piece.startswith("| n | square |\n| --- | --- |\n") for piece in pieces)
    assert rows == [line for piece in pieces for line in piece.split("\n")[2:]]


def test_a_list_is_cut_between_its_items() -> None:
    pieces = split_markdown("\n".join(f"- item {n}" for n in range(6)), 20)

    assert all(piece.startswith("- item") for piece in pieces)
    assert [f"- item {n}" for n in range(6)] == [line for piece in pieces for line in piece.split("\n") if line]


def test_a_line_over_the_limit_is_cut_like_plain_text_and_counts_bytes() -> None:
    pieces = split_markdown("天" * 100, max_bytes=50)

    assert all(len(piece.encode()) <= 50 for piece in pieces)
    assert "天" * 100 == "".join(pieces)
