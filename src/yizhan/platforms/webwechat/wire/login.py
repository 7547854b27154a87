"""Logging in and out.

Sources: iKuiki/wwdk doc/protocol/login.md; the browser bundle of 2022-03-01; hotlcc/wechat4j doc/web-weixin-api.md.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import (
    LOGIN_PAGE_ANSWER,
    LOGIN_POLL_ANSWER,
    PREFIX,
    QR_LOGIN_ANSWER,
    RAW_ANSWER,
    RET_ANSWER,
)
from yizhan.wire import NO_BODY, Endpoint, Header, Path, Query, RawAnswer

LOGIN_DOC = "iKuiki/wwdk: doc/protocol/login.md"
APPID = "wx782c26e4c19acffb"
QR_TEXT = "https://login.weixin.qq.com/l/"
"""The QR code encodes this text and the uuid behind it."""
DESKTOP_REDIRECT = "https://wx.qq.com/cgi-bin/mmwebwx-bin/webwxnewloginpage?mod=desktop"
DESKTOP_REFERER = "https://wx.qq.com/?&lang=zh_CN&target=t"
DESKTOP_VERSION = "2.0.0"
EXTSPAM = (
    "Go8FCIkFEokFCggwMDAwMDAwMRAGGvAESySibk50w5Wb3uTl2c2h64jVVrV7gNs06GFlWplHQbY/5FfiO++1yH4ykCyNPWKXmco+"
    "wfQzK5R98D3so7rJ5LmGFvBLjGceleySrc3SOf2Pc1gVehzJgODeS0lDL3/I/0S2SSE98YgKleq6Uqx6ndTy9yaL9qFxJL7eiA/R"
    "3SEfTaW1SBoSITIu+EEkXff+Pv8NHOk7N57rcGk1w0ZzRrQDkXTOXFN2iHYIzAAZPIOY45Lsh+A4slpgnDiaOvRtlQYCt97nmPLu"
    "TipOJ8Qc5pM7ZsOsAPPrCQL7nK0I7aPrFDF0q4ziUUKettzW8MrAaiVfmbD1/VkmLNVqqZVvBCtRblXb5FHmtS8FxnqCzYP4WFvz"
    "3T0TcrOqwLX1M/DQvcHaGGw0B0y4bZMs7lVScGBFxMj3vbFi2SRKbKhaitxHfYHAOAa0X7/MSS0RNAjdwoyGHeOepXOKY+h3iHeq"
    "CvgOH6LOifdHf/1aaZNwSkGotYnYScW8Yx63LnSwba7+hESrtPa/huRmB9KWvMCKbDThL/nne14hnL277EDCSocPu3rOSYjuB9gK"
    "SOdVmWsj9Dxb/iZIe+S6AiG29Esm+/eUacSba0k8wn5HhHg9d4tIcixrxveflc8vi2/wNQGVFNsGO6tB5WF0xf/plngOvQ1/ivGV"
    "/C1Qpdhzznh0ExAVJ6dwzNg7qIEBaw+BzTJTUuRcPk92Sn6QDn2Pu3mpONaEumacjW4w6ipPnPw+g2TfywJjeEcpSZaP4Q3YV5HG"
    "8D6UjWA4GSkBKculWpdCMadx0usMomsSS/74QgpYqcPkmamB4nVv1JxczYITIqItIKjD35IGKAUwAA=="
)
"""The constant that the packaged desktop edition sends, the newer of two; without it many accounts get 1203.

Source: nodeWechat/wechat4u src/util/conf.js; issue thread wechaty/puppet-wechat#127."""

SCANNED, CONFIRMED, CANCELLED, EXPIRED, WAITING = 201, 200, 202, 400, 408


class JsLogin(Struct, kw_only=True):
    """Ask for a code. `redirect_uri` is given by clients that pose as the desktop edition."""

    appid: Annotated[str, Query()] = APPID
    fun: Annotated[str, Query()] = "new"
    redirect_uri: Annotated[str | UnsetType, Query()] = UNSET
    lang: Annotated[str, Query()] = "zh_CN"
    now: Annotated[str | int, Query("_")] = ""


