"""Sending and recalling.

Sources: iKuiki/wwdk doc/protocol/send.md; the browser bundle of 2022-03-01.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import Credentials, NumberOrText, OptionalText
from yizhan.platforms.webwechat.wire.endpoints import post
from yizhan.wire import Endpoint, Query

SEND_DOC = "iKuiki/wwdk: doc/protocol/send.md"
FORWARDED = 2
"""Scene of a forwarded message; 0 otherwise."""
EMOJI_FLAG = 2


class Outgoing(Struct, kw_only=True):
    """`Msg` of every sending call. The path decides the kind, not Type: one client sends stickers with Type 1."""

    Type: NumberOrText = 1
    MediaId: OptionalText = UNSET
    Content: OptionalText = UNSET
    EmojiFlag: NumberOrText | UnsetType = UNSET
    EMoticonMd5: OptionalText = UNSET
    Signature: OptionalText = UNSET
    MsgSource: OptionalText = UNSET
    FromUserName: str = ""
    ToUserName: str
    LocalID: NumberOrText = ""
    ClientMsgId: NumberOrText = ""
    """Identifies a repeat, together with ToUserName."""


class SendText(Struct, kw_only=True):
    """Text (Type 1), a card (42) or a location (48)."""

    BaseRequest: Credentials | None = None
    Msg: Outgoing
    Scene: NumberOrText = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class SendMedia(Struct, kw_only=True):
    """Picture, video, file or link."""

    BaseRequest: Credentials | None = None
    Msg: Outgoing
    Scene: NumberOrText = 0
    fun: Annotated[str, Query()] = "async"
    f: Annotated[str, Query()] = "json"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class SendEmoticon(Struct, kw_only=True):
    """A gif by its MediaId, or a known emoticon by its md5; EmojiFlag 2."""

    BaseRequest: Credentials | None = None
    Msg: Outgoing
    Scene: NumberOrText = 0
    fun: Annotated[str, Query()] = "sys"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class SendResponse(Struct):
    """Both are strings. `MsgID` is empty or `0` if nothing was sent."""

    MsgID: str = ""
    LocalID: str = ""


class Revoke(Struct, kw_only=True):
    """Recall a message within two minutes. `SvrMsgId`: the MsgID in the response to its send."""

    BaseRequest: Credentials | None = None
    SvrMsgId: NumberOrText = ""
    ToUserName: str = ""
    ClientMsgId: NumberOrText = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class RevokeResponse(Struct):
    Introduction: str = ""
    SysWording: str = ""


def _send(name: str, request: type[Any]) -> Endpoint[Any, SendResponse]:
    return post(name, request, SendResponse, SEND_DOC, acts=True, target="Msg.ToUserName")


SEND_MSG = _send("webwxsendmsg", SendText)
SEND_IMAGE = _send("webwxsendmsgimg", SendMedia)
SEND_VIDEO = _send("webwxsendvideomsg", SendMedia)
SEND_EMOTICON = _send("webwxsendemoticon", SendEmoticon)
SEND_APP = _send("webwxsendappmsg", SendMedia)
REVOKE = post("webwxrevokemsg", Revoke, RevokeResponse, SEND_DOC, acts=True, target="ToUserName")
SENDING = {endpoint.name: endpoint for endpoint in (SEND_MSG, SEND_IMAGE, SEND_VIDEO, SEND_EMOTICON, SEND_APP)}
