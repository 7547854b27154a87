"""The access token, the bot itself, and the address of its gateway."""

from __future__ import annotations

from msgspec import Struct

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE, TOKEN_ENVELOPE
from yizhan.wire import Endpoint

TOKEN_PAGE = '"获取访问凭证", API v2'
GUIDE_PAGE = '"WebSocket 方式", API v2'


class AppSecret(Struct):
    """Request for a token. Both are strings; a numeric `appId` is refused with 100002."""

    appId: str
    clientSecret: str


class AccessToken(Struct):
    """While a token is valid the same one comes again; in its last 60 s a new one, and both work."""

    access_token: str
    expires_in: str | int
    """Seconds left, at most 7200. The table says number, the wire says string, and clients rely on the string."""


class Nothing(Struct):
    """A request without fields, or an answer that is `{}`."""


class Me(Struct):
    """The bot. `id` has digits only: a client reads it as a number while it logs in."""

    id: str
    username: str
    avatar: str = ""
    bot: bool = True
    union_openid: str = ""
    union_user_account: str = ""
    share_url: str = ""
    welcome_msg: str = ""


class GatewayAddress(Struct):
    url: str


GET_TOKEN = Endpoint(
    "getAppAccessToken",
    "POST",
    "/app/getAppAccessToken",
    AppSecret,
    AccessToken,
    TOKEN_ENVELOPE,
    TOKEN_PAGE,
    role="token",
)
GET_ME = Endpoint("getMe", "GET", "/users/@me", Nothing, Me, ENVELOPE, '"获取机器人详情", API v2')
GET_GATEWAY = Endpoint("getGateway", "GET", "/gateway", Nothing, GatewayAddress, ENVELOPE, GUIDE_PAGE)
