"""The content of a received message to segments. Pure, and lenient: no broken element costs the message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from yizhan.model import Card, CardLine, Forward, Quote, Segment, Text
from yizhan.platforms.qqbot.convert.markup import segments_of, words_of
from yizhan.platforms.qqbot.wire import events

T = TypeVar("T")

CHAT_RECORD, QUOTE = 102, 103
"""`message_type` of a chat record, and of a message that quotes another."""
_TITLES = ("title", "metaTitle", "meta_title", "subject")
_DESCRIPTIONS = ("desc", "description", "metaSubTitle", "summary", "content")
_ADDRESSES = ("url", "jumpUrl", "jump_url", "link", "qqdocurl", "musicUrl")


def scene_segments(message: events.C2CMessage | events.GroupMessage, own_id: str) -> list[Segment]:
    """Return the segments of a message to a bot or in a group: the quote, the text, cards, media."""
    segments: list[Segment] = []
    elements = [found for raw in message.msg_elements if (found := read_leniently(raw, events.Element))]
    if message.message_type == QUOTE or (message.message_scene and message.message_scene.value("ref_msg_idx")):
        segments.append(_quote(elements, message.message_scene))
    mentions = message.mentions if isinstance(message, events.GroupMessage) else ()
    segments += segments_of(message.content, mentions, own_id)
    if message.message_type == CHAT_RECORD and elements:
        segments.append(_chat_record(elements, message.ark_data))
    elif message.ark_data is not None:
        segments.append(_card(message.ark_data))
    segments += [attachment_forward(attachment) for attachment in message.attachments]
    return segments or [Text("")]


def guild_segments(message: events.ChannelMessage, own_id: str) -> list[Segment]:
    """Return the segments of a message in a channel or a guild's direct message."""
    reference = message.message_reference
    segments: list[Segment] = [Quote(reference.message_id)] if reference and reference.message_id else []
    segments += segments_of(message.content, message.mentions, own_id, escaped=True)
    segments += [attachment_forward(attachment) for attachment in message.attachments]
    return segments or [Text("")]


def attachment_forward(attachment: events.Attachment) -> Forward:
    url = attachment.url if "://" in attachment.url else f"https://{attachment.url.lstrip('/')}"
    return Forward(
        _kind(attachment.content_type),
        msgspec.to_builtins(attachment) | {"url": url},
        attachment.filename,
        size=max(0, attachment.size),
        width=max(0, attachment.width),
        height=max(0, attachment.height),
        transcript=attachment.asr_refer_text,
    )


def _kind(content_type: str) -> str:
    family = content_type.partition("/")[0]
    return {"image": "image", "video": "video", "voice": "voice", "audio": "voice"}.get(family, "file")


def _quote(elements: list[events.Element], scene: events.MessageScene | None) -> Quote:
    named = scene.value("ref_msg_idx") if scene else ""
    element = _quoted(elements, named)
    author = element.author
    return Quote(
        named or element.msg_idx,
        _element_text(element),
        author.id or author.member_openid or author.user_openid,
        author.username,
        events.clock_seconds(element.timestamp) if element.timestamp else 0.0,
        tuple(attachment_forward(attachment) for attachment in element.attachments),
    )


def _quoted(elements: list[events.Element], named: str) -> events.Element:
    """Return the element that the message names; the only one there is; else an empty one."""
    found = next((element for element in elements if named and element.msg_idx == named), None)
    if found is None and elements and (not named or len(elements) == 1):
        found = elements[0]
    # One of several others must not stand under the named one's id.
    return found or events.Element()


def _element_text(element: events.Element) -> str:
    return words_of(element.content) or (element.ark_data.prompt if element.ark_data else "")


def _chat_record(elements: list[events.Element], card: events.Card | None) -> Card:
    lines = [line for element in elements for line in _lines(element)]
    return Card(card.prompt if card and card.prompt else "聊天记录", kind="chat_record", lines=tuple(lines))


def _lines(element: events.Element) -> Iterable[CardLine]:
    name, at = element.author.username, events.clock_seconds(element.timestamp) if element.timestamp else 0.0
    text = _element_text(element)
    if text or not element.attachments:
        yield CardLine(text, name, at)
    for attachment in element.attachments:
        yield CardLine("", name, at, attachment_forward(attachment))


def _card(card: events.Card) -> Card:
    fields = _flat(card.fields)
    return Card(
        card.prompt or _first(fields, _TITLES) or card.ark_name,
        _first(fields, _DESCRIPTIONS),
        _first(fields, _ADDRESSES),
        card.ark_name or card.ark_type,
    )


def _flat(fields: Any, depth: int = 4) -> dict[str, str]:
    """Return the texts in a card's fields by name, whether they come as an object or as a list of key and value."""
    found: dict[str, str] = {}
    if depth and isinstance(fields, Mapping):
        if isinstance(key := fields.get("key") or fields.get("name"), str) and isinstance(fields.get("value"), str):
            found[key] = fields["value"]
        for name, value in fields.items():
            found |= {name: value} if isinstance(value, str) else _flat(value, depth - 1)
    elif depth and isinstance(fields, list):
        for item in fields:
            found |= _flat(item, depth - 1)
    return found


def _first(fields: Mapping[str, str], names: Iterable[str]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def read_leniently(raw: dict[str, Any], shape: type[T]) -> T | None:
    """Return `raw` as `shape`, or None if it does not fit."""
    try:
        return msgspec.convert(raw, shape, strict=False)
    except (msgspec.ValidationError, RecursionError):
        return None
