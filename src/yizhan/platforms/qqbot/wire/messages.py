"""Messages to users and groups, their answers, streams and recall.

Sources: "发送单聊消息", "发送群聊消息", "消息收发概述" (API v2, 2026-09);
earlier forms in the documentation repository.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Path
from yizhan.wire.api import Api

USER_PAGE = '"发送单聊消息", API v2'
GROUP_PAGE = '"发送群聊消息", API v2'
RECALL_PAGE = '"撤回消息", API v2'

TEXT, MARKDOWN, ARK, EMBED, TYPING, MEDIA = 0, 2, 3, 4, 6, 7


class MediaInfo(Struct):
    """Only `file_info` is read; clients send the whole answer of the upload."""

    file_info: str | None = ""


class MessageReference(Struct, omit_defaults=True):
    """A quote: `REFIDX_…` (2026), or the id of a message (a sample of the same page)."""

    message_id: str
    ignore_get_message_error: bool | None = None


class InputNotify(Struct):
    input_type: int | None = 1
    input_second: int | None = 60
    """1 to 60."""


class SendMessage(Struct, omit_defaults=True):
    """One message. With `msg_id` or `event_id` it is passive (an answer), else active; quotas differ."""

    openid: Annotated[str, Path()]
    """In groups the `group_openid`."""
    msg_type: int | None = None
    """0 text, 2 Markdown, 3 Ark, 4 Embed, 6 typing, 7 media; one client leaves it out."""
    content: str | None = None
    """Text; the caption of a picture."""
    media: MediaInfo | None = None
    markdown: dict[str, Any] | None = None
    """`content`, or `custom_template_id` and `params`; `force_verify_image_resource` fails a send whose pictures cannot
    be re-hosted."""
    keyboard: dict[str, Any] | None = None
    ark: dict[str, Any] | None = None
    embed: dict[str, Any] | None = None
    message_reference: MessageReference | None = None
    msg_id: str | None = None
    """The user's message that is answered."""
    event_id: str | None = None
    """The outer `id` of the event that is answered."""
    msg_seq: int | None = None
    """Tells several answers to one message apart; a repeated pair is refused (40054005). 1 if absent."""
    is_wakeup: bool | None = None
    """Calls a silent user back (c2c only); excludes `msg_id` and `event_id`."""
    input_notify: InputNotify | None = None


def implied_type(message: SendMessage) -> int:
    """Return the `msg_type` of a message that names none."""
    if message.media is not None and message.media.file_info:
        return MEDIA
    if message.markdown is not None:
        return MARKDOWN
    if message.ark is not None:
        return ARK
    if message.embed is not None:
        return EMBED
    return TYPING if message.input_notify is not None else TEXT


class ExtInfo(Struct):
    ref_idx: str = ""
    """For quoting this message."""


class Sent(Struct, omit_defaults=True):
    """Answer to a send."""

    id: str
    """`ROBOT1.0_` and 60 to 90 characters; usable for recall."""
    timestamp: str | int = ""
    """RFC 3339 with +08:00; older samples show a number."""
    ext_info: ExtInfo | None = None


class StreamMessage(Struct, omit_defaults=True):
    """A piece of a text that grows while people read it (c2c only). Source: "流式消息", API v2, 2026."""

    openid: Annotated[str, Path()]
    input_mode: str
    """`append`, or `replace`, where the text must begin with the delivered text."""
    input_state: int
    """1 running, 10 done."""
    index: int
    """From 0."""
    content_raw: str
    content_type: str = "text"
    """`text` or `markdown`."""
    msg_id: str | None = None
    event_id: str | None = None
    stream_msg_id: str | None = None
    """The `id` of the first answer; absent on the first piece."""
    msg_seq: int | None = None
    is_wakeup: bool | None = None


class StreamSent(Sent, omit_defaults=True):
    remain_msg_len: int | None = None


class Recall(Struct):
    openid: Annotated[str, Path()]
    message_id: Annotated[str, Path()]


_USERS = Api(ENVELOPE, USER_PAGE, "/v2/users/{openid}")
_GROUPS = Api(ENVELOPE, GROUP_PAGE, "/v2/groups/{openid}")

SEND_TO_USER = _USERS.post("sendToUser", SendMessage, Sent, "/messages", acts=True, target="openid")
SEND_TO_GROUP = _GROUPS.post("sendToGroup", SendMessage, Sent, "/messages", acts=True, target="openid")
STREAM_TO_USER = _USERS.post(
    "streamToUser",
    StreamMessage,
    StreamSent,
    "/stream_messages",
    source='"流式消息", API v2',
    acts=True,
    target="openid",
)
RECALL_FROM_USER = _USERS.call(
    "DELETE", "recallFromUser", Recall, Nothing, "/messages/{message_id}", source=RECALL_PAGE, target="openid"
)
RECALL_FROM_GROUP = _GROUPS.call(
    "DELETE", "recallFromGroup", Recall, Nothing, "/messages/{message_id}", source=RECALL_PAGE, target="openid"
)
