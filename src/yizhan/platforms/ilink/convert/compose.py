"""Messages to parts. Pure.

One item is one message there. Text that follows the only picture, video or file of a message is its caption and goes
first, as the official client does it; otherwise the order is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.model import File, Forward, Image, Media, Message, Native, Segment, Target, Text, Video, Voice
from yizhan.model.split import split_text
from yizhan.platforms.adapter import Limit, MediaNeed, Part, library_media
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.convert.placed import Placed, media_item, outbound_media
from yizhan.platforms.rules import Rules

AS_FILE = "Bots show no voice messages on iLink: sent as a file."
REFERRED = (
    "Sent on by reference, without an upload. That phones open such is not proven on iLink; with the rule "
    "forward.by_reference = false it is uploaded anew."
)

_REMEDY = {
    "sticker": "Send the picture as an image.",
    "link": "Send the address as text; WeChat makes it a link.",
    "mini_program": "Send its address or a description as text.",
    "channel_video": "Send its address as text.",
    "contact_card": "Send the WeChat id as text.",
    "quote": "Repeat the words in your text.",
    "mention": "Leave it out: a bot talks with one person, and there are no groups.",
}
_REFERABLE = ("image", "video", "file")


def compose(message: Message, target: Target, rules: Rules) -> list[Part]:
    """Return the messages that carry `message`, one item each, captions before media.

    Raises:
        Refused: something in it has no counterpart there, or media are empty, too large or of another kind.
    """
    if target.kind != "user":
        raise Unsupported(f"{target}: iLink bots talk with one person only. Use a target of the kind 'user'.")
    parts: list[Part] = []
    for segment in _captions_first(message.segments):
        parts.extend(_parts(segment, target, rules))
    if not parts:
        raise Unsupported(f"{target}: there is nothing in the message that could be shown. Give it text or media.")
    return parts


def _captions_first(segments: Sequence[Segment]) -> list[Segment]:
    """Join texts that stand together; put the text after a message's only media before it."""
    joined: list[Segment] = []
    for segment in segments:
        if isinstance(segment, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].text + segment.text)
        else:
            joined.append(segment)
    match joined:
        case [Image() | Video() | Voice() | File() | Forward() as media, Text() as caption]:
            return [caption, media]
    return joined


def _parts(segment: Segment, target: Target, rules: Rules) -> Iterator[Part]:
    match segment:
        case Text(text):
            for piece in split_text(text, rules.number("text.max_chars"), rules.number("text.max_bytes")):
                item = wire.MessageItem(type=wire.TEXT, text_item=wire.TextItem(text=piece))
                yield _part(item, f"text {len(piece)} chars")
        case Image(media, name) | Video(media, name) | Voice(media, name) | File(media, name):
            yield _media_part(segment, library_media(media), name, target, rules)
        case Forward():
            yield _forwarded(segment, target, rules)
        case Native(call, body):
            yield _native(call, body, target)
        case _:
            tag = str(type(segment).__struct_config__.tag)
            raise Unsupported(f"{target} cannot take a {tag.replace('_', ' ')}. {_REMEDY.get(tag, '')}".rstrip())


def _part(item: wire.MessageItem, summary: str, *needs: MediaNeed, note: str = "") -> Part:
    body = wire.WeixinMessage(item_list=[item])
    return Part("sendmessage", body, needs, repeatable=True, summary=summary, note=note)


def _media_part(segment: Segment, media: Media, name: str, target: Target, rules: Rules) -> Part:
    tag = str(type(segment).__struct_config__.tag)
    _check(tag, media, target, rules)
    as_file = tag == "voice"
    kind = "file" if as_file else tag
    scope = "account" if rules["handle.scope"] == "account" else str(target)
    need = MediaNeed(media, scope, use=kind)
    item = media_item(kind, media.size, file_name=name or media.name or _made_up_name(tag, media))
    return _part(item, f"{tag} {media.size:,} bytes", need, note=AS_FILE if as_file else "")


def _check(tag: str, media: Media, target: Target, rules: Rules) -> None:
    if media.size == 0:
        raise MediaFormat(f"{target}: the {tag} is empty (0 bytes). Choose a file with something in it.")
    if tag in ("image", "video") and media.kind != tag:
        what = media.format or media.mime or "an unknown format"
        raise MediaFormat(f"{target}: this is no {tag} but {what} ({media.kind}). Send it as a file.")
    limit = rules.number("media.max_bytes")
    if media.size > limit:
        raise MediaTooLarge(
            f"{target}: the {tag} has {media.size:,} bytes; media.max_bytes is {limit:,} "
            f"(rules profile {rules.profile}). Send a smaller one, or a link to it as text."
        )


def _made_up_name(tag: str, media: Media) -> str:
    return f"{tag}.{media.format}" if media.format else tag


def _forwarded(segment: Forward, target: Target, rules: Rules) -> Part:
    reference = segment.reference
    if segment.kind == "text" and isinstance(reference.get("text"), str):
        item = wire.MessageItem(type=wire.TEXT, text_item=wire.TextItem(text=reference["text"]))
        return _part(item, "text, sent on")
    param, key = reference.get("param"), reference.get("key")
    if segment.kind == "voice":
        raise Unsupported(
            f"{target}: a voice goes as a file here, and phones open no SILK. Save it and send it as media."
        )
    if segment.kind not in _REFERABLE or not isinstance(param, str) or not isinstance(key, str) or not param or not key:
        raise Unsupported(
            f"{target} cannot take this {segment.kind} by reference: it did not come in over iLink, or without a key. "
            "Save it and send it as media."
        )
    if not rules["forward.by_reference"]:
        raise Unsupported(f"{target}: the rules ({rules.profile}) trust no reference. Save it and send it as media.")
    size = reference.get("size")
    name = segment.name or str(reference.get("name") or "")
    media = outbound_media(Placed(param, key))
    item = media_item(segment.kind, size if isinstance(size, int) else 0, file_name=name, media=media)
    return _part(item, f"{segment.kind}, sent on", note=REFERRED)


def _native(call: str, body: Mapping[str, Any], target: Target) -> Part:
    if call != "sendmessage":
        raise Unsupported(f"{target} has no call '{call}' for messages. Use 'sendmessage' with the fields of `msg`.")
    try:
        message = msgspec.convert(dict(body), wire.WeixinMessage)
    except msgspec.ValidationError as error:
        raise Unsupported(f"{target}: the native body does not fit `msg` of sendmessage: {error}") from error
    if msgspec.to_builtins(message) != dict(body):
        raise Unsupported(f"{target}: the native body has fields that `msg` of sendmessage does not know.")
    if len(message.item_list or ()) != 1:
        raise Unsupported(f"{target}: one message carries exactly one item. Send {call} once for each.")
    return Part("sendmessage", message, repeatable=True, summary="native message")


def limits(context: Mapping[str, Any], bot_id: str, rules: Rules) -> Sequence[Limit]:
    """Return the window that the person's last message opened.

    Nothing when no message is known (they may have written while nobody listened: the platform decides), or when it
    was written to an earlier bot of this account.
    """
    at = context.get("at")
    if not rules.limited or not isinstance(at, (int, float)) or context.get("bot", bot_id) != bot_id:
        return ()
    count, seconds = rules.number("window.count"), rules.number("window.seconds")
    return (Limit("messages after the person last wrote", "target", "message", count, since=at, until=at + seconds),)
