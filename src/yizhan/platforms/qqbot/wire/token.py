"""The access token, the bot itself, and the address of its gateway."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.qqbot.wire.envelope import ENVELOPE, TOKEN_ENVELOPE
from yizhan.wire.api import Api

TOKEN_PAGE = '"获取访问凭证", API v2'
GUIDE_PAGE = '"WebSocket 方式", API v2'


class AppSecret(Struct):
    """Request for a token. Both are strings; a numeric `appId` is refused with 100002."""

    appId: str
    clientSecret: Annotated[str, Secret()]


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


_BOT = Api(ENVELOPE, GUIDE_PAGE)

GET_TOKEN = Api(TOKEN_ENVELOPE, TOKEN_PAGE, "/app", role="token").post("getAppAccessToken", AppSecret, AccessToken)
GET_ME = _BOT.get("getMe", Nothing, Me, "/users/@me", source='"获取机器人详情", API v2')
GET_GATEWAY = _BOT.get("getGateway", Nothing, GatewayAddress, "/gateway")
