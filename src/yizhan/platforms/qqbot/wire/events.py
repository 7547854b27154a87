"""Pushed payloads, over the socket or a webhook: the `d` of dispatch frames.

Source: "单聊消息事件", "群聊消息事件", "关系事件", "互动事件" (API v2); "频道成员事件", "表情表态事件" (guild pages);
fields that nonebot-adapter-qq 1.7.3 and qq-botpy 1.2.1 require; `mentions` as in nonebot/adapter-qq#195.

Times of messages are RFC 3339 text with +08:00, times of relation events are Unix seconds as numbers.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from msgspec import Struct, field

from yizhan.platforms.qqbot.wire.gateway import Intents


class UserAuthor(Struct):
    """The speaker of a one-to-one chat; `id` equals `user_openid`."""

    user_openid: str
    id: str = ""
    union_openid: str = ""
    username: str = ""
    bot: bool = False


class MemberAuthor(Struct):
    """The speaker in a group. `member_openid` is no address for one-to-one messages."""

    member_openid: str
    id: str = ""
    union_openid: str = ""
    username: str = ""
    bot: bool = False
    member_role: str = "member"
    """member, admin or owner."""


class Card(Struct):
    """`ark_data` of a message of type 3."""

    prompt: str = ""
    """The card in words."""
    ark_type: str = ""
    ark_name: str = ""
    fields: Any = None


class Attachment(Struct, omit_defaults=True):
    content_type: str
    """image/jpeg, image/png, image/gif, video/mp4, voice, file."""
    url: str
    """Expires; some captures have it without a scheme."""
    filename: str = ""
    size: int = 0
    """Bytes."""
    width: int = 0
    height: int = 0
    voice_wav_url: str = ""
    asr_refer_text: str = ""
    """The recognized words of a voice."""


class Mentioned(Struct):
    """One entry of `mentions`. Its mark in the text is `<@id>`."""

    id: str = ""
    member_openid: str = ""
    username: str = ""
    nickname: str = ""
    bot: bool = False
    is_you: bool = False
    """Whether it is the bot that receives the event; groups only."""
    scope: str = "single"
    """`single` or `all`."""


class ElementAuthor(Struct, frozen=True):
    id: str = ""
    member_openid: str = ""
    user_openid: str = ""
    username: str = ""
    bot: bool = False
    is_you: bool = False


class Element(Struct):
    """One message inside a message: the quoted one (type 103), or a line of a chat record (102)."""

    msg_idx: str = ""
    author: ElementAuthor = ElementAuthor()
    message_type: int = 0
    content: str = ""
    timestamp: str | int = ""
    attachments: list[Attachment] = []
    msg_elements: list[dict[str, Any]] = []
    ark_data: Card | None = None


class MessageScene(Struct):
    source: str = "default"
    ext: list[str] = []
    """`key=value`: msg_idx (this message), ref_msg_idx (the quoted one), auth_token."""

    def value(self, key: str) -> str:
        return next((item.partition("=")[2] for item in self.ext if item.partition("=")[0] == key), "")


class C2CMessage(Struct, omit_defaults=True):
    """C2C_MESSAGE_CREATE."""

    id: str
    author: UserAuthor
    content: str
    timestamp: str
    message_type: int = field(default=-1)
    """0 text, 3 card, 101 parallel, 102 chat record, 103 quote."""
    message_scene: MessageScene | None = None
    attachments: list[Attachment] = []
    msg_elements: list[dict[str, Any]] = []
    ark_data: Card | None = None


class GroupMessage(Struct, omit_defaults=True):
    """GROUP_AT_MESSAGE_CREATE, GROUP_MESSAGE_CREATE. The @ is stripped, the space after it stays."""

    id: str
    author: MemberAuthor
    group_openid: str
    content: str
    timestamp: str
    group_id: str = ""
    """Equal to `group_openid`; undocumented, but a widely used client does not read the event without it."""
    message_type: int = field(default=-1)
    message_scene: MessageScene | None = None
    attachments: list[Attachment] = []
    msg_elements: list[dict[str, Any]] = []
    ark_data: Card | None = None
    mentions: list[Mentioned] = []


class GuildUser(Struct):
    id: str
    username: str = ""
    avatar: str = ""
    bot: bool = False


class GuildMember(Struct, omit_defaults=True):
    joined_at: str = ""
    nick: str = ""
    roles: list[str] = []


class Reference(Struct):
    """The quoted message of a guild."""

    message_id: str = ""


class ChannelMessage(Struct, omit_defaults=True):
    """AT_MESSAGE_CREATE, MESSAGE_CREATE, DIRECT_MESSAGE_CREATE."""

    id: str
    author: GuildUser
    channel_id: str
    guild_id: str
    content: str = ""
    timestamp: str = ""
    src_guild_id: str = ""
    direct_message: bool = False
    seq: int = 0
    seq_in_channel: str = ""
    member: GuildMember | None = None
    attachments: list[Attachment] = []
    mentions: list[Mentioned] = []
    mention_everyone: bool = False
    message_reference: Reference | None = None


class UserRelation(Struct, omit_defaults=True):
    """FRIEND_ADD, FRIEND_DEL, C2C_MSG_REJECT, C2C_MSG_RECEIVE."""

    openid: str
    timestamp: int
    """Seconds since the epoch."""
    scene: int | None = None
    """The way to the bot (FRIEND_ADD, 2026): 1000 default, 1001/1002 search, 1003 group …"""
    scene_param: str | None = None


class GroupRelation(Struct):
    """GROUP_ADD_ROBOT, GROUP_DEL_ROBOT, GROUP_MSG_REJECT, GROUP_MSG_RECEIVE."""

    group_openid: str
    timestamp: int
    op_member_openid: str = ""


class MemberChange(Struct, omit_defaults=True):
    """GROUP_MEMBER_ADD, GROUP_MEMBER_REMOVE (2026). Source: nonebot/adapter-qq#212."""

    group_openid: str
    member_openid: str
    timestamp: str | int = 0
    """Seconds since the epoch, as a number or as text."""
    op_member_openid: str = ""
    username: str = ""


