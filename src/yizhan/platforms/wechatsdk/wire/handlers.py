"""Chapter 处理消息: handlers of pushes. The API dials out; there is nothing to poll."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Digits, Done, Request, interface

BY_TCP, BY_HTTP, BY_WEBSOCKET, BY_WINDOW_MESSAGE, IN_PROCESS = 1, 2, 3, 4, 5
"""Values of `protocol`."""

GREETING = "hello"
"""The first text that the API sends on a WebSocket, and the answer it expects."""


class AddHandler(Request, kw_only=True, omit_defaults=True):
    protocol: int
    url: str = ""
    """For HTTP and WebSocket."""
    host: str = ""
    port: Digits = ""
    """For TCP; declared as text, shown as a number."""
    hWnd: Digits = ""


class Added(Struct):
    cookie: Digits = ""
    """The argument of 1002."""


class RemoveHandler(Request, kw_only=True):
    cookie: Digits


class Handler(Struct):
    """One of the registered handlers. The vendor's own client reads `url` of each, and the number by a misspelt key."""

    cookie: Digits = ""
    url: str = ""
    protocol: Digits = 0
    pcotocol: Digits = 0
    host: str = ""
    port: Digits = ""


class Switch(Request, kw_only=True):
    bEnable: bool


class Handlers(Struct):
    data: list[Handler] = []


ADD_HANDLER = interface(1001, "add_handler", AddHandler, Added, "处理消息/http处理器")
REMOVE_HANDLER = interface(1002, "remove_handler", RemoveHandler, Done, "处理消息/移除处理器")
LIST_HANDLERS = interface(1003, "list_handlers", Request, Handlers, "处理消息/获取消息处理器列表")
EAGER_DOWNLOADS = interface(10094, "eager_downloads", Switch, Done, "WeChatAPIs/WechatBotCMD: OtherNativeApi.py")
ENABLE_GROUP_PUSHES = interface(10115, "enable_group_pushes", Switch, Done, "群管理/群变动推送开关")
ANTI_REVOKE = interface(10095, "anti_revoke", Switch, Done, "WeChatAPIs/WechatBotCMD: OtherNativeApi.py")


def tcp_frame(body: bytes) -> bytes:
    """Return the message to a TCP handler: four bytes of length, then the text. Source: page "处理消息/TCP处理器"."""
    return len(body).to_bytes(4, "little") + body


def tcp_length(head: bytes, limit: int) -> int:
    """Return the length that four bytes announce. The page does not state the byte order: little-endian unless absurd.

    Raises:
        ValueError: both readings are over `limit`.
    """
    readings = int.from_bytes(head, "little"), int.from_bytes(head, "big")
    for length in readings:
        if length <= limit:
            return length
    raise ValueError(f"a frame announces {readings[0]} bytes, the limit is {limit}")


# --- pushes -----------------------------------------------------------------------------------------------------------

PUSH_ASYNC, PUSH_MESSAGE, PUSH_LOGIN, PUSH_LOGOUT, PUSH_OWN, PUSH_GROUP = range(6)
"""Values of `pushType`. Source: page "处理消息/消息类型"."""


class Push(Struct):
    """One push. `robot.userName` is the account that it concerns."""

    pushType: int
    pushTime: Digits = 0
    """Seconds."""
    data: dict[str, Any] = {}
    robot: dict[str, Any] = {}
    type: Digits = 0
    asyncUserData: Any = None


class Message(Struct):
    """`data` of push type 1. Sources: page "处理消息/消息类型"; dchaofei/puppet-win: winapi/event.go; yzqzy."""

    type: int
    """1 text, 3 image, 34 voice, 37 friend request, 42 contact card, 43 video, 47 sticker, 48 location, 49 card,
    50 call, 51 phone operation, 10000 system notice, 10002 withdrawn and others."""
    content: str = ""
    """Text or XML; in groups with `<sender wxid>:` and a line break before it."""
    msgSvrID: Digits = 0
    szMsgSvrID: str = ""
    createtime: Digits = 0
    createTime: Digits = 0
    """Written both ways by the pages; both are sent."""
    isChatroomMsg: int | bool = 0
    isSender: int | bool = 0
    reserved1: str = ""
    """`<msgsource>`: who was mentioned. Misspelt `reversed1` before 2024-05-27; both are sent."""
    reversed1: str = ""
    talkerInfo: dict[str, Any] = {}
    chatroomMemberInfo: dict[str, Any] = {}
    sender: str = ""

    @property
    def id(self) -> str:
        """The id as text; empty when there is none."""
        return next((number for number in (self.szMsgSvrID, str(self.msgSvrID)) if number not in ("", "0")), "")


MEMBERS_JOINED, MEMBERS_LEFT, MEMBERS_RENAMED, SELF_JOINED, SELF_LEFT = range(1, 6)
"""`subType` of push type 5. A proposal: the vendor prints no values."""


class ChangedMember(Struct):
    """One of `members` of push type 5. A proposal: the vendor prints no keys."""

    userName: str = ""
    nickName: str | None = ""
    displayName: str | None = ""

    @property
    def name(self) -> str:
        """The name in the group, or the person's own."""
        return self.displayName or self.nickName or ""


TYPE_TEXT, TYPE_IMAGE, TYPE_VOICE, TYPE_FRIEND_REQUEST, TYPE_CONTACT, TYPE_VIDEO = 1, 3, 34, 37, 42, 43
TYPE_STICKER, TYPE_LOCATION, TYPE_CARD, TYPE_CALL, TYPE_PHONE = 47, 48, 49, 50, 51
TYPE_NOTICE, TYPE_REVOKED = 10000, 10002
"""Message types. Source: page "处理消息/消息类型"; 43 is missing there and used by clients."""
NOTICES = frozenset({TYPE_FRIEND_REQUEST, TYPE_CALL, TYPE_PHONE, TYPE_NOTICE, TYPE_REVOKED})
