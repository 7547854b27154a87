"""Chapters 登录相关, 个人信息, 安全: the account's own profile, codes and key."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Digits, Done, Request, interface


class AnyAnswer(Struct):
    """A payload that no source describes closely."""

    data: Any = None


class SetSecretKey(Request, kw_only=True):
    newSecretKey: str
    """The empty string takes the key away."""


class FakeVersion(Request, kw_only=True):
    version: str


class SetNickname(Request, kw_only=True):
    nickName: str


class SetSignature(Request, kw_only=True):
    signature: str


class SetSex(Request, kw_only=True):
    sex: int
    """0 unknown, 1 male, 2 female."""


class SetRegion(Request, kw_only=True, omit_defaults=True):
    nation: str
    province: str = ""
    city: str = ""


class SetAvatar(Request, kw_only=True):
    filePath: str


class SetPat(Request, kw_only=True):
    content: str


class PaymentCode(Request, kw_only=True, omit_defaults=True):
    amount: Digits = 0
    """Cents."""


class CheckUrl(Request, kw_only=True):
    url: str


LOGOUT = interface(81, "logout", Request, Done, "登录相关/退出登录", acts=True)

LOCK = interface(69, "lock", Request, Done, "登录相关/锁定微信")

SET_SECRET_KEY = interface(1006, "set_secret_key", SetSecretKey, Done, "安全/设置API访问秘钥")

FAKE_VERSION = interface(1005, "fake_version", FakeVersion, Done, "登录相关/伪装版本")

SELF_QRCODE = interface(14, "self_qrcode", Request, AnyAnswer, "个人信息/获取个人二维码")

SET_NICKNAME = interface(10046, "set_nickname", SetNickname, Done, "个人信息/修改昵称", acts=True)

SET_SIGNATURE = interface(10049, "set_signature", SetSignature, Done, "个人信息/修改个性签名", acts=True)

SET_SEX = interface(10048, "set_sex", SetSex, Done, "个人信息/修改性别", acts=True)

SET_REGION = interface(10050, "set_region", SetRegion, Done, "个人信息/修改地区", acts=True)

SET_AVATAR = interface(64, "set_avatar", SetAvatar, Done, "个人信息/修改头像", acts=True)

SET_PAT = interface(10047, "set_pat", SetPat, Done, "个人信息/修改拍一拍", acts=True)

OWN_CHANNELS = interface(10041, "own_channels", Request, AnyAnswer, "个人信息/获取自己的视频号身份")

PAYMENT_CODE = interface(47, "payment_code", PaymentCode, AnyAnswer, "个人信息/获取收款码")

LONG_PAYMENT_CODE = interface(10087, "long_payment_code", PaymentCode, AnyAnswer, "个人信息/获取长期收款码")

CHECK_URL = interface(10111, "check_url", CheckUrl, AnyAnswer, "登录相关/检测链接是否被屏蔽")
