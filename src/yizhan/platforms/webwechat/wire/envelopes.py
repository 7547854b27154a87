"""The shapes of a response: JSON with a BaseResponse, JavaScript assignments, XML in a redirect, raw bytes.

Every envelope is stateless; one instance of each is at the end of the module.
"""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from yizhan.errors import WireMismatch
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, CONFIRM_NEEDED, FAULTS, UNREADABLE, EmptyResponse
from yizhan.wire import (
    Endpoint,
    Fault,
    FaultCode,
    HttpResponse,
    MalformedRequest,
    as_struct,
    decode_javascript,
    json_object,
    mismatch,
)


class _BaseEnvelope:
    """Fault look-up and response headers."""

    faults = FAULTS
    content_type = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    malformed_code: FaultCode = UNREADABLE

    def malformed(self, _endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(self.malformed_code, str(error))

    def _respond(self, body: bytes, status: int = 200) -> HttpResponse:
        return HttpResponse(status, [("Content-Type", self.content_type), *self.headers], body)

    def _refusal(self, code: Any, text: str = "") -> Fault:
        return Fault(self.faults.row(code, message="an undocumented code"), text)


class JsonEnvelope(_BaseEnvelope):
    """`BaseResponse` first, then the response's members; a failure has the same members, empty."""

    success = frozenset({0})
    success_text = ""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return self._json(0, self.success_text, response)

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        # The service leaves ErrMsg empty, so only words that say more than the code go into it.
        text = "" if fault.message == fault.row.message else fault.message
        empty = fault.data if fault.data is not None else endpoint.response() if endpoint else EmptyResponse()
        return self._json(fault.row.code, text, empty, fault.http)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        base = body.get("BaseResponse")
        ret = base.get("Ret") if isinstance(base, dict) else None
        if not isinstance(base, dict) or not isinstance(ret, (int, str)):
            raise mismatch(endpoint, http, "BaseResponse.Ret is missing or not a number")
        if ret not in self.success and str(ret) != "0":
            raise self._refusal(ret, str(base.get("ErrMsg") or ""))
        try:
            return as_struct(endpoint, http, body)
        except WireMismatch:
            # One malformed member of one message must not block the stream behind it.
            return as_struct(endpoint, http, without_misfits(body, endpoint.response))

    def _json(self, ret: int | str, text: str, response: Any, status: int = 200) -> HttpResponse:
        head = msgspec.json.encode({"BaseResponse": {"Ret": ret, "ErrMsg": text}})
        rest = msgspec.json.encode(response)
        return self._respond(vendor_layout(head if rest == b"{}" else head[:-1] + b"," + rest[1:]), status)


class UploadEnvelope(JsonEnvelope):
    """JSON; a malformed request is Ret 1, and browsers may read the response from another origin."""

    headers = (("Access-Control-Allow-Origin", "*"),)
    malformed_code = BAD_PARAMETER


class RoomEnvelope(JsonEnvelope):
    """JSON; success has a text, and -2013 counts as success."""

    success = frozenset({0, CONFIRM_NEEDED})
    success_text = "Everything is OK"


class RetEnvelope(_BaseEnvelope):
    """`{"ret": "0", "msg": …}`; `ret` is a string."""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return self._respond(vendor_layout(msgspec.json.encode(response)))

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        body = {"ret": str(fault.row.code), "msg": fault.message}
        return self._respond(vendor_layout(msgspec.json.encode(body)))

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        if "ret" not in body:
            raise mismatch(endpoint, http, "ret is missing")
        if str(body["ret"]) != "0":
            raise self._refusal(body.get("ret"), str(body.get("msg") or ""))
        return as_struct(endpoint, http, body)


class _ScriptEnvelope(_BaseEnvelope):
    """JavaScript assignments to members of `window`."""

    content_type = "text/javascript"

    def _script(self, text: str) -> HttpResponse:
        return self._respond(text.encode())

    def _assignments(self, endpoint: Endpoint[Any, Any], http: HttpResponse, required: str) -> dict[str, str]:
        found = decode_javascript(http.data)
        if required not in found:
            raise mismatch(endpoint, http, f"window.{required} is missing")
        return found


class QrLoginEnvelope(_ScriptEnvelope):
    """`window.QRLogin.code = 200; window.QRLogin.uuid = "…";`: one client's pattern needs the blanks."""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return self._script(f'window.QRLogin.code = 200; window.QRLogin.uuid = "{response.uuid}";')

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._script(f'window.QRLogin.code = {fault.row.code}; window.QRLogin.uuid = "";')

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = self._assignments(endpoint, http, "QRLogin.code")
        if found["QRLogin.code"] != "200":
            raise self._refusal(found["QRLogin.code"])
        return as_struct(endpoint, http, {"uuid": found.get("QRLogin.uuid", "")})


class LoginPollEnvelope(_ScriptEnvelope):
    """`window.code=…;` without blanks, but `window.userAvatar = '…'` with them."""

    states = frozenset({200, 201, 202, 400, 408, 500, 0})

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        match response.code:
            case 200:
                return self._script(f'window.code=200;\nwindow.redirect_uri="{response.redirect_uri}";')
            case 201:
                return self._script(f"window.code=201;window.userAvatar = '{response.userAvatar}';")
        return self._script(f"window.code={response.code};")

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._script(f"window.code={fault.row.code};")

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = self._assignments(endpoint, http, "code")
        code = found["code"]
        if not code.lstrip("-").isdigit():
            raise mismatch(endpoint, http, "window.code is not a number")
        if int(code) not in self.states:
            raise self._refusal(int(code))
        return as_struct(endpoint, http, found)


class SyncCheckEnvelope(_ScriptEnvelope):
    """`window.synccheck={retcode:"0",selector:"0"}`: values in quotes, no blanks."""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return self._synccheck(response.retcode, response.selector)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._synccheck(str(fault.row.code), "0")

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = self._assignments(endpoint, http, "retcode")
        if found["retcode"] != "0":
            raise self._refusal(found["retcode"])
        return as_struct(endpoint, http, found)

    def _synccheck(self, retcode: str, selector: str) -> HttpResponse:
        return self._script(f'window.synccheck={{retcode:"{retcode}",selector:"{selector}"}}')


class LoginPageEnvelope(_BaseEnvelope):
    """XML in the body of a 301; the children of `<error>` are there on success, too."""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return self._respond(self.document({"ret": "0", "message": "", **msgspec.to_builtins(response)}), 301)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return self._respond(self.document({"ret": str(fault.row.code), "message": fault.message}), 301)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        found = {name: html.unescape(value) for name, value in _ELEMENT.findall(http.data.decode("utf-8", "replace"))}
        if "ret" not in found:
            raise mismatch(endpoint, http, "<ret> is missing")
        if found["ret"] != "0":
            raise self._refusal(found["ret"], found.get("message", ""))
        # This call answers in the body of a redirect, so its status says nothing.
        return as_struct(endpoint, dataclasses.replace(http, status=200), found)

    @staticmethod
    def document(fields: dict[str, Any]) -> bytes:
        children = "".join(f"<{name}>{html.escape(str(value), quote=False)}</{name}>" for name, value in fields.items())
        return f"<error>{children}</error>".encode()


_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")


class RawEnvelope(JsonEnvelope):
    """The bytes of a picture, a redirect or a page; a refusal is a BaseResponse as JSON."""

    def wrap(self, _endpoint: Endpoint[Any, Any], response: Any) -> HttpResponse:
        return response if isinstance(response, HttpResponse) else HttpResponse(200)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        return super().fail(None, fault)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if http.content_type == "text/plain" and http.data.lstrip()[:1] == b"{":
            super().unwrap(endpoint, http)
        if http.status >= 400:
            raise mismatch(endpoint, http, "neither bytes nor a refusal")
        return http


JSON_ENVELOPE = JsonEnvelope()
UPLOAD_ENVELOPE = UploadEnvelope()
ROOM_ENVELOPE = RoomEnvelope()
RET_ENVELOPE = RetEnvelope()
QR_LOGIN_ENVELOPE = QrLoginEnvelope()
LOGIN_POLL_ENVELOPE = LoginPollEnvelope()
SYNC_CHECK_ENVELOPE = SyncCheckEnvelope()
LOGIN_PAGE_ENVELOPE = LoginPageEnvelope()
RAW_ENVELOPE = RawEnvelope()


def vendor_layout(data: bytes) -> bytes:
    """Lay out JSON as the service does: one member per line, no indentation, a newline at the end."""
    return _INDENT.sub(b"\n", msgspec.json.format(data, indent=1)) + b"\n"


_INDENT = re.compile(rb"\n +")
_MISFIT: Any = object()


def without_misfits(value: Any, type_: Any) -> Any:
    """Return `value` without the members that do not convert to `type_`; numbers in text fields become text."""
    if get_origin(type_) is list and isinstance(value, list):
        items = [without_misfits(item, get_args(type_)[0]) for item in value]
        return [item for item in items if item is not _MISFIT]
    if isinstance(type_, type) and issubclass(type_, Struct) and isinstance(value, dict):
        known = {f.encode_name: f.type for f in msgspec.structs.fields(type_)}
        members = {name: without_misfits(value[name], known[name]) for name in known if name in value}
        return {name: member for name, member in members.items() if member is not _MISFIT}
    if type_ is str and isinstance(value, (int, float)):
        return str(value)
    try:
        msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError:
        return _MISFIT
    return value
