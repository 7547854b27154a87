"""The first generation (v1), still seen in clients: the operation is `funcname`, the body its flat parameters.

Sources: FITSimulationPlatform: NlpToolKit/wechat.py, Little-UNIkeEN-Bot-For-Wechat, fast-api-template: wx_chat.py.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Struct

from yizhan.platforms.ohwxapi.wire.cdn import CdnDownload, Downloaded
from yizhan.platforms.ohwxapi.wire.envelope import BARE, CGI, CODEC, PUSHED, UPLOADS, Nothing
from yizhan.platforms.ohwxapi.wire.login import (
    GetAccounts,
    GetLoginQrCode,
    OnlineUsers,
    PushedLogin,
    PushLogin,
    QrCodeOf,
)
from yizhan.platforms.ohwxapi.wire.sending import (
    SendAppMsg,
    SendEmoji,
    SendImage,
    SendMsg,
    SendVideo,
    SendVoice,
    Sent,
)
from yizhan.wire import NO_BODY, Endpoint, Query, RawAnswer

SOURCE = "ganghui22/FITSimulationPlatform: NlpToolKit/wechat.py; ChrisWhite1024/Little-UNIkeEN-Bot-For-Wechat"


class SendCdnImage(Struct):
    ToUserName: str
    XmlStr: str


class SendVoiceV1(SendVoice, kw_only=True, omit_defaults=True):
    """Clients of this generation do not say how long it lasts."""

    VoiceTime: int = 1


class MagicCgi(Struct):
    """A body of the second generation under the first's path."""

    CgiCmd: int
    CgiRequest: Any
    wxid: Annotated[str, Query()] = ""


def _flat(funcname: str, parameters: type[Struct], response: type, *, sends: bool = True) -> Endpoint[Any, Any]:
    fields = [("wxid", Annotated[str, Query()], ""), ("timeout", Annotated[str, Query()], "10")]
    config = parameters.__struct_config__
    request = msgspec.defstruct(
        f"{funcname}V1Call",
        fields,
        bases=(parameters,),
        module=__name__,
        kw_only=True,
        omit_defaults=config.omit_defaults,
    )
    return Endpoint(
        f"v1.{funcname}",
        "POST",
        "/v1/LuaApiCaller",
        request,
        response,
        CGI,
        SOURCE,
        codec=CODEC,
        constant_query={"funcname": funcname},
        acts=sends,
        target="ToUserName" if sends else "",
        max_bytes=UPLOADS,
    )


V1_SEND_MSG = _flat("SendMsg", SendMsg, Sent)
V1_SEND_IMAGE = _flat("SendImage", SendImage, Sent)
V1_SEND_APP_MSG = _flat("SendAppMsg", SendAppMsg, Sent)
V1_SEND_VOICE = _flat("SendVoice", SendVoiceV1, Sent)
V1_SEND_EMOJI = _flat("SendEmoji", SendEmoji, Sent)
V1_SEND_CDN_IMAGE = _flat("SendCdnImage", SendCdnImage, Sent)
V1_SEND_VIDEO = _flat("SendVideo", SendVideo, Sent)
V1_DOWNLOAD_VOICE = _flat("DownloadVoice", CdnDownload, Downloaded, sends=False)
V1_INIT_WXIDS = _flat("InitWxids", QrCodeOf, Nothing, sends=False)
V1_MAGIC_CGI: Endpoint[Any, Any] = Endpoint(
    "v1.MagicCgi",
    "POST",
    "/v1/LuaApiCaller",
    MagicCgi,
    RawAnswer,
    CGI,
    SOURCE,
    codec=CODEC,
    constant_query={"funcname": "MagicCgi"},
    acts=True,
    target="CgiRequest.ToUserName",
    max_bytes=UPLOADS,
)
V1_PUSH_LOGIN: Endpoint[Any, Any] = Endpoint(
    "v1.Login.Push", "GET", "/v1/Login/Push", PushLogin, PushedLogin, PUSHED, SOURCE, codec=NO_BODY
)
V1_GET_QR_CODE: Endpoint[Any, Any] = Endpoint(
    "v1.Login.GetQRcode", "GET", "/v1/Login/GetQRcode", GetLoginQrCode, RawAnswer, CGI, SOURCE, codec=NO_BODY
)
V1_GET_ACCOUNTS: Endpoint[Any, Any] = Endpoint(
    "v1.WeChatInfo", "GET", "/v1/WeChatInfo", GetAccounts, OnlineUsers, BARE, SOURCE, codec=NO_BODY
)
