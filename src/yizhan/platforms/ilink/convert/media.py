"""The media that iLink accepts, by the rules: others are converted before `compose` sees them. Pure."""

from __future__ import annotations

from yizhan.model import Segment, Voice
from yizhan.platforms.kit.media_rules import MediaRule, rule_of, voice_as_file
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return the rule for the media of `segment`. Voices go as files that open everywhere."""
    return voice_as_file(rules) if isinstance(segment, Voice) else rule_of(segment, rules)
