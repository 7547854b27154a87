"""File names that are safe to show, to store and to send."""

from __future__ import annotations

import pytest

from yizhan.model import File, Media, Target, message_of
from yizhan.platforms.spec import platform_named
from yizhan.testing.conformance.samples import adapter_of
from yizhan.wire.filename import MAX_NAME_BYTES, changed_name_note, safe_name

FAMILY = "👨‍👩‍👧"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("员工手册.pdf", "员工手册.pdf"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("a\u061cb\u2028c.txt", "abc.txt"),
        ("a\x00b\x1f\x9f.txt", "ab.txt"),
        ("a<b>:c?.txt", "a_b__c_.txt"),
        ("..\\..\\a.txt", "a.txt"),
        ("nul.txt", "_nul.txt"),
        ("\u202e", "file"),
    ],
)
def test_a_name_loses_dangerous_characters_only(name: str, safe: str) -> None:
    assert safe == safe_name(name)


@pytest.mark.parametrize("grapheme", ["é", FAMILY, "🇨🇳", "한", "字"])
def test_a_long_name_is_cut_between_graphemes_and_keeps_its_extension(grapheme: str) -> None:
    for lead in ("", "x", "xy", "xyz"):
        cut = safe_name(f"{lead}{grapheme * 120}.pdf")

        stem = cut.removesuffix(".pdf").removeprefix(lead)
        assert cut.endswith(".pdf")
        assert stem == grapheme * (len(stem) // len(grapheme))
        assert MAX_NAME_BYTES - 40 < len(cut.encode()) <= MAX_NAME_BYTES


def test_a_changed_name_is_reported_and_an_unchanged_one_is_not() -> None:
    assert "The name 'a:b' was changed to 'a_b'." == changed_name_note("a:b", "a_b")
    assert "" == changed_name_note("a", "a")


@pytest.mark.parametrize("platform", ["wechatsdk", "ohwxapi", "webwechat", "ilink", "qqbot", "wecom"])
async def test_the_receipt_says_when_a_wire_cannot_carry_a_name(platform: str) -> None:
    adapter = adapter_of(platform_named(platform))
    media = Media("ab" * 32, "cd" * 16, 1, 4000, "file", "application/pdf", "pdf")
    target = Target(f"{platform}.main", *(("group", "me") if platform == "wecom" else ("user", "someone")))

    names = ("a:b.pdf", "a.pdf", "gpj.\u202efdp.pdf", f"{FAMILY * 40}.pdf")
    changed, unchanged, turned, long = [adapter.compose(message_of(File(media, name)), target)[0] for name in names]

    await adapter.close()
    assert "The name 'a:b.pdf' was changed to 'a_b.pdf'." == changed.note
    assert "" == unchanged.note
    assert turned.note.endswith("was changed to 'gpj.fdp.pdf'.")
    assert "was changed to" in long.note
