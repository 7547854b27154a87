"""Media rules of the platform: media are converted to fit, or refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.model import File, Image, Kind, Media, Segment, Sticker, Target, Video, Voice
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.qqbot.wire import SCENES
from yizhan.platforms.rules import Rules
from yizhan.wire.filename import safe_name

_KINDS: Mapping[type[Segment], Kind] = {
    Image: "image",
    Sticker: "image",
    Video: "video",
    Voice: "voice",
    File: "file",
}


def media_rule(segment: Segment, target: Target, rules: Rules) -> MediaRule | None:
    """Return the rule for the media in `segment`; None where compose refuses the segment as such."""
    kind = _KINDS.get(type(segment))
    source = f"rules {rules.profile}"
    if kind is None or (kind != "image" and target.kind not in SCENES):
        return None
    formats = rules.words(f"{kind}.formats")
    if target.kind not in SCENES:
        return MediaRule(kind, formats, max_bytes=rules.number("guild.image_max_bytes"), source=source)
    # Sizes hold also while the rules are lifted: that lifts quotas and windows, and the platform keeps the sizes.
    return MediaRule(
        kind,
        formats,
        rules.number(f"{kind}.soft_bytes"),
        rules.number(f"{kind}.max_bytes"),
        as_file=kind != "file" and bool(rules["file.allowed"]),
        source=source,
    )


def check_open(kind: str, rules: Rules) -> None:
    """Raise Unsupported for a plain file where the platform carries none yet."""
    if kind == "file" and not rules["file.allowed"]:
        raise Unsupported(
            f"QQ carries no plain files yet (rule file.allowed, profile {rules.profile}). "
            "Send a picture or a video, or a link as text."
        )


def check_media(media: Media, kind: str, rules: Rules) -> str:
    """Return a remark for the receipt if `media` sent as `kind` will be shown as a plain file, else "".

    Raises:
        MediaFormat: it is empty, or of a format that the platform does not take.
        MediaTooLarge: it is over the hard limit.
    """
    if media.size == 0:
        raise MediaFormat(f"'{media.name or media.sha256[:12]}' is empty. QQ takes no empty files.")
    formats = rules.words(f"{kind}.formats")
    if formats and media.format not in formats:
        raise MediaFormat(
            f"QQ takes {kind} files as {', '.join(formats)}; this one is {media.format or 'not recognized'} "
            f"(rule {kind}.formats, profile {rules.profile}). Convert it, or send it with File(…)."
        )
    hard, soft = rules.number(f"{kind}.max_bytes"), rules.number(f"{kind}.soft_bytes")
    if hard and media.size > hard:
        raise MediaTooLarge(
            f"The {kind} has {size_text(media.size)}, QQ takes at most {size_text(hard)} "
            f"(rule {kind}.max_bytes, profile {rules.profile}). Make it smaller, or send a link."
        )
    if soft and media.size > soft:
        return (
            f"over {size_text(soft)} QQ shows a {kind} as a plain file (rule {kind}.soft_bytes, "
            f"profile {rules.profile}); this one has {size_text(media.size)}"
        )
    return ""


def segment_name(segment: Image | Video | Voice | File, media: Media) -> str:
    """Return the name that people see: the segment's, else that of the media, else one made of the digest."""
    return segment.name or media.name or f"{media.sha256[:12]}.{media.format or 'bin'}"


def carried_name(name: str) -> tuple[str, str]:
    """Return the name that goes with an upload, and a remark for the receipt if it is not the given one."""
    carried = safe_name(re.sub(r"[/\\]", "_", name))
    return carried, f"The name '{name[:80]}' was changed to '{carried[:80]}'." if carried != name else ""


def size_text(size: int) -> str:
    """Return a size as people read it: 1.2 MB, 640 bytes. MB are 2^20 bytes, as everywhere in the rules."""
    for unit, step in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"
