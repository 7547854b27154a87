"""WeChat's XML: the `<appmsg>` cards of message type 49, the XML of media messages, and mentions in text.

`compose_*` functions return text for the wire. `parse_*` functions read untrusted text and raise ValueError for
hostile or broken XML.
Source: WeChatSDK pages "发送链接", "发送XML", "消息类型"; ohwxapi page "发送APP消息"; webwechat client sources.
"""

from yizhan.platforms.wechat_xml.attached import segments_with_media
from yizhan.platforms.wechat_xml.cards import compose_card
from yizhan.platforms.wechat_xml.compose import (
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
from yizhan.platforms.wechat_xml.composer import OBJECT_ID, STICKER_MD5, WeChatComposer
from yizhan.platforms.wechat_xml.emoji import emoji_words
from yizhan.platforms.wechat_xml.parse import (
    Card,
    FriendRequest,
    MediaXml,
    Revoked,
    card_kind,
    card_type,
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    split_sender,
)
from yizhan.platforms.wechat_xml.words import EVERYONE, MENTION_END, at_users, mentioned_ids, parse_words

__all__ = [
    "EVERYONE",
    "MENTION_END",
    "OBJECT_ID",
    "OHWXAPI",
    "STICKER_MD5",
    "WEBWECHAT",
    "WECHATSDK",
    "Card",
    "Cover",
    "Dialect",
    "FileCard",
    "FriendRequest",
    "MediaXml",
    "Revoked",
    "WeChatComposer",
    "as_received",
    "at_users",
    "card_kind",
    "card_type",
    "compose_card",
    "compose_channel_video",
    "compose_contact",
    "compose_file",
    "compose_link",
    "compose_media",
    "compose_mini_program",
    "compose_quote",
    "emoji_words",
    "mentioned_ids",
    "parse_card",
    "parse_contact",
    "parse_friend_request",
    "parse_media",
    "parse_revoked",
    "parse_words",
    "segments_with_media",
    "split_sender",
]
