"""Our messages to theirs, and back. Pure.

One item is one message there. Text that follows the only picture, video or file of a message is its caption and goes
first, as the official client does it; otherwise the order is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.model import (
    Event,
    EventKind,
    File,
    Forward,
    Image,
    Media,
    Message,
    Native,
    Quote,
    Segment,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.model.split import split_text
from yizhan.platforms.base import Limit, MediaNeed, Part
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.wire.crypt import hex_key, padded_size, read_key, write_key
from yizhan.platforms.recipes import PLAIN_SOUNDS, MediaRule
from yizhan.platforms.rules import Rules
from yizhan.wire import mask_value
from yizhan.wire.filename import safe_name

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


class Cover(Struct, frozen=True):
    param: str
    size: int
    """Bytes of the ciphertext."""
    width: int
    height: int


class Placed(Struct, frozen=True, omit_defaults=True):
    """What a handle's token holds, as JSON."""

    param: str
    """The CDN's answer to the upload: `encrypt_query_param` of the message."""
    key: str
    """32 hex digits."""
    cover: Cover | None = None
    """A picture of a video, placed beside it under the same key."""


# --- out --------------------------------------------------------------------------------------------------------------


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
            yield _media_part(segment, media, name, target, rules)
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


def _media_part(segment: Segment, media: Any, name: str, target: Target, rules: Rules) -> Part:
    if not isinstance(media, Media):
        raise MediaFormat(f"{target}: media must be taken into the library first, not {type(media).__name__}.")
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


def media_item(kind: str, size: int, *, file_name: str = "", media: wire.CDNMedia | None = None) -> wire.MessageItem:
    """Return the outbound item for media of `size` plain bytes: exactly the fields that the official client writes.

    Inbound-only fields in outbound items were answered with "prepare failed" (Kairos0922, porting notes).
    """
    match kind:
        case "image":
            return wire.MessageItem(type=wire.IMAGE, image_item=wire.ImageItem(media=media, mid_size=padded_size(size)))
        case "video":
            video = wire.VideoItem(media=media, video_size=padded_size(size))
            return wire.MessageItem(type=wire.VIDEO, video_item=video)
    file = wire.FileItem(media=media, file_name=file_name or "file", len=str(size))
    return wire.MessageItem(type=wire.FILE, file_item=file)


def outbound_media(placed: Placed) -> wire.CDNMedia:
    """Return the reference to placed media as messages carry it."""
    return wire.CDNMedia(encrypt_query_param=placed.param, aes_key=write_key(hex_key(placed.key)), encrypt_type=1)


def filled(item: wire.MessageItem, placed: Placed) -> wire.MessageItem:
    """Return `item` with its media in it."""
    media = outbound_media(placed)
    for name in ("image_item", "video_item", "file_item", "voice_item"):
        payload = getattr(item, name)
        if payload is not None:
            cover = _cover_fields(placed) if name == "video_item" else {}
            return msgspec.structs.replace(item, **{name: msgspec.structs.replace(payload, media=media, **cover)})
    return item


def _cover_fields(placed: Placed) -> dict[str, Any]:
    cover = placed.cover
    if cover is None:
        return {}
    return {
        "thumb_media": outbound_media(Placed(cover.param, placed.key)),
        "thumb_size": cover.size,
        "thumb_width": cover.width,
        "thumb_height": cover.height,
    }


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


def media_rule(segment: Segment, rules: Rules) -> MediaRule | None:
    """Return what is taken of the media in `segment`: everything else is made to fit before compose sees it."""
    most, source = rules.number("media.max_bytes"), f"rules {rules.profile}"
    match segment:
        case Image():
            return MediaRule("image", rules.words("image.formats"), hard_bytes=most, as_file=True, source=source)
        case Video():
            return MediaRule("video", rules.words("video.formats"), hard_bytes=most, as_file=True, source=source)
        case Voice():
            # Voices go as files here; what only WeChat itself plays is made into something that opens.
            return MediaRule("voice", PLAIN_SOUNDS, hard_bytes=most, as_file=True, source=source)
        case File():
            return MediaRule("file", hard_bytes=most, source=source)
    return None


def window_limits(context: Mapping[str, Any], bot_id: str, rules: Rules) -> Sequence[Limit]:
    """Return the window that the person's last message opened.

    Nothing when no message is known (they may have written while nobody listened: the platform decides), or when it
    was written to an earlier bot of this account.
    """
    at = context.get("at")
    if not rules.limited or not isinstance(at, (int, float)) or context.get("bot", bot_id) != bot_id:
        return ()
    count, seconds = rules.number("window.count"), rules.number("window.seconds")
    return (Limit("messages after the person last wrote", "target", "message", count, since=at, until=at + seconds),)


