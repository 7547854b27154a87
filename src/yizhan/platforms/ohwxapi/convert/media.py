"""What the gateway takes of media, from the rules: everything else is made to fit before compose sees it. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Segment, Video, Voice
from yizhan.platforms.recipes import MediaRule
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return what is taken of the media in `segment`; stickers go by their digest, so their bytes stay as they are."""
    most = rules.number("client.max_bytes") if rules.limited else 0
    source = f"rules {rules.profile}"
    match segment:
        case Image():
            return MediaRule("image", rules.words("image.formats"), hard_bytes=most, as_file=True, source=source)
        case Video():
            return MediaRule("video", rules.words("video.formats"), hard_bytes=most, as_file=True, source=source)
        case Voice():
            seconds = rules.number("voice.seconds") if rules.limited else 0
            formats = rules.words("voice.formats")
            return MediaRule("voice", formats, hard_bytes=most, max_seconds=seconds, as_file=True, source=source)
        case File():
            return MediaRule("file", hard_bytes=most, source=source)
    return None
