"""Messages of people as bots receive them: every field of live messages, the empty ones too. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import md5
from urllib.parse import quote

import msgspec

from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.state import Chat
from yizhan.platforms.ilink.wire.crypt import write_key
from yizhan.world import Blob

Placed = tuple[str, bytes]
"""Parameter and key of something on the CDN."""

THUMB = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==")
"""The cover of every video: one grey point."""
FIRST_ITEM_ID = 14_778_023_042_603_769_070
"""Live items have ids of this size."""


def inbound_item(
    kind: str, blob: Blob, name: str, placed: Placed, base_url: str, thumb: Placed | None = None
) -> wire.MessageItem:
    """Return the item for media of a person. Sizes are those of the plain bytes, unlike outbound.

    Live `media` objects have no `encrypt_type`; pictures stand without `thumb_media`, and they alone have an `aeskey`.
    """
    media, key = _reference(placed, base_url), placed[1]
    match kind:
        case "image":
            image = wire.ImageItem(
                media=media,
                aeskey=key.hex(),
                mid_size=blob.size,
                thumb_size=min(blob.size, 3310),
                thumb_height=120,
                thumb_width=90,
                hd_size=0,
            )
            return wire.MessageItem(type=wire.IMAGE, image_item=image)
        case "voice":
            # About what silk takes; the real length would need a decoder.
            playtime = max(1000, blob.size * 1000 // 2048)
            voice = wire.VoiceItem(media=media, encode_type=4, bits_per_sample=16, sample_rate=16000, playtime=playtime)
            return wire.MessageItem(type=wire.VOICE, voice_item=voice)
        case "video":
            video = wire.VideoItem(
                media=media,
                video_size=blob.size,
                play_length=1,
                video_md5=blob.md5,
                thumb_media=_reference(thumb, base_url) if thumb else None,
                thumb_size=len(THUMB),
                thumb_height=1,
                thumb_width=1,
            )
            return wire.MessageItem(type=wire.VIDEO, video_item=video)
    file = wire.FileItem(media=media, file_name=name or "file", md5=blob.md5, len=str(blob.size))
    return wire.MessageItem(type=wire.FILE, file_item=file)


def _reference(placed: Placed, base_url: str) -> wire.CDNMedia:
    param, key = placed
    query = f"encrypted_query_param={quote(param, safe='')}&taskid={md5(param.encode()).hexdigest()[:16]}"
    return wire.CDNMedia(param, write_key(key), full_url=f"{base_url}{wire.CDN_DOWNLOAD.path}?{query}")


def inbound_message(
    items: Sequence[wire.MessageItem], seq: int, message_id: int, now: float, chat: Chat, bot_id: str, digits: str
) -> wire.WeixinMessage:
    """Return the whole message, with the times and empty fields that live ones carry."""
    at_ms = int(now * 1000)
    return wire.WeixinMessage(
        seq=seq,
        message_id=message_id,
        from_user_id=chat.user,
        to_user_id=bot_id,
        client_id=f"mmassistant_bypmsg_inbox_{digits}",
        create_time_ms=at_ms,
        update_time_ms=at_ms + 100,
        delete_time_ms=0,
        session_id="",
        group_id="",
        message_type=wire.USER,
        message_state=wire.FINISH,
        item_list=[_complete(item, at_ms, FIRST_ITEM_ID + seq * 8 + index) for index, item in enumerate(items)],
        context_token=chat.context_token,
        root_id=0,
        parent_id=0,
    )


def _complete(item: wire.MessageItem, at_ms: int, item_id: int) -> wire.MessageItem:
    return msgspec.structs.replace(
        item,
        create_time_ms=at_ms,
        update_time_ms=at_ms,
        is_completed=True,
        msg_id=f"v1:{item_id}",
        button_item_list=[],
        at_bot_username_list=[],
    )
