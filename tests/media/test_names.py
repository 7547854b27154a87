"""Names as people wrote them, without what could do harm."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yizhan.media.names import clean_name, cut_name, named_as


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("报告 2026(最终版).pdf", "报告 2026(最终版).pdf"),
        ("👩‍👩‍👧 family.jpg", "👩‍👩‍👧 family.jpg"),
        ('odd <>:"|?*.txt', 'odd <>:"|?*.txt'),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32\\cmd.exe", "cmd.exe"),
        ("C:\\Users\\张伟\\图.png", "图.png"),
        ("/", ""),
        ("..", ""),
        (". . .", ""),
        ("folder/", "folder"),
        ("a\x00b\r\nc\x7f.txt", "abc.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\ufeffname.txt", "name.txt"),
        ("\ud800half.txt", "half.txt"),
        ("报告.pdf".encode("gbk").decode("utf-8", "surrogateescape"), "报告.pdf"),
        ("  spaces .txt ", "spaces .txt"),
        (".gitignore", ".gitignore"),
        ("", ""),
    ],
)
def test_only_the_last_component_without_control_characters_is_kept(given_name: str, kept: str) -> None:
    assert kept == clean_name(given_name)


def test_a_long_name_is_cut_before_its_extension() -> None:
    name = clean_name("很长" * 200 + ".docx")

    assert name.startswith("很长很长")
    assert name.endswith(".docx")
    assert 250 < len(name.encode()) <= 255


def test_a_cut_leaves_no_joiner_at_the_end_and_no_letter_without_its_marks() -> None:
    assert "ab" == cut_name("ab👩\u200d👩\u200d👧", len("ab👩\u200d".encode()))
    assert "ab🇨🇳.pdf" == cut_name("ab🇨🇳🇨🇳.pdf", len("ab🇨🇳🇨.pdf".encode()))
    assert "caf" == cut_name("cafe\u0301", 4)


@given(st.text(max_size=400), st.integers(min_value=8, max_value=255))
def test_no_name_comes_out_with_a_path_or_control_characters_or_too_long(name: str, limit: int) -> None:
    kept = clean_name(name, limit)

    assert len(kept.encode()) <= limit
    assert not set("/\\\x00") & set(kept)
    assert kept not in (".", "..")
    assert not [c for c in kept if unicodedata.category(c) == "Cc"]
    assert kept == clean_name(kept, limit)


@pytest.mark.parametrize(
    ("given_name", "form", "name"),
    [
        ("a.webp", "jpeg", "a.jpg"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("a.tiff", "png", "a.png"),
        ("a.png", "apng", "a.png"),
        ("report v1.2 final", "jpeg", "report v1.2 final.jpg"),
        ("no extension", "silk", "no extension.silk"),
        ("", "jpeg", ""),
        ("a.bin", "", "a.bin"),
    ],
)
def test_a_converted_file_has_an_extension_of_its_format(given_name: str, form: str, name: str) -> None:
    assert name == named_as(given_name, form)
