"""Chapters 登录相关, 个人信息, 安全: the account itself."""

from __future__ import annotations

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Digits, Request, interface


class QrCode(Struct):
    """Answer to 0. The page puts the picture's bytes into `data`, live clients read `qrcode` and `uuid`: all three."""

    uuid: str = ""
    qrcode: list[int] = []
    """Bytes of a PNG."""
    data: list[int] = []


class SelfProfile(Struct):
    """The account's own profile. Sources: page "个人信息/获取自己的信息"; yzqzy/wxbot-puppet-bridge."""

    userName: str = ""
    nickName: str = ""
    alias: str = ""
    smallHeadImgUrl: str = ""
    bigHeadImgUrl: str = ""
    signature: str = ""
    phone: str = ""
    sex: int = 0
    nation: str = ""
    province: str = ""
    city: str = ""
    uin: Digits = 0
    isLogin: bool = True
    """Whether an account is logged in; clients have no other way to tell."""
    cachePath: str = ""
    dbKey: str = ""
    exePath: str = ""


class SelfProfileAnswer(Struct):
    data: SelfProfile


LOGIN_QRCODE = interface(0, "login_qrcode", Request, QrCode, "登录相关/获取登录二维码")

SELF_PROFILE = interface(28, "self_profile", Request, SelfProfileAnswer, "个人信息/获取自己的信息")
