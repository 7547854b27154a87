"""The form of the platform's answers: bare JSON for a success, four keys and a status for a refusal.

Source: "API 调用指南" (2026-09) for err_code, message, trace_id; captured answers
(tencent-connect/botpy#172, #198) show `code` beside them. botgo's comments announce the end of `code`, so `err_code` is
read first.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from yizhan.platforms.qqbot.wire.faults import BAD_FORM_BODY, FAULTS, PROXY_REFUSED, TOKEN_INTERNAL, TOKEN_TABLE
from yizhan.wire import (
    BodyTooLarge,
    Endpoint,
    Fault,
    FaultTable,
    HttpResponse,
    MalformedRequest,
    as_struct,
    declare_secrets,
    json_object,
    mismatch,
)

JSON_TYPE = ("Content-Type", "application/json")
"""Without parameters: a widely used client compares for equality and takes anything else for text."""
TRACE_HEADER = "X-Tps-trace-ID"

declare_secrets("x-signature-ed25519")

_encode = msgspec.json.Encoder().encode


class BareJson:
    """The envelope of every call but the access token's."""

    faults: FaultTable = FAULTS

    def wrap(self, _endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        body = b"{}" if answer is None else _encode(answer)
        return HttpResponse(200, [JSON_TYPE, trace()], body)

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        trace_id = fault.trace_id or new_trace_id()
        if fault.row is PROXY_REFUSED:
            return HttpResponse(413, [("Content-Type", "text/html"), (TRACE_HEADER, trace_id)], PROXY_PAGE)
        code = fault.row.code
        body = {"message": fault.message, "code": code, "err_code": code if fault.row.also is None else fault.row.also}
        if fault.data is not None:
            body["data"] = fault.data
        return HttpResponse(fault.http, [JSON_TYPE, (TRACE_HEADER, trace_id)], _encode(body | {"trace_id": trace_id}))

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = self._body(endpoint, http) if http.body else {}
        code = body.get("err_code") or body.get("code")
        if code:
            if not str(code).lstrip("-").isdigit():
                raise mismatch(endpoint, http, "the code is no number")
            raise self._fault(http, body)
        return as_struct(endpoint, http, body)

    def malformed(self, _endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        if isinstance(error, BodyTooLarge):
            return Fault(PROXY_REFUSED)
        return Fault(BAD_FORM_BODY, f"{BAD_FORM_BODY.message}: {error}")

    def _fault(self, http: HttpResponse, body: dict[str, Any]) -> Fault:
        message = str(body.get("message") or "")
        row = self.faults.row(body.get("err_code") or None, body.get("code") or None, http=http.status, message=message)
        trace_id = str(body.get("trace_id") or http.header(TRACE_HEADER))
        return Fault(row, message, http=http.status, trace_id=trace_id, data=body.get("data"))

    def _body(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> dict[str, Any]:
        if http.status == PROXY_REFUSED.http and not http.data.lstrip().startswith(b"{"):
            raise Fault(PROXY_REFUSED, trace_id=http.header(TRACE_HEADER))
        return json_object(endpoint, http)


class TokenJson(BareJson):
    """The envelope of the access token: errors have no `err_code` and may come with status 200, the token decides."""

    faults = TOKEN_TABLE

    def fail(self, _endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        body = _encode({"code": fault.row.code, "message": fault.message})
        return HttpResponse(fault.http, [JSON_TYPE, (TRACE_HEADER, fault.trace_id or new_trace_id())], body)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = self._body(endpoint, http)
        if not body.get("access_token"):
            raise self._fault(http, body)
        return as_struct(endpoint, http, body)

    def malformed(self, _endpoint: Endpoint[Any, Any] | None, _error: MalformedRequest) -> Fault:
        return Fault(TOKEN_INTERNAL)


ENVELOPE = BareJson()
TOKEN_ENVELOPE = TokenJson()

PROXY_PAGE = (
    b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    b"<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>stgw</center>\r\n</body>\r\n</html>\r\n"
)


def new_trace_id() -> str:
    return secrets.token_hex(16)


def trace() -> tuple[str, str]:
    """Return the header of every answer with a new trace id."""
    return TRACE_HEADER, new_trace_id()
