"""Limits as dated data: profiles, inheritance, overrides, and the error for a wrong name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yizhan.errors import ConfigError
from yizhan.platforms.rules import Rules

TEXT = """
default = "2026-09"

[profile."2026-09"]
title = "as documented in September 2026"
since = 2026-08-10
limits = true
image = { max_bytes = 1000, formats = ["png", "jpg"] }
passive.user = { seconds = 3600, count = 4 }
ratio = 1.5
strict = false
word = "x"

[profile."2025-04"]
base = "2026-09"
passive.user.count = 5

[profile."2024-01"]
base = "2025-04"
limits = false
image.formats = ["png"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(TEXT)
    return path


def test_the_default_profile_is_flat_and_has_no_words_about_itself(file: Path) -> None:
    rules = Rules.load(file)

    assert "2026-09" == rules.profile
    assert {
        "limits": True,
        "image.max_bytes": 1000,
        "image.formats": ["png", "jpg"],
        "passive.user.seconds": 3600,
        "passive.user.count": 4,
        "ratio": 1.5,
        "strict": False,
        "word": "x",
    } == rules.all()


def test_a_profile_inherits_the_rules_that_it_does_not_name(file: Path) -> None:
    older, oldest = Rules.load(file, "2025-04"), Rules.load(file, "2024-01")

    assert (5, 3600, True) == (older["passive.user.count"], older["passive.user.seconds"], older.limited)
    assert (5, False, ("png",)) == (oldest.number("passive.user.count"), oldest.limited, oldest.words("image.formats"))
    assert ("2026-09", "2025-04", "2024-01") == oldest.profiles


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image.max_bytes", 5),
        ("ratio", 2),
        ("image.max_bytes", 2.5),
        ("strict", True),
        ("word", "y"),
        ("limits", False),
    ],
)
def test_a_number_can_be_overridden_and_the_rest_stays(file: Path, name: str, value: Any) -> None:
    before = Rules.load(file)
    after = before.overridden({name: value})

    assert value == after[name]
    assert {**before.all(), name: value} == after.all()
    assert Rules.load(file, overrides={name: value}).all() == after.all()
    assert value != before[name]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("image.maxbytes", 5, "no rule 'image.maxbytes'. Did you mean image.max_bytes"),
        ("image.max_bytes", "5", "takes int, such as 1000, not '5'"),
        ("image.max_bytes", True, "takes int"),
        ("strict", 1, "takes bool"),
        ("word", 1, "takes str"),
        ("image.formats", "png", "takes list"),
        ("image.max_bytes", None, "takes int"),
    ],
)
def test_a_wrong_override_is_refused_with_the_expected_kind(file: Path, name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Rules.load(file).overridden({name: value})
    assert words in str(caught.value)


def test_unknown_profiles_and_rules_are_named_with_close_ones(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profile '2026-9'\. Did you mean 2026-09"):
        Rules.load(file, "2026-9")
    with pytest.raises(ConfigError, match=r"profile '2026-09' has no rule 'passive.user'. Did you mean passive\.user"):
        Rules.load(file)["passive.user"]
    assert Rules.load(file).get("nothing") is None
    assert 7 == Rules.load(file).get("nothing", 7)


def test_a_returned_value_cannot_change_the_rules(file: Path) -> None:
    rules = Rules.load(file)
    rules.all()["limits"] = False

    assert rules.limited
