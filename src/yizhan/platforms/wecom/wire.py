"""The two calls of a group robot: a message, and a file to be sent by its media id.

Source: "Group robot configuration" (群机器人配置说明), developer.work.weixin.qq.com/document/path/91770, read in 2026.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct

from yizhan.errors import HandleExpired, LoginNeeded, Throttled, Unavailable
from yizhan.platforms.kit.envelope import JsonEnvelope
from yizhan.wire import MULTIPART, Api, FaultCode, FaultTable, Query

BUSY = FaultCode(-1, "system busy", means=Unavailable)
WRONG_TYPE = FaultCode(40004, "invalid media type")
WRONG_SIZE = FaultCode(40006, "invalid media size")
WRONG_MEDIA_ID = FaultCode(40007, "invalid media_id", means=HandleExpired)
WRONG_MESSAGE_TYPE = FaultCode(40008, "invalid message type")
WRONG_PARAMETER = FaultCode(40058, "invalid Request Parameter")
TOO_OFTEN = FaultCode(45009, "api freq out of limit", means=Throttled, retry_after=60)
WRONG_KEY = FaultCode(93000, "invalid webhook url", means=LoginNeeded)
FAULTS = FaultTable.of(globals())

ERRCODE = JsonEnvelope(
    FAULTS, WRONG_PARAMETER, "errcode", "errmsg", success={"errcode": 0, "errmsg": "ok"}, too_large=WRONG_SIZE
)
ROBOT = Api(ERRCODE, "群机器人配置说明", "/cgi-bin/webhook")

Key = Annotated[str, Query(secret=True)]


class Text(Struct, omit_defaults=True):
    content: str
    """2,048 bytes at most; `<@userid>` mentions a member."""
    mentioned_list: list[str] = []
    """Members by userid; `@all` for everyone."""
    mentioned_mobile_list: list[str] = []
    """Members by telephone number; `@all` for everyone."""


class Markdown(Struct):
    content: str
    """4,096 bytes at most."""


class Image(Struct):
    base64: Any
    """The picture, 2 MB at most before encoding: JPG or PNG."""
    md5: str
    """Of the bytes before encoding."""


class Article(Struct, omit_defaults=True):
    title: str
    """128 bytes; longer ones are cut by the platform."""
    url: str
    description: str = ""
    """512 bytes; longer ones are cut by the platform."""
    picurl: str = ""
    """JPG or PNG."""


class News(Struct):
    articles: list[Article]
    """1 to 8."""


class MediaId(Struct):
    media_id: str


class Send(Struct, omit_defaults=True):
    """One message; the field named like `msgtype` has its content."""

    key: Key
    msgtype: str = ""
    """text, markdown, markdown_v2, image, news, file, voice or template_card."""
    text: Text | None = None
    markdown: Markdown | None = None
    """Bold, links, quotes, colors and mentions."""
    markdown_v2: Markdown | None = None
    """CommonMark with lists, tables, code and pictures; no colors and mentions."""
    image: Image | None = None
    news: News | None = None
    file: MediaId | None = None
    voice: MediaId | None = None
    template_card: dict[str, Any] | None = None
    """`card_type` text_notice or news_notice, and its fields."""


class Sent(Struct):
    """A robot's answer names no message."""


class UploadMedia(Struct):
    key: Key
    type: Annotated[Literal["file", "voice"], Query()]
    media: Any
    """The file, more than 5 bytes: 20 MB, or 2 MB and a minute of AMR."""


class Uploaded(Struct):
    type: str
    media_id: str
    """Good for three days, for this robot only."""
    created_at: str = ""
    """Seconds since the epoch."""


SEND = ROBOT.post("send", Send, Sent, acts=True, max_bytes=4 << 20)
UPLOAD = ROBOT.post("upload_media", UploadMedia, Uploaded, codec=MULTIPART, timeout=120)
