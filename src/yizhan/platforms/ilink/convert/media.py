"""What iLink takes of media, from the rules: everything else is made to fit before compose sees it. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Segment, Video, Voice
from yizhan.platforms.kit.media_rules import PLAIN_SOUNDS, MediaRule
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return what is taken of the media in `segment`: everything else is made to fit before compose sees it."""
    most, source = rules.number("media.max_bytes"), f"rules {rules.profile}"
    match segment:
        case Image():
            return MediaRule("image", rules.words("image.formats"), hard_bytes=most, as_file=True, source=source)
        case Video():
            return MediaRule("video", rules.words("video.formats"), hard_bytes=most, as_file=True, source=source)
        case Voice():
            # Voices go as files here; what only WeChat itself plays is made into something that opens.
            return MediaRule("voice", PLAIN_SOUNDS, hard_bytes=most, as_file=True, source=source)
        case File():
            return MediaRule("file", hard_bytes=most, source=source)
    return None
