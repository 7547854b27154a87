"""Login: a code to scan, and its state."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.ilink.wire.envelope import ENVELOPE
from yizhan.wire import Endpoint, Query

LOGIN_SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/auth/login-qr.ts"

BOT_TYPE = "3"


class QrStart(Struct, omit_defaults=True):
    """`local_token_list`: up to ten bot tokens of this installation, newest first. There is no `base_info`."""

    bot_type: Annotated[str | None, Query()] = None
    local_token_list: Annotated[list[str] | None, Secret()] = None


class QrCode(Struct, omit_defaults=True):
    qrcode: str
    """The polling credential: with it a client gets the token once the person confirms."""
    qrcode_img_content: str | None = None
    """Despite its name an address, to be shown as a QR code."""
    ret: int | None = None


class QrPoll(Struct, omit_defaults=True):
    qrcode: Annotated[str, Query()] = ""
    verify_code: Annotated[str | None, Query()] = None


class QrStatus(Struct, omit_defaults=True):
    """`status`: wait, scaned, need_verifycode, verify_code_blocked, scaned_but_redirect, confirmed, expired,
    binded_redirect."""

    status: str
    ret: int | None = None
    redirect_host: str | None = None
    bot_token: Annotated[str | None, Secret()] = None
    ilink_bot_id: str | None = None
    ilink_user_id: str | None = None
    baseurl: str | None = None


GET_BOT_QRCODE: Endpoint[QrStart, QrCode] = Endpoint(
    "get_bot_qrcode",
    "POST",
    "/ilink/bot/get_bot_qrcode",
    QrStart,
    QrCode,
    ENVELOPE,
    LOGIN_SOURCE,
    also=("GET",),  # up to 2.1.x, and by many clients still
    role="login",
)
GET_QRCODE_STATUS: Endpoint[QrPoll, QrStatus] = Endpoint(
    "get_qrcode_status",
    "GET",
    "/ilink/bot/get_qrcode_status",
    QrPoll,
    QrStatus,
    ENVELOPE,
    LOGIN_SOURCE,
    role="login",
    timeout=40.0,
)
