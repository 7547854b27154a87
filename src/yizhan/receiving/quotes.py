"""Completes received quotes of which the wire gives only the id, from the stored event of the quoted message."""

from __future__ import annotations

import msgspec

from yizhan.model import Event, Forward, Quote, Segment
from yizhan.receiving.event_log import EventTable


async def with_quoted_content(event: Event, table: EventTable) -> Event:
    """Return `event` with the content of its quotes, as far as the quoted messages are stored."""
    message = event.message
    if message is None or not any(_is_bare(segment) for segment in message.segments):
        return event
    segments = tuple([await _completed(segment, event.account, table) for segment in message.segments])
    return msgspec.structs.replace(event, message=msgspec.structs.replace(message, segments=segments))


def _is_bare(segment: Segment) -> bool:
    return isinstance(segment, Quote) and bool(segment.message_id) and not (segment.text or segment.media)


async def _completed(segment: Segment, account: str, table: EventTable) -> Segment:
    if not isinstance(segment, Quote) or not _is_bare(segment):
        return segment
    quoted = await table.find(account, segment.message_id)
    if quoted is None or quoted.message is None:
        return segment
    return Quote(
        segment.message_id,
        quoted.message.text,
        segment.sender or quoted.sender,
        segment.sender_name or quoted.sender_name,
        segment.at or quoted.at,
        tuple(found for found in quoted.message.segments if isinstance(found, Forward)),
    )
