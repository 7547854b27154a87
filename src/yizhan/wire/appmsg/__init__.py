"""The `<appmsg>` family: cards that WeChat carries as message type 49, and the small XML that travels beside them.

Composing gives text for the wire; parsing takes what strangers typed and raises ValueError for anything hostile.
Source: WeChatSDK pages "发送链接", "发送XML", "消息类型"; ohwxapi page "发送APP消息"; webwechat client sources.
"""

from yizhan.wire.appmsg.compose import (
    OHWXAPI,
    WEBWECHAT,
    WECHATSDK,
    Cover,
    Dialect,
    FileCard,
    as_received,
    compose_channel_video,
    compose_contact,
    compose_file,
    compose_link,
    compose_media,
    compose_mini_program,
    compose_quote,
)
from yizhan.wire.appmsg.parse import (
    Card,
    FriendRequest,
    MediaXml,
    Revoked,
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    split_sender,
)

__all__ = [
    "OHWXAPI",
    "WEBWECHAT",
    "WECHATSDK",
    "Card",
    "Cover",
    "Dialect",
    "FileCard",
    "FriendRequest",
    "MediaXml",
    "Revoked",
    "as_received",
    "compose_channel_video",
    "compose_contact",
    "compose_file",
    "compose_link",
    "compose_media",
    "compose_mini_program",
    "compose_quote",
    "parse_card",
    "parse_contact",
    "parse_friend_request",
    "parse_media",
    "parse_revoked",
    "split_sender",
]
