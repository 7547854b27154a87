"""Login and state. Sources: AssistantX: common/wechat.py, WxBotApi.java, fast-api-template: wx_chat.py."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct, field

from yizhan.platforms.ohwxapi.wire.envelope import (
    BARE,
    CGI,
    CLIENT_A,
    CLIENT_T,
    NATIVE,
    PUSHED,
    CgiEnvelope,
    Nothing,
    command,
)
from yizhan.wire import NO_BODY, Endpoint, Query, RawAnswer


class GetLoginQrCode(Struct):
    """An HTML page whose first `img` holds the picture as a `data:` address."""

    isIPad: Annotated[str, Query()] = "2"
    """The device to log in as; only 2 has been seen."""
    wxid: Annotated[str, Query()] = ""
    """The account to log in; empty for a new one."""
    json: Annotated[str | None, Query()] = None
    """Our own extension: `1` answers with `LoginQrCode` instead of a page."""


class PushLogin(Struct):
    """Ask the phone of an account that was logged in before."""

    wxid: Annotated[str, Query()] = ""


class GetAccounts(Struct):
    """No parameters."""


class LoginQrCode(Struct):
    Uuid: str
    QrCodeBase64: str
    """A PNG."""
    QrCodeText: str = ""
    """The text in the picture; our own extension."""


class PushedLogin(Struct):
    Uuid: str = ""


class OnlineUser(Struct):
    Wxid: str
    """The last four characters are masked by `****`."""
    NickName: str = ""


class OnlineUsers(Struct):
    WeChatUsers: list[OnlineUser] = field(default_factory=list)


class QrCodeOf(Struct):
    """502. `Wxid`: the account to log in; empty for a new one."""

    Wxid: str = ""


class CheckQrCode(Struct):
    """503."""

    Uuid: str


class QrCodeState(Struct):
    Uuid: str
    Status: int
    """0 not scanned, 1 scanned, 2 confirmed, 3 expired, 4 cancelled."""
    Wxid: str = ""


class NoParameters(Struct):
    """Commands that take nothing."""


class UseSync(Struct):
    """1000000005: private to the gateway."""

    UseSync: bool = True


def _get(
    name: str, path: str, request: type[Struct], response: Any, envelope: CgiEnvelope, source: str
) -> Endpoint[Any, Any]:
    return Endpoint(name, "GET", path, request, response, envelope, source, codec=NO_BODY)


GET_LOGIN_QR_CODE = _get("GetLoginQrCode", "/v2/login/getqrcode", GetLoginQrCode, RawAnswer, CGI, CLIENT_A)
PUSH_LOGIN = _get("PushLogin", "/v2/login/push", PushLogin, PushedLogin, PUSHED, CLIENT_T)
GET_ACCOUNTS = _get("WeChatInfo", "/v2/wechatinfo", GetAccounts, OnlineUsers, BARE, CLIENT_A)

NATIVE_QR_CODE = command("GetLoginQRCode", 502, QrCodeOf, LoginQrCode, NATIVE, target="")
NATIVE_CHECK = command("CheckLoginQRCode", 503, CheckQrCode, QrCodeState, NATIVE, target="")
NATIVE_PUSH = command("PushLoginUrl", 654, QrCodeOf, PushedLogin, NATIVE, target="")
LOGOUT = command("Logout", 282, NoParameters, Nothing, NATIVE, acts=True, target="")
ONLINE_INFO = command("GetOnlineInfo", 526, NoParameters, OnlineUsers, NATIVE, target="")
HEARTBEAT = command("HeartBeat", 518, NoParameters, Nothing, NATIVE, target="")
NATIVE_SYNC = command("NewSync", 138, NoParameters, Nothing, NATIVE, target="")
SYNC = command("Sync", 1000000005, UseSync, Nothing, CLIENT_A, target="")
