"""Guild channels and guild direct messages, the older part of the platform: pictures travel inside the message.

Source: "发送消息", "创建私信会话", "撤回消息" (guild pages of the documentation repository, 2025-05).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.platforms.qqbot.wire.messages import MessageReference
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Path, Query
from yizhan.wire.api import Api
from yizhan.wire.codec import JsonOrMultipartCodec

SEND_PAGE = '"发送消息", guild API: POST /channels/{channel_id}/messages'
DM_PAGE = '"私信", guild API'
RECALL_PAGE = '"撤回消息", guild API'


class GuildContent(Struct, omit_defaults=True, kw_only=True):
    """Fields of messages to channels and in direct messages. One of content, embed, ark, picture, markdown is required.

    Sent as JSON, or as multipart with the picture itself (`file_image`) and objects as JSON text.
    """

    content: str | None = None
    """Escaped: `&amp; &lt; &gt;`."""
    embed: dict[str, Any] | None = None
    ark: dict[str, Any] | None = None
    markdown: dict[str, Any] | None = None
    keyboard: dict[str, Any] | None = None
    message_reference: MessageReference | None = None
    image: str | None = None
    """A URL; the platform re-hosts it. Its domain must have been declared (304003)."""
    msg_id: str | None = None
    event_id: str | None = None
    file_image: Any = None
    """Multipart only: the picture, with or without a file name."""


class SendToChannel(GuildContent, omit_defaults=True, kw_only=True):
    channel_id: Annotated[str, Path()]


class SendToDm(GuildContent, omit_defaults=True, kw_only=True):
    guild_id: Annotated[str, Path()]


class GuildAuthor(Struct):
    id: str
    username: str = ""
    avatar: str = ""
    bot: bool = False


class GuildMessage(Struct):
    """The Message object; `id` begins with 08."""

    id: str
    channel_id: str = ""
    guild_id: str = ""
    content: str = ""
    timestamp: str = ""
    tts: bool = False
    mention_everyone: bool = False
    author: GuildAuthor | None = None
    embeds: list[Any] = []
    pinned: bool = False
    type: int = 0
    flags: int = 0


class OpenDm(Struct):
    recipient_id: str
    source_guild_id: str


class Dm(Struct):
    """A conversation; direct messages go to its `guild_id`."""

    guild_id: str
    channel_id: str
    create_time: str
    """Unix seconds, as text."""


class RecallFromChannel(Struct, omit_defaults=True):
    channel_id: Annotated[str, Path()]
    message_id: Annotated[str, Path()]
    hidetip: Annotated[bool, Query()] = False


class RecallFromDm(Struct, omit_defaults=True):
    guild_id: Annotated[str, Path()]
    message_id: Annotated[str, Path()]
    hidetip: Annotated[bool, Query()] = False


MAX_BODY = 16 << 20
CODEC = JsonOrMultipartCodec(texts=("content", "image", "msg_id", "event_id"))

_CHANNELS = Api(ENVELOPE, SEND_PAGE, "/channels/{channel_id}", codec=CODEC, max_bytes=MAX_BODY)
_DMS = Api(ENVELOPE, DM_PAGE, "/dms/{guild_id}", codec=CODEC, max_bytes=MAX_BODY)
_RECALLS = Api(ENVELOPE, RECALL_PAGE)

SEND_TO_CHANNEL = _CHANNELS.post(
    "sendToChannel", SendToChannel, GuildMessage, "/messages", acts=True, target="channel_id"
)
SEND_TO_DM = _DMS.post("sendToDm", SendToDm, GuildMessage, "/messages", acts=True, target="guild_id")
OPEN_DM = Api(ENVELOPE, DM_PAGE).post("openDm", OpenDm, Dm, "/users/@me/dms")
RECALL_FROM_CHANNEL = _RECALLS.call(
    "DELETE",
    "recallFromChannel",
    RecallFromChannel,
    Nothing,
    "/channels/{channel_id}/messages/{message_id}",
    target="channel_id",
)
RECALL_FROM_DM = _RECALLS.call(
    "DELETE", "recallFromDm", RecallFromDm, Nothing, "/dms/{guild_id}/messages/{message_id}", target="guild_id"
)
