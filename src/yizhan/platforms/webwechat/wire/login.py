"""Logging in and out.

Sources: iKuiki/wwdk doc/protocol/login.md; the browser bundle of 2022-03-01; hotlcc/wechat4j doc/web-weixin-api.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from yizhan.model.secret import Secret
from yizhan.platforms.webwechat.wire.endpoints import get
from yizhan.platforms.webwechat.wire.envelopes import (
    LOGIN_PAGE_ENVELOPE,
    LOGIN_POLL_ENVELOPE,
    QR_LOGIN_ENVELOPE,
    RAW_ENVELOPE,
    RET_ENVELOPE,
)
from yizhan.wire import Header, Query, RawAnswer

LOGIN_DOC = "iKuiki/wwdk: doc/protocol/login.md"
APPID = "wx782c26e4c19acffb"
QR_TEXT = "https://login.weixin.qq.com/l/"
"""The QR code encodes this text, followed by the uuid."""
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
"""A constant of the packaged desktop edition, the newer of two; many accounts get 1203 without it.

Source: nodeWechat/wechat4u src/util/conf.js; issue thread wechaty/puppet-wechat#127."""

SCANNED, CONFIRMED, CANCELLED, EXPIRED, WAITING = 201, 200, 202, 400, 408


class JsLogin(Struct, kw_only=True):
    """Request a QR code. Clients that pose as the desktop edition send `redirect_uri`."""

    appid: Annotated[str, Query()] = APPID
    fun: Annotated[str, Query()] = "new"
    redirect_uri: Annotated[str | UnsetType, Query()] = UNSET
    lang: Annotated[str, Query()] = "zh_CN"
    now: Annotated[str | int, Query("_")] = ""


class QrLogin(Struct):
    uuid: str = ""
    """Ten URL-safe characters and `==`; one client pastes it unencoded into the next query."""


class LoginPoll(Struct, kw_only=True):
    """Long poll of about 25 seconds. `tip`: 1 for the first poll of a code, 0 later; `r`: NOT of the time."""

    loginicon: Annotated[str, Query()] = "true"
    uuid: Annotated[str, Query()] = ""
    tip: Annotated[str | int, Query()] = 0
    r: Annotated[str | int, Query()] = 0
    now: Annotated[str | int, Query("_")] = ""


class LoginPollResponse(Struct):
    """`code`: 408 not scanned yet, 201 scanned, 200 confirmed, 202 cancelled on the phone, 400 (500, 0) expired."""

    code: int = EXPIRED
    userAvatar: str = ""
    redirect_uri: str = ""


class NewLoginPage(Struct, kw_only=True):
    """The `redirect_uri` of the poll. The three headers are those of the desktop edition."""

    ticket: Annotated[str, Query(secret=True)] = ""
    uuid: Annotated[str, Query()] = ""
    lang: Annotated[str, Query()] = "zh_CN"
    scan: Annotated[str | int, Query()] = ""
    client_version: Annotated[str | UnsetType, Header("client-version")] = UNSET
    extspam: Annotated[str | UnsetType, Header("extspam")] = UNSET
    referer: Annotated[str | UnsetType, Header("referer")] = UNSET


class LoginPage(Struct):
    """The keys of a new session, beside seven cookies. `pass_ticket` comes percent-encoded."""

    skey: Annotated[str, Secret()] = ""
    wxsid: Annotated[str, Secret()] = ""
    wxuin: str = ""
    pass_ticket: Annotated[str, Secret()] = ""
    isgrayscale: str = "1"


class PushLogin(Struct):
    """Request a login without a QR code: long-lived cookies identify the browser, and the phone only confirms."""

    uin: Annotated[str | int, Query()] = ""


class PushLoginResponse(Struct):
    ret: str = "0"
    msg: str = "all ok"
    uuid: str = ""


class Logout(Struct, kw_only=True):
    redirect: Annotated[str | int, Query()] = 1
    type: Annotated[str | int, Query()] = 1
    """0 or 1; the page's script sends both, one after the other."""
    skey: Annotated[str, Query(secret=True)] = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET


JSLOGIN = get("jslogin", JsLogin, QrLogin, LOGIN_DOC, QR_LOGIN_ENVELOPE, "/jslogin", also=("POST",), role="login")
LOGIN = get(
    "login", LoginPoll, LoginPollResponse, LOGIN_DOC, LOGIN_POLL_ENVELOPE, also=("POST",), role="login", timeout=35
)
NEW_LOGIN_PAGE = get("webwxnewloginpage", NewLoginPage, LoginPage, LOGIN_DOC, LOGIN_PAGE_ENVELOPE)
PUSH_LOGIN_URL = get("webwxpushloginurl", PushLogin, PushLoginResponse, LOGIN_DOC, RET_ENVELOPE)
LOGOUT = replace(
    get("webwxlogout", Logout, RawAnswer, "hotlcc/wechat4j: doc/web-weixin-api.md", RAW_ENVELOPE, also=("GET",)),
    method="POST",
)