class GuildMemberChange(Struct, omit_defaults=True):
    """GUILD_MEMBER_ADD, GUILD_MEMBER_REMOVE. A guild is no address; messages go to its channels."""

    guild_id: str
    user: GuildUser
    nick: str = ""
    joined_at: str = ""
    op_user_id: str = ""


class ReactionTarget(Struct):
    id: str
    type: int | str = 0
    """0 message, 1 thread, 2 post, 3 reply; captures have the words, too."""


class Emoji(Struct):
    id: str
    type: int = 1
    """1 one of the platform's own, 2 a Unicode code point."""


class Reaction(Struct, omit_defaults=True):
    """MESSAGE_REACTION_ADD, MESSAGE_REACTION_REMOVE; guild channels only."""

    user_id: str
    guild_id: str
    channel_id: str
    target: ReactionTarget
    emoji: Emoji


MESSAGE_BUTTON, MENU = 11, 12
ACKNOWLEDGED_TYPES = (MESSAGE_BUTTON, MENU)
"""Types of interactions that the platform wants answered within 3 s."""


class Interaction(Struct, omit_defaults=True):
    """INTERACTION_CREATE: a button was pressed. Answered by `id`, not by the frame's."""

    id: str
    type: int
    """11 button of a message, 12 menu of a one-to-one chat, 13 and above feedback, sessions, authorizations."""
    chat_type: int
    """0 guild, 1 group, 2 one to one."""
    scene: str = ""
    timestamp: str = ""
    user_openid: str = ""
    group_openid: str = ""
    group_member_openid: str = ""
    channel_id: str = ""
    guild_id: str = ""
    data: dict[str, Any] = {}
    version: int = 1
    application_id: str = ""


class Deletion(Struct, omit_defaults=True):
    """MESSAGE_DELETE, PUBLIC_MESSAGE_DELETE, DIRECT_MESSAGE_DELETE: a message of a guild was withdrawn."""

    message: dict[str, Any]
    """Its `id`, `channel_id`, `guild_id` and `author`."""
    op_user: GuildUser = field(default_factory=lambda: GuildUser(""))


class Audit(Struct, omit_defaults=True):
    """MESSAGE_AUDIT_PASS, MESSAGE_AUDIT_REJECT."""

    audit_id: str
    audit_time: str = ""
    create_time: str = ""
    channel_id: str = ""
    guild_id: str = ""
    message_id: str = ""


INTENT_OF = {
    **dict.fromkeys(
        (
            "C2C_MESSAGE_CREATE",
            "GROUP_AT_MESSAGE_CREATE",
            "GROUP_MESSAGE_CREATE",
            "FRIEND_ADD",
            "FRIEND_DEL",
            "C2C_MSG_REJECT",
            "C2C_MSG_RECEIVE",
            "GROUP_ADD_ROBOT",
            "GROUP_DEL_ROBOT",
            "GROUP_MSG_REJECT",
            "GROUP_MSG_RECEIVE",
        ),
        Intents.GROUP_AND_C2C_EVENT,
    ),
    **dict.fromkeys(("GROUP_MEMBER_ADD", "GROUP_MEMBER_REMOVE"), Intents.GROUP_MEMBER_EVENT),
    **dict.fromkeys(("GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"), Intents.GUILD_MEMBERS),
    **dict.fromkeys(("MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"), Intents.GUILD_MESSAGE_REACTIONS),
    "INTERACTION_CREATE": Intents.INTERACTION,
    "MESSAGE_AUDIT_PASS": Intents.MESSAGE_AUDIT,
    "MESSAGE_AUDIT_REJECT": Intents.MESSAGE_AUDIT,
    **dict.fromkeys(("AT_MESSAGE_CREATE", "PUBLIC_MESSAGE_DELETE"), Intents.PUBLIC_GUILD_MESSAGES),
    **dict.fromkeys(("MESSAGE_CREATE", "MESSAGE_DELETE"), Intents.GUILD_MESSAGES),
    **dict.fromkeys(("DIRECT_MESSAGE_CREATE", "DIRECT_MESSAGE_DELETE"), Intents.DIRECT_MESSAGE),
}
"""The intent that an event needs."""

ANSWERABLE = {
    "user": frozenset({"INTERACTION_CREATE", "C2C_MSG_RECEIVE", "FRIEND_ADD"}),
    "group": frozenset({"INTERACTION_CREATE", "GROUP_ADD_ROBOT", "GROUP_MSG_RECEIVE"}),
}
"""Events whose `event_id` an answer may name, by scene."""

_CHINA = timezone(timedelta(hours=8))


@lru_cache(maxsize=64)
def clock_text(seconds: int) -> str:
    """Return a time as the platform writes it: RFC 3339 with +08:00."""
    return datetime.fromtimestamp(seconds, _CHINA).isoformat(timespec="seconds")


def clock_seconds(text: str | int | float) -> float:
    """Return a time in either form as seconds since the epoch; 0 if it is neither."""
    try:
        if isinstance(text, str) and not text.isdigit():
            return datetime.fromisoformat(text).timestamp()
        return float(text)
    except (ValueError, OverflowError):
        return 0.0
