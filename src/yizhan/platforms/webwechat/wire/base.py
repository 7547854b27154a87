"""The parts that all calls share: credentials, Ret codes, loose types and the shape of an endpoint.

Sources: iKuiki/wwdk doc/protocol/send.md ("BaseRequest", "BaseResponse"); the browser bundle of 2022-03-01 in
wechaty/webwx-app-tracker; eatmoreapple/openwechat base_response.go.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Struct, UnsetType

from yizhan.errors import LoginNeeded, NotAllowed, Rejected, TargetGone, Throttled, Unavailable
from yizhan.model.secret import Secret
from yizhan.wire import FaultCode, FaultTable, JsonCodec, declare_secrets

NumberOrText: TypeAlias = str | int | float | None
"""Real clients send some fields as a number, others as a string."""
OptionalText: TypeAlias = str | UnsetType | None

# Cookies, and attributes of the XML of media; the fields of requests and answers are marked in their structs.
declare_secrets("wxsid", "webwx_data_ticket", "webwx_auth_ticket", "webwxuvid", "aeskey", "cdnthumbaeskey")

PREFIX = "/cgi-bin/mmwebwx-bin"
WEB_JSON = JsonCodec("application/json; charset=UTF-8")

BUNDLE = "wechaty/webwx-app-tracker: formatted/webwxApp.js"
"""The source of a fact that was read from the page's own script."""

BAD_PARAMETER = FaultCode(1, "bad parameter", means=Rejected)
SYSTEM_ERROR = FaultCode(-1, "system error", means=Unavailable)
LOGIC_ERROR = FaultCode(-2, "logic error", means=Rejected)
TICKET_ERROR = FaultCode(-14, "ticket error", means=LoginNeeded)
LOGGED_OUT = FaultCode(1100, "the session does not exist: logged out", means=LoginNeeded)
LOGIN_ELSEWHERE = FaultCode(1101, "the session ended: logged in elsewhere", means=LoginNeeded)
COOKIE_INVALID = FaultCode(1102, "cookie missing or invalid", means=LoginNeeded)
UNREADABLE = FaultCode(1200, "the request cannot be read", means=Rejected)
TARGET_GONE = FaultCode(1201, "the room does not exist for this account", means=TargetGone)
LOGIN_REFUSED = FaultCode(1203, "login refused for this account", means=LoginNeeded)
SELF_REFUSED = FaultCode(1204, "sending to oneself is refused", means=NotAllowed)
TOO_FREQUENT = FaultCode(1205, "too frequent", means=Throttled)

FAULTS = FaultTable.of(globals())

CONFIRM_NEEDED = -2013
"""Ret of a room call that succeeded although some of the invited people must confirm first."""


class Credentials(Struct):
    """`BaseRequest`, in the body of every JSON call. Servers check Sid and Uin: real clients invent the rest."""

    Uin: NumberOrText = 0
    Sid: Annotated[NumberOrText, Secret()] = ""
    Skey: Annotated[NumberOrText, Secret()] = ""
    DeviceID: NumberOrText = ""


class EmptyResponse(Struct):
    """A response that has no members beside BaseResponse."""
