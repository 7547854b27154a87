"""The faults, and the two envelopes: JSON of the API host, bytes of the CDN."""

from __future__ import annotations

from typing import Any

import msgspec

from yizhan.errors import (
    ContentRefused,
    LoginNeeded,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
)
from yizhan.wire import (
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpResponse,
    MalformedRequest,
    as_struct,
    declare_secret_shape,
    json_object,
    undocumented,
)

STALE_TOKEN = FaultCode(-14, "session timeout", means=LoginNeeded)
BAD_CURSOR = FaultCode(-3, "invalid get_updates_buf", means=Rejected)
BAD_RECIPIENT = FaultCode(-1, "invalid to_user_id", means=TargetGone)
PREPARE_FAILED = FaultCode(-2, "prepare failed", means=WindowClosed)
UNUSABLE_CONTEXT = FaultCode(-2, "unknown error", means=WindowClosed)
RATE_LIMITED = FaultCode(-2, "rate limited", means=Throttled, retry_after=30, concerns="target")
FREQ_LIMIT = FaultCode(-2, "freq limit", means=Throttled, retry_after=30, concerns="target")
INVALID_ARGUMENTS = FaultCode(-2, "invalid arguments", means=Rejected)
TOO_FAST = FaultCode(-12, "rate limit", means=Throttled, retry_after=30, concerns="target")
CDN_PARAM = FaultCode(400, "invalid encrypted_param", http=400, means=Rejected)
CDN_ILLEGAL = FaultCode(-5102031, "illegal content", http=400, means=ContentRefused)
CDN_FAILED = FaultCode(500, "internal error", http=500, means=Unavailable)

FAULTS = FaultTable.of(globals())


def fault_row(endpoint: Endpoint[Any, Any] | None, code: int, text: str, http: int = 200) -> FaultCode:
    """Return the row for a code and its words: -2 has several meanings that only the words distinguish."""
    same = [row for row in FAULTS.rows if row.code == code]
    for row in same:
        if row.message in text.lower():
            return row
    if code == PREPARE_FAILED.code:
        # Unknown words: while sending, the context is the usual reason; elsewhere the request is.
        return UNUSABLE_CONTEXT if endpoint is not None and endpoint.acts else INVALID_ARGUMENTS
    return same[0] if same else undocumented(code, text, http)


# Bot tokens are recognized by their form, also inside lists.
declare_secret_shape(r"(@im\.bot:)[0-9A-Za-z]{6,}")

_OCTETS = ("Content-Type", "application/octet-stream")
"""The API host labels its JSON so, too; clients that insist on application/json fail against the service."""


class JsonEnvelope:
    """HTTP 200 for success and failure; a failure has `ret` or `errcode` (never both in live answers) and `errmsg`."""

    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return HttpResponse(200, [_OCTETS], msgspec.json.encode(answer))

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        name = "errcode" if fault.row.code == STALE_TOKEN.code else "ret"
        body = msgspec.json.encode({name: fault.row.code, "errmsg": fault.message})
        return HttpResponse(fault.http, [_OCTETS, *_why(fault)], body)

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http) if http.data.strip() else {}
        code = _number(body.get("ret")) or _number(body.get("errcode"))
        if code:
            text = str(body.get("errmsg") or "")
            raise Fault(fault_row(endpoint, code, text, http.status), text, http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(INVALID_ARGUMENTS, data=str(error))


class CdnEnvelope:
    """Bytes with headers. Success is HTTP 200 exactly; the words of a failure are in `x-error-message`."""

    faults = FAULTS

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        return HttpResponse(200, [_OCTETS], answer if isinstance(answer, bytes) else (answer,))

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        headers = [("x-error-code", str(fault.row.code)), ("x-error-message", _header_text(fault.message))]
        return HttpResponse(fault.http if fault.http >= 400 else 400, [*headers, *_why(fault)])

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        if http.status != 200:
            text = http.header("x-error-message")
            code = _number(http.header("x-error-code")) or http.status
            row = fault_row(endpoint, code, text, http.status)
            if row.means is Rejected and not 400 <= http.status < 500:
                # Only a 4xx is a refusal; everything else is tried again, as by the official client.
                row = FaultCode(code, text, http=http.status, means=Unavailable)
            raise Fault(row, text or "no text", http=http.status)
        return http

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        return Fault(CDN_PARAM, data=str(error))


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _why(fault: Fault) -> list[tuple[str, str]]:
    """Return the sandbox's reason, in a header that clients do not read."""
    return [("x-sandbox-why", _header_text(fault.data))] if isinstance(fault.data, str) else []


def _header_text(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:400]


ENVELOPE = JsonEnvelope()
CDN_ENVELOPE = CdnEnvelope()
