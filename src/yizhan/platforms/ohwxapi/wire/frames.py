"""Frames of the WebSocket: pushes, commands and their answers. Sources: WeChatAgents_go: struct/message.go,
wxRobot/webSocker.go; AssistantX: common/wechat.py; WxBotEventEnum.java.

The client dials `/ws` (pushes of all accounts) or `/ws/<wxid>/<security code>` (one account); there is no greeting. Any
text keeps the line alive. A frame whose text contains `CgiBaseResponse` is an answer, everything else a push.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import msgspec
from msgspec import Raw, Struct

from yizhan.platforms.ohwxapi.wire.envelope import Command
from yizhan.platforms.ohwxapi.wire.foreign.people import Contact


class EventName(StrEnum):
    MSG_NEW = "ON_EVENT_MSG_NEW"
    PAT_MSG = "ON_EVENT_PAT_MSG"
    FRIEND_REQ = "ON_EVENT_FRIEND_REQ"
    CONTACT_CHANGE = "ON_EVENT_CONTACT_CHANGE"
    CHATROOM_INVITE = "ON_EVENT_CHATROOM_INVITE"
    CHATROOM_INVITE_OTHER = "ON_EVENT_CHATROOM_INVITE_OTHER"
    SNS_NEW = "ON_EVENT_SNS_NEW"
    ACCOUNT_OFFLINE = "ON_EVENT_ACCOUNT_OFFLINE"


class MsgType(IntEnum):
    TEXT = 1
    EVENT = 2
    IMAGE = 3
    VOICE = 34
    FRIEND_ASKS = 37
    CARD = 42
    VIDEO = 43
    STICKER = 47
    LOCATION = 48
    APP = 49
    PHONE_STATUS = 51
    NOTICE_9999 = 9999
    NOTICE = 10000
    SYSTEM = 10002


MENTIONED = "在群聊中@了你"
"""Stands in `PushContent` after the sender's name when the account is mentioned; clients look for exactly this."""


class AddMsg(Struct):
    """A message. In groups `FromUserName` is the group and `ActionUserName` the sender; `Content` has no prefix.

    Messages of one's own: `FromUserName` is the account, `ToUserName` the chat.
    """

    MsgId: int = 0
    """32 bits."""
    FromUserName: str = ""
    ToUserName: str = ""
    MsgType: int = 0
    Content: str = ""
    Status: int = 3
    ImgStatus: int = 1
    """2 on cards."""
    ImgBuf: str | None = None
    CreateTime: int = 0
    MsgSource: str = ""
    """`<msgsource>` with `<atuserlist>`: plain, CDATA, or CDATA with a leading comma."""
    PushContent: str = ""
    NewMsgId: int = 0
    """64 bits."""
    NewMsgIdExt: str = ""
    ActionUserName: str = ""
    ActionNickName: str = ""
    """Often empty."""


class EventData(Struct, omit_defaults=True, kw_only=True):
    """`AddMsg`, or an event's fields directly beside `EventName`."""

    AddMsg: AddMsg | None = None
    Content: str = ""
    Contact: Contact | None = None
    ChatUserName: str = ""
    FromUserName: str = ""
    PattedUserName: str = ""
    Template: str = ""
    InviteUserName: str = ""
    InviteNickName: str = ""
    InvitedUserName: str = ""
    InvitedNickName: str = ""
    Reason: str = ""
    EventName: str


class Packet(Struct, kw_only=True):
    WebConnId: str = ""
    Data: EventData


class Push(Struct, kw_only=True):
    CurrentPacket: Packet
    CurrentWxid: str = ""
    """The account that it is for."""
    UUid: str = ""
    """20 random characters; of unknown meaning."""


class SocketCommand(Struct, kw_only=True):
    """A command over the WebSocket. `CgiCmd` 0 is CDN traffic: `FileId` or `VoiceXml` mark a download."""

    ReqId: int
    """Chosen by the caller, ten digits: beyond 32 bits."""
    BotWxid: str = ""
    CgiCmd: int
    CgiRequest: Any


class SocketAnswer(Struct, kw_only=True):
    """Written in this order: clients cut the id out with the pattern `"ReqId":…,`, so it must not stand last."""

    CgiBaseResponse: Raw
    ReqId: Raw
    ResponseData: Raw


_push = msgspec.json.Decoder(Push, strict=False)
_any = msgspec.json.Decoder()


def read_push(text: str) -> Push | None:
    """Return the push in a frame; None for anything else (keep-alive, answers, frames without an event)."""
    try:
        return _push.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        # A gateway may write unknown values as null.
        return msgspec.convert(_without_nulls(_any.decode(text)), Push, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError, RecursionError):
        return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def read_answer_id(text: str) -> int | None:
    """Return the `ReqId` of an answer; None when the frame is none."""
    if "CgiBaseResponse" not in text:
        return None
    try:
        frame = _any.decode(text)
        return int(frame["ReqId"])
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError, KeyError, ValueError):
        return None


def path_of(number: int, parameters: Any) -> str:
    """Return the path under which a command over the socket would have come over HTTP."""
    if number != 0:
        return "/v2/api"
    downloads = isinstance(parameters, dict) and bool(parameters.get("FileId") or parameters.get("VoiceXml"))
    return "/v2/cdndownload" if downloads else "/v2/cdnupload"


def socket_command(command: Command[Any, Any], request_id: int, wxid: str, parameters: Struct) -> str:
    """Return the frame that gives `command` as the account `wxid`."""
    frame = SocketCommand(ReqId=request_id, BotWxid=wxid, CgiCmd=command.number, CgiRequest=parameters)
    return msgspec.json.encode(frame).decode()
