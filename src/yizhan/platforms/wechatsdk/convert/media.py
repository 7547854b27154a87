"""What the local client takes of media, from the rules: everything else is made to fit before compose sees it. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Segment, Sticker, Video, Voice
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return what is taken of the media in `segment`. Sizes count only while the rules are in force."""
    source = f"rules {rules.profile}"

    def most(kind: str) -> int:
        return rules.number(f"{kind}.max_bytes") if rules.limited else 0

    match segment:
        case Image():
            return MediaRule(
                "image", rules.words("image.formats"), hard_bytes=most("image"), as_file=True, source=source
            )
        case Sticker():
            return MediaRule("image", rules.words("sticker.formats"), hard_bytes=most("sticker"), source=source)
        case Video():
            return MediaRule(
                "video", rules.words("video.formats"), hard_bytes=most("video"), as_file=True, source=source
            )
        case Voice():
            seconds = rules.number("voice.seconds") if rules.limited else 0
            formats, limit = rules.words("voice.formats"), most("file")
            return MediaRule("voice", formats, hard_bytes=limit, max_seconds=seconds, as_file=True, source=source)
        case File():
            return MediaRule("file", hard_bytes=most("file"), source=source)
    return None
