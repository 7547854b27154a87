"""The message model: a message has items, an item a payload, media a reference to the CDN (`src/api/types.ts`).

Clients leave out numbers or send null, and answers may lose fields: all fields of shared structs are optional, and
None means "not there".
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.model.secret import Secret

USER_SUFFIX = "@im.wechat"
BOT_SUFFIX = "@im.bot"

# message_type
USER, BOT = 1, 2
# message_state
FINISH = 2
# item type
TEXT, IMAGE, VOICE, FILE, VIDEO, TOOL_CALL_START, TOOL_CALL_RESULT = 1, 2, 3, 4, 5, 11, 12


class CDNMedia(Struct, omit_defaults=True):
    """A reference to bytes on the CDN, and their key."""

    encrypt_query_param: str | None = None
    aes_key: Annotated[str | None, Secret()] = None
    """Base64 of the key's hex text (44 characters), inbound sometimes of its raw bytes (24)."""
    encrypt_type: int | None = None
    """Outbound always 1; live inbound media lack it."""
    full_url: str | None = None
    """Complete download address; inbound only."""


class TextItem(Struct, omit_defaults=True):
    text: str | None = None


class ImageItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    thumb_media: CDNMedia | None = None
    aeskey: Annotated[str | None, Secret()] = None
    """Hex; inbound only, and right where `media.aes_key` is not."""
    url: str | None = None
    mid_size: int | None = None
    """Bytes: of the plain picture inbound, of the ciphertext outbound. Without it the picture "failed to send"."""
    thumb_size: int | None = None
    thumb_height: int | None = None
    thumb_width: int | None = None
    hd_size: int | None = None


class VoiceItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    encode_type: int | None = None
    """By the vendor's table 4 is speex and 6 silk; live voice says 4 and is silk: look at the bytes."""
    bits_per_sample: int | None = None
    sample_rate: int | None = None
    playtime: int | None = None
    """Milliseconds."""
    text: str | None = None
    """WeChat's own transcription."""


class FileItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    file_name: str | None = None
    md5: str | None = None
    len: str | int | None = None
    """Plain bytes, as decimal text."""


class VideoItem(Struct, omit_defaults=True):
    media: CDNMedia | None = None
    video_size: int | None = None
    """Bytes: plain inbound, ciphertext outbound."""
    play_length: int | None = None
    video_md5: str | None = None
    thumb_media: CDNMedia | None = None
    thumb_size: int | None = None
    thumb_height: int | None = None
    thumb_width: int | None = None


class ToolCallItem(Struct, omit_defaults=True):
    tool_name: str | None = None
    tool_call_id: str | None = None
    status: str | None = None
    """completed, failed, blocked, unknown; on results only."""


class PartialText(Struct, omit_defaults=True):
    """A part of the quoted text, from an occurrence of `start` to one of `end`."""

    start: str | None = None
    end: str | None = None
    startindex: int | None = None
    endindex: int | None = None
    quotemd5: str | None = None


class RefMessage(Struct, omit_defaults=True):
    """The message that an item quotes. Live ones name the quoted message by `message_item.msg_id` alone."""

    title: str | None = None
    message_item: MessageItem | None = None
    svr_id: int | str | None = None
    partial_text: PartialText | None = None


class MessageItem(Struct, omit_defaults=True):
    """One piece of a message. Outbound items have `type` and the payload only; live inbound ones have the rest."""

    type: int | None = None
    create_time_ms: int | None = None
    update_time_ms: int | None = None
    is_completed: bool | None = None
    msg_id: str | int | None = None
    button_item_list: list[Any] | None = None
    at_bot_username_list: list[Any] | None = None
    ref_msg: RefMessage | None = None
    text_item: TextItem | None = None
    image_item: ImageItem | None = None
    voice_item: VoiceItem | None = None
    file_item: FileItem | None = None
    video_item: VideoItem | None = None
    tool_call_start_item: ToolCallItem | None = None
    tool_call_result_item: ToolCallItem | None = None


class WeixinMessage(Struct, omit_defaults=True):
    """A message, both ways."""

    seq: int | None = None
    message_id: int | str | None = None
    """uint64, above 2**53."""
    from_user_id: str | None = None
    """Outbound an empty text: without it only the first message arrived (SiverKing/weixin-ClawBot-API, docs)."""
    to_user_id: str | None = None
    client_id: str | None = None
    """Made by the sender; the platform swallows a second message under the same one."""
    create_time_ms: int | None = None
    update_time_ms: int | None = None
    delete_time_ms: int | None = None
    session_id: str | None = None
    group_id: str | None = None
    message_type: int | None = None
    message_state: int | None = None
    item_list: list[MessageItem] | None = None
    """Outbound exactly one."""
    context_token: Annotated[str | None, Secret()] = None
    root_id: int | str | None = None
    parent_id: int | str | None = None
    run_id: str | None = None