class QrLogin(Struct):
    uuid: str = ""
    """Ten url-safe characters and `==`; one client pastes it unencoded into the next query."""


class Uuid(Struct):
    uuid: Annotated[str, Path()]


class LoginPoll(Struct, kw_only=True):
    """Long poll of about 25 seconds. `tip`: 1 for the first poll of a code, 0 later; `r`: NOT of the time."""

    loginicon: Annotated[str, Query()] = "true"
    uuid: Annotated[str, Query()] = ""
    tip: Annotated[str | int, Query()] = 0
    r: Annotated[str | int, Query()] = 0
    now: Annotated[str | int, Query("_")] = ""


class LoginPolled(Struct):
    """408 nothing yet, 201 scanned, 200 confirmed, 202 cancelled on the phone, 400 (500, 0) expired."""

    code: int = EXPIRED
    userAvatar: str = ""
    redirect_uri: str = ""


class NewLoginPage(Struct, kw_only=True):
    """The `redirect_uri` of the poll. The three headers are those of the desktop edition."""

    ticket: Annotated[str, Query()] = ""
    uuid: Annotated[str, Query()] = ""
    lang: Annotated[str, Query()] = "zh_CN"
    scan: Annotated[str | int, Query()] = ""
    client_version: Annotated[str | UnsetType, Header("client-version")] = UNSET
    extspam: Annotated[str | UnsetType, Header("extspam")] = UNSET
    referer: Annotated[str | UnsetType, Header("referer")] = UNSET


class LoginPage(Struct):
    """What a login gives, beside seven cookies. `pass_ticket` is percent-encoded already."""

    skey: str = ""
    wxsid: str = ""
    wxuin: str = ""
    pass_ticket: str = ""
    isgrayscale: str = "1"


class PushLogin(Struct):
    """Login without a code: the long-lived cookies name the browser, the phone has only to confirm."""

    uin: Annotated[str | int, Query()] = ""


class PushedLogin(Struct):
    ret: str = "0"
    msg: str = "all ok"
    uuid: str = ""


class Logout(Struct, kw_only=True):
    redirect: Annotated[str | int, Query()] = 1
    type: Annotated[str | int, Query()] = 1
    """0 or 1; the bundle sends both, one after the other."""
    skey: Annotated[str, Query()] = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET


JSLOGIN = Endpoint(
    "jslogin",
    "GET",
    "/jslogin",
    JsLogin,
    QrLogin,
    QR_LOGIN_ANSWER,
    LOGIN_DOC,
    codec=NO_BODY,
    also=("POST",),
    role="login",
)
QRCODE = Endpoint(
    "qrcode", "GET", "/qrcode/{uuid}", Uuid, RawAnswer, RAW_ANSWER, LOGIN_DOC, codec=NO_BODY, role="login"
)
PHONE_PAGE = Endpoint("l", "GET", "/l/{uuid}", Uuid, RawAnswer, RAW_ANSWER, LOGIN_DOC, codec=NO_BODY, role="login")
LOGIN = Endpoint(
    "login",
    "GET",
    f"{PREFIX}/login",
    LoginPoll,
    LoginPolled,
    LOGIN_POLL_ANSWER,
    LOGIN_DOC,
    codec=NO_BODY,
    also=("POST",),
    role="login",
    timeout=35,
)
NEW_LOGIN_PAGE = Endpoint(
    "webwxnewloginpage",
    "GET",
    f"{PREFIX}/webwxnewloginpage",
    NewLoginPage,
    LoginPage,
    LOGIN_PAGE_ANSWER,
    LOGIN_DOC,
    codec=NO_BODY,
)
PUSH_LOGIN_URL = Endpoint(
    "webwxpushloginurl",
    "GET",
    f"{PREFIX}/webwxpushloginurl",
    PushLogin,
    PushedLogin,
    RET_ANSWER,
    LOGIN_DOC,
    codec=NO_BODY,
)
LOGOUT = Endpoint(
    "webwxlogout",
    "POST",
    f"{PREFIX}/webwxlogout",
    Logout,
    RawAnswer,
    RAW_ANSWER,
    "hotlcc/wechat4j: doc/web-weixin-api.md",
    codec=NO_BODY,
    also=("GET",),
)
