"""Media of a message on their way into the library: examined first, so that a refused message copies no file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from yizhan.model import (
    File,
    Image,
    Kind,
    Media,
    MediaSegment,
    Message,
    MiniProgram,
    Segment,
    Sticker,
    Target,
    Video,
    Voice,
)
from yizhan.platforms.kit.media_rules import MediaRule, choose

if TYPE_CHECKING:
    from yizhan.media.library import Library

_KIND_OF: dict[type[Any], Kind] = {
    Image: "image",
    Video: "video",
    Voice: "voice",
    File: "file",
    Sticker: "image",
    MiniProgram: "image",
}


RuleOf = Callable[[Segment, Target], MediaRule | None]
"""Returns the platform's rule for a segment's media; None if it takes them unchanged."""


class Adds(Protocol):
    """Adds media: the library, or an intake of it."""

    async def add(self, source: Any, name: str | None = None, kind: Kind | None = None) -> Media: ...


async def taken_in(message: Message, library: Adds) -> Message:
    """Return `message` with every path, bytes or stream in it replaced by media of the library.

    Raises:
        MediaFormat: empty, unreadable, or not of the kind that its segment says.
    """
    segments = [
        _with_media(segment, await library.add(segment.media, _name(segment), _KIND_OF[type(segment)]))
        if isinstance(segment, MediaSegment) and segment.media is not None
        else segment
        for segment in message.segments
    ]
    return Message(tuple(segments), message.reply)


async def examined(message: Message, library: Library) -> Message | None:
    """Return `message` with the media that its files would become, with zeros for digests, without copying.

    None if nothing is to be copied, or a stream or a download can be read only once.

    Raises:
        MediaFormat: empty, unreadable, or not of the kind that its segment says.
    """
    segments: list[Segment] = []
    copies = False
    for segment in message.segments:
        if not isinstance(segment, MediaSegment) or segment.media is None:
            segments.append(segment)
            continue
        copies |= not isinstance(segment.media, Media)
        media = await library.examine(segment.media, _name(segment), _KIND_OF[type(segment)])
        if media is None:
            return None
        segments.append(_with_media(segment, media))
    return Message(tuple(segments), message.reply) if copies else None


def unconverted(message: Message, target: Target, rule_of: RuleOf) -> Message | None:
    """Return an examined message as a platform would be given it; None if some of its media must be converted first.

    Raises:
        MediaFormat, MediaTooLarge: some media cannot be made to fit.
    """
    segments: list[Segment] = []
    converts = False
    for segment in message.segments:
        rule = rule_of(segment, target) if isinstance(segment, MediaSegment) else None
        media = getattr(segment, "media", None)
        if rule is None or not isinstance(media, Media):
            segments.append(segment)
            continue
        choice = choose(media, rule)
        converts |= bool(choice.recipe)
        as_file = choice.kind == "file" and not isinstance(segment, File)
        segments.append(File(media, _name(segment) or media.name) if as_file else segment)
    return None if converts else Message(tuple(segments), message.reply)


def _name(segment: Segment) -> str | None:
    return getattr(segment, "name", "") or None


def _with_media(segment: Any, media: Media) -> Segment:
    named = {"name": media.name} if getattr(segment, "name", None) == "" else {}
    changed: Segment = msgspec.structs.replace(segment, media=media, **named)
    return changed
