"""The media that web WeChat takes, by the rules; other media are converted before `compose` sees them. Pure."""

from __future__ import annotations

from dataclasses import replace

from yizhan.model import Image, Media, Segment, Sticker, Voice
from yizhan.platforms.kit.media_rules import MediaRule, rule_of, voice_as_file
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return the rule for the media of `segment`. Media too large for their kind may go as a file."""
    match segment:
        case Image(Media(format="gif") as media):
            # An animated picture goes as a sticker.
            return rule_of(Sticker(media), rules)
        case Image(Media() as media):
            still, moving = rule_of(segment, rules), rule_of(Sticker(media), rules)
            if still is not None and moving is not None:
                return replace(still, animated=moving.formats, animated_bytes=moving.bytes)
        case Voice():
            return voice_as_file(rules)
    return rule_of(segment, rules)
