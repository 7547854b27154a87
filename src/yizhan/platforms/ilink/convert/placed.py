"""Uploads as handles keep them, and as messages carry them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.wire.crypt import hex_key, padded_size, write_key


class Cover(Struct, frozen=True):
    param: str
    size: int
    """Bytes of the ciphertext."""
    width: int
    height: int


class Placed(Struct, frozen=True, omit_defaults=True):
    """The content of a handle's token, as JSON."""

    param: str
    """The CDN's answer to the upload: `encrypt_query_param` of the message."""
    key: str
    """32 hex digits."""
    cover: Cover | None = None
    """The picture of a video, uploaded beside it under the same key."""


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
    """Return the reference to uploaded media as messages carry it."""
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
