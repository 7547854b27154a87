"""Received messages to events. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from yizhan.model import Event, EventKind, Forward, Message, Native, Quote, Segment, Target, Text
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.wire.crypt import hex_key, read_key
from yizhan.wire import mask_value
from yizhan.wire.filename import safe_name


def parse(raw: Any, account: str, now: float) -> Event:
    """Return the event for one element of `msgs`; an unreadable one becomes an event of the kind `other`."""
    shown = mask_value(raw) if isinstance(raw, dict) else {"message": mask_value(raw)}
    try:
        message = msgspec.convert(raw, wire.WeixinMessage, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        return Event(_other_id(raw), EventKind.OTHER, account, now, raw={**shown, "unreadable": str(error)})
    ours = message.message_type == wire.BOT
    person = (message.to_user_id if ours else message.from_user_id) or ""
    # Never later than our own clock: messages sent from now on must count against the window that it opens.
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
        mentioned=not ours and _names(message, message.to_user_id),
    )


def _names(message: wire.WeixinMessage, bot: str | None) -> bool:
    """Return whether an item mentions `bot`; without groups, the list is empty in all live messages so far."""
    return bool(bot) and any(bot in (item.at_bot_username_list or ()) for item in message.item_list or ())


def _other_id(raw: Any) -> str:
    found = raw.get("message_id") or raw.get("client_id") or raw.get("seq") if isinstance(raw, dict) else None
    return str(found or msgspec.json.encode(raw, order="sorted")[:200].hex())


def _segments(message: wire.WeixinMessage) -> Iterator[Segment]:
    for item in message.item_list or ():
        if item.ref_msg is not None:
            yield _quote(item.ref_msg)
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
            # WeChat's own transcription, for programs that read only text.
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
    """Return the reference for downloads and forwards. Without a key only pictures can be read: theirs are plain."""
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
    """Return the plain bytes of a file, which most clients write as text."""
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


def _quote(reference: wire.RefMessage) -> Quote:
    """Return the quote; of a picture, a file or a message of the bot, live ones tell the time alone."""
    quoted = reference.message_item
    id = str((quoted.msg_id if quoted else None) or reference.svr_id or "")
    text = quoted.text_item.text if quoted and quoted.text_item else None
    text = text or (reference.partial_text.start if reference.partial_text else None) or reference.title
    found = tuple(_item_segments(quoted)) if quoted else ()
    media = tuple(segment for segment in found if isinstance(segment, Forward))
    text = text or next((segment.text for segment in found if isinstance(segment, Text)), "")
    at = (quoted.create_time_ms or 0) / 1000 if quoted else 0.0
    return Quote(id, text, at=at, media=media)
