"""What the platform takes of media, from the rules: everything else is made to fit before compose sees it. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Segment, Sticker, Target, Video, Voice
from yizhan.platforms.qqbot.convert.compose import GUILD_KINDS
from yizhan.platforms.recipes import MediaRule
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, target: Target, rules: Rules) -> MediaRule | None:
    """Return what `target` takes of the media in `segment`; None where compose refuses the segment as such."""
    match segment:
        case Image() | Sticker() if target.kind in GUILD_KINDS:
            formats, most = rules.words("image.formats"), rules.number("guild.image_max_bytes")
            return MediaRule("image", formats, hard_bytes=most, source=f"rules {rules.profile}")
        case Image() | Sticker():
            return MediaRule.of(rules, "image", as_file=True)
        case Video() if target.kind not in GUILD_KINDS:
            return MediaRule.of(rules, "video", as_file=True)
        case Voice() if target.kind not in GUILD_KINDS:
            return MediaRule.of(rules, "voice", as_file=True)
        case File() if target.kind not in GUILD_KINDS:
            return MediaRule.of(rules, "file")
    return None
