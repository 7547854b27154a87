"""What all calls share: who asks, Ret codes, and the shapes of an answer.

Sources: iKuiki/wwdk doc/protocol/send.md ("BaseRequest", "BaseResponse"); the browser bundle of 2022-03-01 in
wechaty/webwx-app-tracker; eatmoreapple/openwechat base_response.go.
"""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Struct, UnsetType

from yizhan.errors import LoginNeeded, NotAllowed, Rejected, TargetGone, Throttled, Unavailable, WireMismatch
from yizhan.wire import (
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpResponse,
    JsonCodec,
    MalformedRequest,
    as_struct,
    decode_javascript,
    json_object,
    mismatch,
)

Loose: TypeAlias = str | int | float | None
"""Numbers and strings that real clients use for each other."""
MaybeText: TypeAlias = str | UnsetType | None

PREFIX = "/cgi-bin/mmwebwx-bin"
WEB_JSON = JsonCodec("application/json; charset=UTF-8")

# --- Ret codes --------------------------------------------------------------------------------------------------------

BAD_PARAMETER = FaultCode(1, "bad parameter", means=Rejected, name="bad_parameter")
SYSTEM_ERROR = FaultCode(-1, "system error", means=Unavailable, name="system_error")
LOGIC_ERROR = FaultCode(-2, "logic error", means=Rejected, name="logic_error")
TICKET_ERROR = FaultCode(-14, "ticket error", means=LoginNeeded, name="ticket_error")
LOGGED_OUT = FaultCode(1100, "the session does not exist: logged out", means=LoginNeeded, name="logged_out")
LOGIN_ELSEWHERE = FaultCode(1101, "the session ended: logged in elsewhere", means=LoginNeeded, name="login_elsewhere")
COOKIE_INVALID = FaultCode(1102, "cookie missing or invalid", means=LoginNeeded, name="cookie_invalid")
UNREADABLE = FaultCode(1200, "the request cannot be read", means=Rejected, name="unreadable")
TARGET_GONE = FaultCode(1201, "the room does not exist for this account", means=TargetGone, name="target_gone")
LOGIN_REFUSED = FaultCode(1203, "login refused for this account", means=LoginNeeded, name="login_refused")
SELF_REFUSED = FaultCode(1204, "sending to oneself is refused", means=NotAllowed, name="self_refused")
TOO_FREQUENT = FaultCode(1205, "too frequent", means=Throttled, name="too_frequent")

FAULTS = FaultTable(
    [
        BAD_PARAMETER,
        SYSTEM_ERROR,
        LOGIC_ERROR,
        TICKET_ERROR,
        LOGGED_OUT,
        LOGIN_ELSEWHERE,
        COOKIE_INVALID,
        UNREADABLE,
        TARGET_GONE,
        LOGIN_REFUSED,
        SELF_REFUSED,
        TOO_FREQUENT,
    ]
)
CONFIRM_NEEDED = -2013
"""Ret of a room call that went well although some of the invited must agree first."""


class Base(Struct):
    """`BaseRequest`, in the body of every JSON call. Authenticate by Sid and Uin: real clients invent the rest."""

    Uin: Loose = 0
    Sid: Loose = ""
    Skey: Loose = ""
    DeviceID: Loose = ""


class Ok(Struct):
    """An answer with nothing in it but BaseResponse."""


# --- envelopes --------------------------------------------------------------------------------------------------------


def lines(data: bytes) -> bytes:
    """Lay out JSON as the service does: every member on a line of its own, no indentation, a line break at the end."""
    return _INDENT.sub(b"\n", msgspec.json.format(data, indent=1)) + b"\n"


_INDENT = re.compile(rb"\n +")


_NOTHING: Any = object()


