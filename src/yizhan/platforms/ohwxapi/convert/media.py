"""What the gateway takes of media, from the rules: everything else is made to fit before compose sees it. Pure."""

from __future__ import annotations

from yizhan.model import File, Image, Segment, Video, Voice
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.rules import Rules

AROUND = 1024
"""Bytes of a frame that are not the media in it: the command, the recipient, the shown name."""


def largest(rules: Rules, *, over_socket: bool) -> tuple[int, str]:
    """Return how many bytes one medium may have (0: any number) and the rule that says so.

    In a frame of the WebSocket it is Base64, four characters for three bytes.
    """
    limits = []
    if rules.limited and (most := rules.number("client.max_bytes")):
        limits.append((most, "client.max_bytes"))
    if over_socket:
        limits.append((max(1, (rules.number("socket.max_bytes") - AROUND) // 4 * 3), "socket.max_bytes"))
    return min(limits, default=(0, ""))


def media_rule(segment: Segment, rules: Rules, *, over_socket: bool = False) -> MediaRule | None:
    """Return what is taken of the media in `segment`; stickers go by their digest, so their bytes stay as they are."""
    most, _ = largest(rules, over_socket=over_socket)
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
