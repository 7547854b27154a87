"""The media that web WeChat takes, by the rules; other media are converted before `compose` sees them. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Media, Segment, Sticker, Video, Voice
from yizhan.platforms.kit.media_rules import PLAIN_SOUNDS, MediaRule
from yizhan.platforms.rules import Rules


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return the rule for the media of `segment`. Media too large for their kind may go as a file."""
    most, source = rules.number("file.max_bytes"), f"rules {rules.profile}"
    match segment:
        case Sticker() | Image(Media(format="gif")):
            limit = rules.number("sticker.max_bytes")
            return MediaRule("image", rules.words("sticker.formats"), limit, most, as_file=True, source=source)
        case Image():
            limit = rules.number("image.max_bytes")
            return MediaRule("image", rules.words("image.formats"), limit, most, as_file=True, source=source)
        case Video():
            limit = rules.number("video.max_bytes")
            return MediaRule("video", rules.words("video.formats"), limit, most, as_file=True, source=source)
        case Voice():
            # Voice messages go as files, so a format that only WeChat plays becomes one that opens anywhere.
            return MediaRule("voice", PLAIN_SOUNDS, hard_bytes=most, as_file=True, source=source)
        case File():
            return MediaRule("file", hard_bytes=most, source=source)
    return None
