"""Sending, and taking back.

Sources: iKuiki/wwdk doc/protocol/send.md; the browser bundle of 2022-03-01.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import JSON_ANSWER, PREFIX, WEB_JSON, Base, Loose, MaybeText
from yizhan.wire import Endpoint, Query

SEND_DOC = "iKuiki/wwdk: doc/protocol/send.md"
FORWARDED = 2
"""Scene of something received that is sent on; 0 otherwise."""
EMOJI_FLAG = 2


class Outgoing(Struct, kw_only=True):
    """`Msg` of every sending call. Told apart by the path: one client sends stickers with Type 1."""

    Type: Loose = 1
    MediaId: MaybeText = UNSET
    Content: MaybeText = UNSET
    EmojiFlag: Loose | UnsetType = UNSET
    EMoticonMd5: MaybeText = UNSET
    Signature: MaybeText = UNSET
    MsgSource: MaybeText = UNSET
    FromUserName: str = ""
    ToUserName: str
    LocalID: Loose = ""
    ClientMsgId: Loose = ""
    """With ToUserName the key under which a repeat is recognised."""


class SendText(Struct, kw_only=True):
    """Text (Type 1), a card (42) or a location (48)."""

    BaseRequest: Base | None = None
    Msg: Outgoing
    Scene: Loose = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class SendMedia(Struct, kw_only=True):
    """Picture, video, file or link."""

    BaseRequest: Base | None = None
    Msg: Outgoing
    Scene: Loose = 0
    fun: Annotated[str, Query()] = "async"
    f: Annotated[str, Query()] = "json"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class SendEmoticon(Struct, kw_only=True):
    """A gif, by its MediaId or by the md5 of one that the service knows; EmojiFlag 2."""

    BaseRequest: Base | None = None
    Msg: Outgoing
    Scene: Loose = 0
    fun: Annotated[str, Query()] = "sys"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Sent(Struct):
    """Both are strings. `MsgID` is empty or `0` when nothing was sent."""

    MsgID: str = ""
    LocalID: str = ""


class Revoke(Struct, kw_only=True):
    """Take a message back, within two minutes. `SvrMsgId` is the MsgID of the answer to sending it."""

    BaseRequest: Base | None = None
    SvrMsgId: Loose = ""
    ToUserName: str = ""
    ClientMsgId: Loose = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Revoked(Struct):
    Introduction: str = ""
    SysWording: str = ""


def _sending(name: str, request: type[Any]) -> Endpoint[Any, Sent]:
    """A call that sends: all are alike but for the path, and recognise a repeat by ClientMsgId."""
    return Endpoint(
        name,
        "POST",
        f"{PREFIX}/{name}",
        request,
        Sent,
        JSON_ANSWER,
        SEND_DOC,
        codec=WEB_JSON,
        acts=True,
        target="Msg.ToUserName",
    )


SEND_MSG = _sending("webwxsendmsg", SendText)
SEND_IMAGE = _sending("webwxsendmsgimg", SendMedia)
SEND_VIDEO = _sending("webwxsendvideomsg", SendMedia)
SEND_EMOTICON = _sending("webwxsendemoticon", SendEmoticon)
SEND_APP = _sending("webwxsendappmsg", SendMedia)
REVOKE = Endpoint(
    "webwxrevokemsg",
    "POST",
    f"{PREFIX}/webwxrevokemsg",
    Revoke,
    Revoked,
    JSON_ANSWER,
    SEND_DOC,
    codec=WEB_JSON,
    acts=True,
    target="ToUserName",
)
SENDING = {endpoint.name: endpoint for endpoint in (SEND_MSG, SEND_IMAGE, SEND_VIDEO, SEND_EMOTICON, SEND_APP)}