def fitting(value: Any, type_: Any) -> Any:
    """Return `value` without the members that do not fit `type_`; numbers where text belongs become text."""
    if get_origin(type_) is list and isinstance(value, list):
        items = [fitting(item, get_args(type_)[0]) for item in value]
        return [item for item in items if item is not _NOTHING]
    if isinstance(type_, type) and issubclass(type_, Struct) and isinstance(value, dict):
        known = {f.encode_name: f.type for f in msgspec.structs.fields(type_)}
        members = {name: fitting(value[name], known[name]) for name in known if name in value}
        return {name: member for name, member in members.items() if member is not _NOTHING}
    if type_ is str and isinstance(value, (int, float)):
        return str(value)
    try:
        msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError:
        return _NOTHING
    return value


class _Shape:
    """What the envelopes have in common."""

    faults = FAULTS
    content_type = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()

    def malformed(self, _endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(UNREADABLE, str(error))

    def _respond(self, body: bytes, status: int = 200) -> HttpResponse:
        return HttpResponse(status, [("Content-Type", self.content_type), *self.headers], body)

    def _refusal(self, code: Any, text: str = "") -> Fault:
        row = self.faults.row(code, message="a code that no source explains")
        return Fault(row, text)


class JsonEnvelope(_Shape):
    """`BaseResponse` first, the members of the answer after it; a failure has the same members, empty."""

    fine = frozenset({0})
    ok_text = ""

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._body(0, self.ok_text, answer)

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        # The service leaves ErrMsg empty; what is put there says more than the code alone.
        text = "" if fault.message == fault.row.message else fault.message
        empty = fault.data if fault.data is not None else endpoint.response() if endpoint else Ok()
        return self._body(fault.row.code, text, empty, fault.http)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        base = body.get("BaseResponse")
        ret = base.get("Ret") if isinstance(base, dict) else None
        if not isinstance(base, dict) or not isinstance(ret, (int, str)):
            raise mismatch(endpoint, http, "BaseResponse.Ret is missing, or no number")
        if ret not in self.fine and str(ret) != "0":
            raise self._refusal(ret, str(base.get("ErrMsg") or ""))
        try:
            return as_struct(endpoint, http, body)
        except WireMismatch:
            # One odd member of one message must not keep everything after it from arriving.
            return as_struct(endpoint, http, fitting(body, endpoint.response))

    def _body(self, ret: int | str, text: str, answer: Any, status: int = 200) -> HttpResponse:
        head = msgspec.json.encode({"BaseResponse": {"Ret": ret, "ErrMsg": text}})
        rest = msgspec.json.encode(answer)
        return self._respond(lines(head if rest == b"{}" else head[:-1] + b"," + rest[1:]), status)


class UploadEnvelope(JsonEnvelope):
    """As JSON, but what cannot be read is a bad parameter (Ret 1), and browsers may read it from another origin."""

    headers = (("Access-Control-Allow-Origin", "*"),)

    def malformed(self, _endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(BAD_PARAMETER, str(error))


class RoomEnvelope(JsonEnvelope):
    """As JSON; says so when it went well, and -2013 is success."""

    fine = frozenset({0, CONFIRM_NEEDED})
    ok_text = "Everything is OK"


class RetEnvelope(_Shape):
    """`{"ret": "0", "msg": …}`; `ret` is a string."""

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._respond(lines(msgspec.json.encode(answer)))

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._respond(lines(msgspec.json.encode({"ret": str(fault.row.code), "msg": fault.message})))

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        if "ret" not in body:
            raise mismatch(endpoint, http, "ret is missing")
        if str(body["ret"]) != "0":
            raise self._refusal(body.get("ret"), str(body.get("msg") or ""))
        return as_struct(endpoint, http, body)


class QrLoginEnvelope(_Shape):
    """`window.QRLogin.code = 200; window.QRLogin.uuid = "…";`, the blanks included: one client cuts by them."""

    content_type = "text/javascript"

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._script(200, answer.uuid)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._script(fault.row.code, "")

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = decode_javascript(http.data)
        if "QRLogin.code" not in found:
            raise mismatch(endpoint, http, "window.QRLogin.code is missing")
        if found["QRLogin.code"] != "200":
            raise self._refusal(found["QRLogin.code"])
        return as_struct(endpoint, http, {"uuid": found.get("QRLogin.uuid", "")})

    def _script(self, code: int | str, uuid: str) -> HttpResponse:
        return self._respond(f'window.QRLogin.code = {code}; window.QRLogin.uuid = "{uuid}";'.encode())


class LoginPollEnvelope(_Shape):
    """`window.code=…;` without blanks; but `window.userAvatar = '…'` with them."""

    content_type = "text/javascript"
    states = frozenset({200, 201, 202, 400, 408, 500, 0})

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._respond(self._script(answer).encode())

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._respond(f"window.code={fault.row.code};".encode())

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = decode_javascript(http.data)
        code = found.get("code", "")
        if not code.lstrip("-").isdigit():
            raise mismatch(endpoint, http, "window.code is missing")
        if int(code) not in self.states:
            raise self._refusal(int(code))
        return as_struct(endpoint, http, found)

    @staticmethod
    def _script(answer: Any) -> str:
        match answer.code:
            case 200:
                return f'window.code=200;\nwindow.redirect_uri="{answer.redirect_uri}";'
            case 201:
                return f"window.code=201;window.userAvatar = '{answer.userAvatar}';"
        return f"window.code={answer.code};"


class SyncCheckEnvelope(_Shape):
    """`window.synccheck={retcode:"0",selector:"0"}`: values quoted, no blank anywhere."""

    content_type = "text/javascript"

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return self._script(answer.retcode, answer.selector)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._script(str(fault.row.code), "0")

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = decode_javascript(http.data)
        if "retcode" not in found:
            raise mismatch(endpoint, http, "retcode is missing")
        if found["retcode"] != "0":
            raise self._refusal(found["retcode"])
        return as_struct(endpoint, http, found)

    def _script(self, retcode: str, selector: str) -> HttpResponse:
        return self._respond(f'window.synccheck={{retcode:"{retcode}",selector:"{selector}"}}'.encode())


class LoginPageEnvelope(_Shape):
    """XML in the body of a 301; children of `<error>` even when all is well."""

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        fields = msgspec.to_builtins(answer)
        return self._respond(self.document({"ret": "0", "message": "", **fields}), 301)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._respond(self.document({"ret": str(fault.row.code), "message": fault.message}), 301)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = {name: html.unescape(value) for name, value in _ELEMENT.findall(http.data.decode("utf-8", "replace"))}
        if "ret" not in found:
            raise mismatch(endpoint, http, "<ret> is missing")
        if found["ret"] != "0":
            raise self._refusal(found["ret"], found.get("message", ""))
        # A redirect is the way in which this call answers.
        return as_struct(endpoint, dataclasses.replace(http, status=200), found)

    @staticmethod
    def document(fields: dict[str, Any]) -> bytes:
        inside = "".join(f"<{name}>{html.escape(str(value), quote=False)}</{name}>" for name, value in fields.items())
        return f"<error>{inside}</error>".encode()


_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")


class RawEnvelope(JsonEnvelope):
    """Bytes of a picture, a redirect, a page; a refusal is BaseResponse as JSON."""

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return answer if isinstance(answer, HttpResponse) else HttpResponse(200)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return super().fail(None, fault)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if http.content_type == "text/plain" and http.data.lstrip()[:1] == b"{":
            super().unwrap(endpoint, http)
        if http.status >= 400:
            raise mismatch(endpoint, http, "neither bytes nor a refusal")
        return http


JSON_ANSWER = JsonEnvelope()
UPLOAD_ANSWER = UploadEnvelope()
ROOM_ANSWER = RoomEnvelope()
RET_ANSWER = RetEnvelope()
QR_LOGIN_ANSWER = QrLoginEnvelope()
LOGIN_POLL_ANSWER = LoginPollEnvelope()
SYNC_CHECK_ANSWER = SyncCheckEnvelope()
LOGIN_PAGE_ANSWER = LoginPageEnvelope()
RAW_ANSWER = RawEnvelope()
