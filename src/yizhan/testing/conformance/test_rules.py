"""The dated profiles of a platform's limits."""

from __future__ import annotations

from yizhan.platforms.spec import Platform


def test_every_profile_has_the_same_names(platform: Platform) -> None:
    usual = platform.rules()
    names = {profile: set(platform.rules(profile).all()) for profile in usual.profiles}

    assert all(found == names[usual.profile] for found in names.values()), names
    assert "limits" in names[usual.profile]


def test_limits_can_be_switched_off_by_one_rule(platform: Platform) -> None:
    assert platform.rules(overrides={"limits": False}).limited is False
