"""Media inside of cards: those of the message that a quote answers, and those of the lines of a chat record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from yizhan.model import Card as CardSegment
from yizhan.model import CardLine, Forward, Quote, Segment
from yizhan.platforms.wechat_xml.parse import CHAT_RECORD, Card
from yizhan.platforms.wechat_xml.record import RecordItem, record_items

ForwardOf: TypeAlias = Callable[[int, str], Forward | None]
"""Returns the media of a message by its type and content; None if it has none. Raises ValueError if it is broken."""


def segments_with_media(card: Card, forward_of: ForwardOf) -> tuple[Segment, ...]:
    """Return the segments of `card`; its media stand as a platform's own `Forward`."""
    return tuple(_with_media(segment, card, forward_of) for segment in card.segments(as_cards=True))


def _with_media(segment: Segment, card: Card, forward_of: ForwardOf) -> Segment:
    match segment:
        case Quote():
            media = _forward(card.quoted(), forward_of)
            return msgspec.structs.replace(segment, media=(media,)) if media else segment
        case CardSegment() if card.type == CHAT_RECORD:
            lines = tuple(_line(item, forward_of) for item in record_items(card.root))
            return msgspec.structs.replace(segment, lines=lines)
    return segment


def _line(item: RecordItem, forward_of: ForwardOf) -> CardLine:
    media = _forward(item.as_message(), forward_of)
    return msgspec.structs.replace(item.line, media=media) if media else item.line


def _forward(message: tuple[int, str] | None, forward_of: ForwardOf) -> Forward | None:
    if message is None:
        return None
    try:
        return forward_of(*message)
    except ValueError:
        return None
