"""The conversion of media, chosen by their properties. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yizhan.errors import MediaFormat, MediaTooLarge, Refused, Unsupported
from yizhan.model import File, Image, Media, MiniProgram, Sticker, Text, Video, Voice
from yizhan.platforms.kit.media_rules import MAX_RECIPE, Choice, MediaRule, Recipe, choose, recipe, rule_of
from yizhan.platforms.rules import Rules


def media(kind: Any, form: str, size: int = 1000, **more: Any) -> Media:
    return Media("0" * 64, "", 0, size, kind, f"x/{form}", form, name=f"a.{form}", **more)


IMAGE = MediaRule("image", ("jpeg", "png"), soft_bytes=5000, max_bytes=9000, max_side=4096, source="rules 2026")
STICKER = MediaRule("image", ("gif",), max_bytes=5000)
SILK = MediaRule("voice", ("silk",), max_bytes=9000, max_seconds=60)
VOICE = MediaRule("voice", ("ogg", "wav", "mp3"), max_bytes=9000)
VIDEO = MediaRule("video", ("mp4",), max_bytes=9000, max_seconds=100)
FILE = MediaRule("file", max_bytes=9000)

CHOICES: list[tuple[Media, MediaRule, str]] = [
    (media("image", "jpeg"), IMAGE, ""),
    (media("image", "png", width=4096, height=10), IMAGE, ""),
    (media("image", "png", width=4097, height=10), IMAGE, "image;bytes=5000;formats=jpeg+png;side=4096"),
    (media("image", "jpeg", 5001), IMAGE, "image;bytes=5000;formats=jpeg+png;side=4096"),
    (media("image", "heic"), IMAGE, "image;bytes=5000;formats=jpeg+png;side=4096"),
    (media("image", "webp"), STICKER, "image;bytes=5000;formats=gif"),
    (media("image", "gif"), STICKER, ""),
    (media("image", "bmp"), MediaRule("image"), ""),
    (media("voice", "silk", duration_ms=60_000), SILK, ""),
    (media("voice", "silk3"), SILK, "voice;bytes=9000;format=silk;rate=24000;seconds=60"),
    (media("voice", "mp3", 500_000), SILK, "voice;bytes=9000;format=silk;rate=24000;seconds=60"),
    (media("voice", "wav", 9001), VOICE, "voice;bytes=9000;format=mp3"),
    (media("voice", "amr"), VOICE, "voice;bytes=9000;format=mp3"),
    (media("voice", "amr"), MediaRule("voice"), ""),
    (media("video", "mp4"), VIDEO, "mp4;bytes=9000;seconds=100"),
    (media("video", "mov"), VIDEO, "mp4;bytes=9000;seconds=100"),
    (media("file", "pdf", 9000), FILE, ""),
    (media("image", "png", 9000), FILE, ""),
]


@pytest.mark.parametrize(("given_media", "rule", "text"), CHOICES)
def test_the_recipe_follows_from_the_rule(given_media: Media, rule: MediaRule, text: str) -> None:
    assert Choice(text, rule.kind) == choose(given_media, rule)


REFUSED: list[tuple[Media, MediaRule, type[Refused], str]] = [
    (media("video", "mp4"), IMAGE, MediaFormat, "taken are jpeg, png (image.formats, rules 2026)"),
    (media("voice", "mp3"), VIDEO, MediaFormat, "Give a video"),
    (media("file", "pdf"), SILK, MediaFormat, "Give a sound"),
    (media("image", "png"), MediaRule("image", ("webp",)), MediaFormat, "Convert it"),
    (media("voice", "mp3"), MediaRule("voice", ("speex",)), MediaFormat, "Convert it"),
    (media("video", "mp4"), MediaRule("video", ("flv",)), MediaFormat, "Convert it"),
    (media("voice", "silk", duration_ms=60_001), SILK, MediaTooLarge, "at most 60 s go as a voice (voice.seconds)"),
    (media("video", "mp4", duration_ms=100_001), VIDEO, MediaTooLarge, "at most 100 s"),
    (media("file", "pdf", 9001), FILE, MediaTooLarge, "over the 9000 bytes"),
    (media("file", "exe"), MediaRule("file", ("pdf",)), MediaFormat, "Pack it"),
]


@pytest.mark.parametrize(("given_media", "rule", "kind", "words"), REFUSED)
def test_media_that_cannot_fit_are_refused_with_limit_and_remedy(
    given_media: Media, rule: MediaRule, kind: type[Refused], words: str
) -> None:
    with pytest.raises(kind) as caught:
        choose(given_media, rule)

    assert words in str(caught.value)


def test_media_that_do_not_fit_may_go_as_a_file_with_a_note() -> None:
    rule = MediaRule("voice", ("silk",), max_seconds=60, as_file=True)
    choice = choose(media("voice", "mp3", duration_ms=90_000), rule)

    assert ("", "file") == (choice.recipe, choice.kind)
    assert "sent as a plain file: 'a.mp3' (mp3, 1000 bytes) lasts 90.0 s" in choice.note


def test_over_the_hard_limit_nothing_goes_as_a_file_either() -> None:
    rule = MediaRule("voice", ("silk",), max_seconds=60, max_bytes=500, as_file=True)
    with pytest.raises(MediaTooLarge):
        choose(media("voice", "mp3", duration_ms=90_000), rule)


def test_a_rule_is_read_from_the_platform_s_rules() -> None:
    values = {"image.formats": ["png"], "image.soft_bytes": 5, "image.max_bytes": 9, "voice.max_bytes": 7}
    rules = Rules(str(Path("x")), "2026", {**values, "voice.seconds": 60, "voice.rate": 16000})

    assert MediaRule("image", ("png",), 5, 9, source="rules 2026") == MediaRule.of(rules, "image")
    assert MediaRule("voice", (), 0, 7, 0, 60, 16000, True, "rules 2026") == MediaRule.of(rules, "voice", as_file=True)


def test_the_rule_of_a_segment_is_named_by_its_kind_and_larger_media_may_go_as_a_file() -> None:
    values = {
        "image.formats": ["png"],
        "image.max_bytes": 9,
        "sticker.formats": ["gif"],
        "voice.min_bytes": 6,
        "file.max_bytes": 20,
    }
    rules, lifted = Rules("x", "2026", values), Rules("x", "2026", {**values, "limits": False})
    source = "rules 2026"

    image = Image(media("image", "png"))
    assert MediaRule("image", ("png",), 9, 20, as_file=True, source=source) == rule_of(image, rules)
    sticker = MediaRule("image", ("gif",), 0, 20, as_file=True, source=source, name="sticker")
    assert sticker == rule_of(Sticker(), rules)
    assert MediaRule("voice", (), 0, 20, as_file=True, source=source, min_bytes=6) == rule_of(Voice("x"), rules)
    assert MediaRule("file", (), 0, 20, source=source) == rule_of(File("x"), rules)
    assert MediaRule("image", ("png",), as_file=True, source=source) == rule_of(image, lifted)
    assert rule_of(Video("x"), rules) is None
    assert rule_of(Text("x"), rules) is None


def test_a_cover_of_another_kind_is_refused_by_its_own_rule_and_never_goes_as_a_file() -> None:
    rules = Rules("x", "2026", {"cover.formats": ["jpeg"], "file.max_bytes": 20})
    rule = rule_of(MiniProgram("wx1", "gh_1", "t"), rules)

    assert rule is not None
    with pytest.raises(MediaFormat, match=r"cannot go as cover; taken are jpeg \(cover\.formats, rules 2026\)"):
        choose(media("file", "pdf", size=9), rule)


def test_media_below_the_least_size_are_refused_also_as_a_file() -> None:
    rule = MediaRule("voice", ("amr",), min_bytes=6, as_file=True, source="rules 2026")

    with pytest.raises(MediaFormat, match=r"3 bytes\) is too small: 6 bytes .*voice\.min_bytes, rules 2026"):
        choose(media("voice", "amr", size=3), rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "imgae",
        "image;",
        "image;bytes",
        "image;bytes=",
        "image;bytes=-1",
        "image;bytes=1e9",
        "mp4;formats=x",
        "voice;bytes=²",
    ],
)
def test_a_text_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        Recipe.parse(text)


def test_close_names_are_named() -> None:
    with pytest.raises(Unsupported, match="Did you mean image"):
        Recipe.parse("imgae;bytes=1")


def test_options_stand_in_one_order_so_that_equal_recipes_are_equal_texts() -> None:
    assert recipe("image", side=9, bytes=0, formats=("png", "gif")) == "image;formats=png+gif;side=9"
    assert str(Recipe.parse("image;side=9;bytes=8")) == str(Recipe.parse("image;bytes=8;side=9"))


_FORMATS = st.sampled_from(
    ["png", "jpeg", "gif", "webp", "heic", "silk", "silk3", "mp3", "wav", "ogg", "mp4", "mov", "pdf", ""]
)
_KINDS = st.sampled_from(["image", "voice", "video", "file"])
_LIMITS = st.sampled_from([0, 1, 1000, 10**6, 10**12])


@given(
    _KINDS,
    _FORMATS,
    st.integers(1, 10**12),
    st.integers(0, 10**9),
    st.integers(0, 10**5),
    st.builds(
        MediaRule,
        kind=_KINDS,
        formats=st.lists(_FORMATS.filter(bool), unique=True, max_size=4).map(tuple),
        soft_bytes=_LIMITS,
        max_bytes=_LIMITS,
        max_side=st.sampled_from([0, 100, 4096]),
        max_seconds=st.sampled_from([0, 60]),
        as_file=st.booleans(),
    ),
)
def test_every_choice_either_fits_names_a_readable_recipe_or_is_refused(
    kind: Any, form: str, size: int, duration: int, side: int, rule: MediaRule
) -> None:
    given_media = media(kind, form, size, duration_ms=duration, width=side, height=side)
    try:
        choice = choose(given_media, rule)
    except (MediaFormat, MediaTooLarge):
        return

    assert choice == choose(given_media, rule)
    assert len(choice.recipe) <= MAX_RECIPE
    if choice.recipe:
        assert choice.recipe == str(Recipe.parse(choice.recipe))
    elif choice.kind == rule.kind and rule.kind != "file":
        assert not rule.formats or form in rule.formats
        assert not rule.bytes or size <= rule.bytes
    assert bool(choice.note) == (choice.kind != rule.kind)
