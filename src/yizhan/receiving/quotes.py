"""Completes received quotes of which the wire gives only the id or the time, from the stored event of the message."""

from __future__ import annotations

import msgspec

from yizhan.model import Event, Forward, Quote, Segment
from yizhan.receiving.event_log import EventTable


async def with_quoted_content(event: Event, table: EventTable) -> Event:
    """Return `event` with the content of its quotes, as far as the quoted messages are stored."""
    message = event.message
    if message is None or not any(_is_bare(segment) for segment in message.segments):
        return event
    segments = tuple([await _completed(segment, event, table) for segment in message.segments])
    return msgspec.structs.replace(event, message=msgspec.structs.replace(message, segments=segments))


def _is_bare(segment: Segment) -> bool:
    return isinstance(segment, Quote) and bool(segment.message_id or segment.at) and not (segment.text or segment.media)


async def _completed(segment: Segment, event: Event, table: EventTable) -> Segment:
    if not isinstance(segment, Quote) or not _is_bare(segment):
        return segment
    quoted = await _quoted(segment, event, table)
    if quoted is None or quoted.message is None:
        return segment
    return Quote(
        segment.message_id or quoted.id,
        quoted.message.text,
        segment.sender or quoted.sender,
        segment.sender_name or quoted.sender_name,
        segment.at or quoted.at,
        tuple(found for found in quoted.message.segments if isinstance(found, Forward)),
    )


async def _quoted(quote: Quote, event: Event, table: EventTable) -> Event | None:
    if quote.message_id:
        return await table.find(event.account, quote.message_id)
    return await table.find_at(event.target, quote.at) if event.target is not None else None
