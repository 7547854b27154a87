"""The content of a received message as segments. Pure; content that cannot be read is kept as text."""

from __future__ import annotations

from collections.abc import Iterable

from yizhan.model import Mention, Quote, Segment, Text
from yizhan.platforms.wechat_xml import (
    mentioned_ids,
    parse_card,
    parse_contact,
    parse_media,
    parse_words,
    segments_with_media,
)
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.convert.reference import forward_of


def segments_of(message_type: int, content: str, source: str, own: str) -> tuple[Segment, ...]:
    """Return the segments of a message. `source`: its `<msgsource>`; `own`: the receiving account's id."""
    try:
        return _read(message_type, content, source, own)
    except ValueError:
        return (Text(content),) if content else ()


def addresses(segments: Iterable[Segment], source: str, own: str) -> bool:
    """Return whether a message mentions the account or everybody, or quotes the account."""
    return not {own, "all"}.isdisjoint(mentioned_ids(source)) or any(_is_about(segment, own) for segment in segments)


def _is_about(segment: Segment, own: str) -> bool:
    match segment:
        case Mention():
            return segment.own or segment.user == "all"
        case Quote():
            return bool(own) and segment.sender == own
    return False


def _read(message_type: int, content: str, source: str, own: str) -> tuple[Segment, ...]:
    match message_type:
        case wire.TYPE_TEXT:
            return parse_words(content, source, own)
        case wire.TYPE_CONTACT:
            return (parse_contact(content),)
        case wire.TYPE_LOCATION:
            return (Text(parse_media(content).location_text()),)
    forward = forward_of(message_type, content)
    if forward is not None:
        return (forward,)
    if message_type == wire.TYPE_CARD:
        return segments_with_media(parse_card(content), forward_of)
    return (Text(content),) if content else ()
