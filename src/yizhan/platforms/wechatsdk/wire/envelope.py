"""One path, a number that names the call, and an envelope with three places where a "no" may stand.

`{"error_code":10000,"description":"","type":N,"robot":{…},"data":{"status":0,"desc":"",…}}`, always HTTP 200. Success
is 10000 *and* `data.status` 0. Payload fields are beside `status`, or one level deeper in `data.data`.
Source: every page's "返回参数" table; pages "错误代码"; dchaofei/puppet-win: winapi/scheme.go (`robot`, `type`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct

from yizhan.errors import (
    ContentRefused,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    TargetGone,
    Throttled,
)
from yizhan.model.secret import Secret
from yizhan.wire import (
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpRequest,
    HttpResponse,
    JsonCodec,
    MalformedRequest,
    WrongField,
    as_struct,
    json_object,
    mismatch,
)

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


PATH = "/api/"
SUCCESS = 10000

Digits: TypeAlias = str | int
"""A number that the pages declare as text: both are taken, text is written."""

# Numbers of `error_code`.
BAD_JSON = FaultCode(10001, "json parse error")
MISSING = FaultCode(10002, "missing parameter", name="missing_parameter")
BAD_SECRET = FaultCode(10002, "secretKey invalid", means=LoginNeeded, name="secret_key_invalid")
UNKNOWN_INTERFACE = FaultCode(10003, "unknown type")
LICENCE_EXPIRED = FaultCode(10004, "licence expired", means=LoginNeeded)

# Values of `data.status`; the page says only "negative: failed, read desc". The texts are what tells them apart.
FAILED = FaultCode(-1, "failed")
NOT_LOGGED_IN = FaultCode(-1, "not login", means=LoginNeeded, name="not_login")
USER_NOT_FOUND = FaultCode(-1, "user not found", means=TargetGone)
NOT_A_FRIEND = FaultCode(-1, "not friend", means=NotAllowed, name="not_friend")
NOT_IN_GROUP = FaultCode(-1, "not in chatroom", means=NotAllowed, name="not_in_chatroom")
NO_PERMISSION = FaultCode(-1, "no permission", means=NotAllowed)
FILE_MISSING = FaultCode(-1, "file not exists", means=HandleExpired, name="file_not_exists")
PATH_REFUSED = FaultCode(-1, "path not allowed", means=NotAllowed, name="path_not_allowed")
FILE_REFUSED = FaultCode(-1, "file not supported", means=ContentRefused, name="file_not_supported")
TOO_LARGE = FaultCode(-1, "content too large", means=ContentRefused)
FILE_ID_UNKNOWN = FaultCode(-1, "fileid not exists", means=HandleExpired, name="fileid_not_exists")
FILE_MISMATCH = FaultCode(-1, "file info mismatch", means=ContentRefused, name="file_info_mismatch")
BAD_XML = FaultCode(-1, "xml invalid", means=ContentRefused, name="xml_invalid")
BAD_TICKET = FaultCode(-1, "user ticket invalid", name="ticket_invalid")
MESSAGE_NOT_FOUND = FaultCode(-1, "message not found")
REVOKE_TOO_LATE = FaultCode(-1, "revoke timeout", name="revoke_timeout")
TOO_OFTEN = FaultCode(-1, "operation too frequent", means=Throttled, retry_after=60, name="too_frequent")
BAD_SQL = FaultCode(-1, "sql error", name="sql_error")
NOT_SUPPORTED = FaultCode(-1, "not supported")
ALREADY_LOGGED_IN = FaultCode(-2, "already login", name="already_login")

FAULTS = FaultTable.of(globals())
_ERROR_CODES = frozenset({10001, 10002, 10003, 10004})


class NotJson(MalformedRequest):
    """The body is no JSON object, which has a number of its own (10001)."""


class Request(Struct, kw_only=True, omit_defaults=True):
    """The fields that every call may have. Source: page "安全/设置API访问秘钥"."""

    secretKey: Annotated[str, Secret()] = ""
    """Required on every call once interface 1006 set one."""


class AsyncRequest(Request, kw_only=True, omit_defaults=True):
    """Calls of the sending and CDN groups. Source: release note 2024-06-06; page "发送消息/转发文件".

    With `bAsync` the call answers at once and the result comes as push type 0, with `asyncUserData` unchanged.
    """

    bAsync: bool = False
    asyncUserData: Any = UNSET
    """Any JSON."""


class Robot(Struct):
    """The account that answers or received something; in every answer and push. Source: dchaofei/puppet-win."""

    userName: str = ""
    nickName: str = ""
    alias: str = ""
    smallHeadImgUrl: str = ""
    isLogin: bool = True
    pid: int = 4242
    port: int = 8888


class Done(Struct):
    """Nothing more than `status` and `desc`."""


class SdkCodec(JsonCodec):
    """JSON with any Content-Type; `type` must be an integer."""

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        if not any(isinstance(piece, bytes) and piece.strip() for piece in http.body):
            raise NotJson("json parse error")
        try:
            fields = super().decode(http)
        except MalformedRequest as error:
            raise NotJson("json parse error") from error
        number = fields.get("type")
        if not isinstance(number, int) or isinstance(number, bool):
            raise MalformedRequest("missing parameter: type" if number is None else "parameter type must be an integer")
        return fields


SDK_JSON = SdkCodec()


class SdkEnvelope:
    """How the API wraps its answers. `robot` tells which account answers; without it that part is left out."""

    faults = FAULTS

    def __init__(self, robot: Callable[[], Robot] | None = None) -> None:
        self._robot = robot

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        data = {"status": 0, "desc": "", **msgspec.to_builtins(answer)}
        return self._answer(endpoint, SUCCESS, "", data)

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        code = fault.row.code
        more = dict(fault.data or {})
        asked = more.pop("type", None)
        # One official client reads `data.status` without looking at `error_code`, so it is always there.
        if code in _ERROR_CODES or fault.http != 200:
            number = code if code in _ERROR_CODES else UNKNOWN_INTERFACE.code
            data = {"status": -1, "desc": fault.message}
            return self._answer(endpoint, number, fault.message, data, fault.http, asked)
        return self._answer(endpoint, SUCCESS, "", {"status": code, "desc": fault.message, **more}, asked=asked)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        data = body.get("data")
        # Samples of some pages leave error_code out; a client that works accepts 0 as well.
        if (code := body.get("error_code", SUCCESS)) not in (SUCCESS, 0, str(SUCCESS)):
            words = str(body.get("description") or "")
            raise Fault(FAULTS.worded(code, words), words)
        if not isinstance(data, dict):
            raise mismatch(endpoint, http, "there is no object 'data'")
        if str(status := data.get("status", 0)) != "0":
            words = str(data.get("desc") or "")
            raise Fault(FAULTS.worded(status, words), words)
        return as_struct(endpoint, http, data)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        if isinstance(error, NotJson):
            return Fault(BAD_JSON)
        if isinstance(error, WrongField) and error.missing:
            return Fault(MISSING, f"missing parameter: {error.name}")
        return Fault(MISSING, str(error))

    def _answer(
        self,
        endpoint: Endpoint[Any, Any] | None,
        code: Any,
        words: str,
        data: Any,
        http: int = 200,
        asked: int | None = None,
    ) -> HttpResponse:
        """Return an answer that repeats the interface's number; `asked`: that of an interface without endpoint."""
        body: dict[str, Any] = {"error_code": code, "description": words}
        number = asked if endpoint is None else endpoint.constants.get("type", asked)
        if number is not None:
            body["type"] = number
        if self._robot is not None:
            body["robot"] = self._robot()
        body["data"] = data
        return HttpResponse(http, [("Content-Type", "application/json")], msgspec.json.encode(body))


ENVELOPE = SdkEnvelope()


def interface(
    number: int,
    name: str,
    request: type[Req],
    response: type[Res],
    page: str,
    *,
    acts: bool = False,
    target: str = "",
    timeout: float = 30.0,
) -> Endpoint[Req, Res]:
    """Return the endpoint of one interface number. `page`: the vendor's page, by category and title."""
    return Endpoint(
        name,
        "POST",
        PATH,
        request,
        response,
        ENVELOPE,
        f'WeChatSDK page "{page}"',
        codec=SDK_JSON,
        constants={"type": number},
        acts=acts,
        target=target,
        timeout=timeout,
    )