# --- in ---------------------------------------------------------------------------------------------------------------


def parse(raw: Any, account: str, now: float) -> Event:
    """Return the event for one element of `msgs`; what cannot be read becomes an event of the kind `other`."""
    shown = mask_value(raw) if isinstance(raw, dict) else {"message": mask_value(raw)}
    try:
        message = msgspec.convert(raw, wire.WeixinMessage, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        return Event(_other_id(raw), EventKind.OTHER, account, now, raw={**shown, "unreadable": str(error)})
    ours = message.message_type == wire.BOT
    person = (message.to_user_id if ours else message.from_user_id) or ""
    # Never ahead of our own clock: what is sent from here on has to count against the window that it opens.
    at = min((message.create_time_ms or 0) / 1000 or now, now)
    context = {"context_token": message.context_token, "bot": message.to_user_id or ""}
    return Event(
        id=str(message.message_id or message.client_id or _other_id(raw)),
        kind=EventKind.SENT if ours else EventKind.MESSAGE,
        account=account,
        at=at,
        target=Target(account, "user", person) if person else None,
        sender=message.from_user_id or "",
        message=Message(tuple(_segments(message))),
        context=context if message.context_token and not ours else {},
        raw=shown,
    )


def _other_id(raw: Any) -> str:
    found = raw.get("message_id") or raw.get("client_id") or raw.get("seq") if isinstance(raw, dict) else None
    return str(found or msgspec.json.encode(raw, order="sorted")[:200].hex())


def _segments(message: wire.WeixinMessage) -> Iterator[Segment]:
    for item in message.item_list or ():
        if item.ref_msg is not None and (quote := _quote(item.ref_msg)) is not None:
            yield quote
        yield from _item_segments(item)


def _item_segments(item: wire.MessageItem) -> Iterator[Segment]:
    if item.text_item is not None and item.text_item.text:
        yield Text(item.text_item.text)
    elif item.image_item is not None:
        image = item.image_item
        yield _reference("image", image.media, image.mid_size, key=_hex_or_none(image.aeskey))
    elif item.voice_item is not None:
        voice = item.voice_item
        yield _reference("voice", voice.media, None, text=voice.text, duration_ms=voice.playtime)
        if voice.text:
            # WeChat's own transcription: what was said, for whoever reads only text.
            yield Text(voice.text)
    elif item.file_item is not None:
        file = item.file_item
        yield _reference("file", file.media, _size(file.len), name=safe_name(file.file_name or ""), md5=file.md5)
    elif item.video_item is not None:
        video = item.video_item
        yield _reference("video", video.media, video.video_size, play_length=video.play_length)
    elif item.text_item is None:
        yield Native("sendmessage", {"item_list": [msgspec.to_builtins(item)]})


def _reference(
    kind: str, media: wire.CDNMedia | None, size: int | None, *, key: str | None = None, **more: Any
) -> Forward:
    """What download and forward need. Without `key` in it the bytes on the CDN are plain (pictures) or of no use."""
    media = media or wire.CDNMedia()
    found = {
        "type": kind,
        "param": media.encrypt_query_param,
        "key": key or _read_or_none(media.aes_key),
        "url": media.full_url,
        "size": size,
        **more,
    }
    name = str(more.get("name") or "")
    return Forward(kind, {k: v for k, v in found.items() if v is not None}, name)


def _size(text: str | int | None) -> int | None:
    """Plain bytes of a file; most write them as text."""
    return int(text) if text is not None and str(text).isdecimal() and len(str(text)) < 20 else None


def _hex_or_none(text: str | None) -> str | None:
    try:
        return hex_key(text or "").hex()
    except ValueError:
        return None


def _read_or_none(text: str | None) -> str | None:
    try:
        return read_key(text or "").hex()
    except ValueError:
        return None


def _quote(reference: wire.RefMessage) -> Quote | None:
    quoted = reference.message_item
    id = str((quoted.msg_id if quoted else None) or reference.svr_id or "")
    text = quoted.text_item.text if quoted and quoted.text_item else None
    text = text or (reference.partial_text.start if reference.partial_text else None) or reference.title
    return Quote(id, text or "") if id or text else None
