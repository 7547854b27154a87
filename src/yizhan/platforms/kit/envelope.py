"""The envelope of most JSON APIs: a code and words in every answer, beside the fields of the answer itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from yizhan.wire import (
    BodyTooLarge,
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    HttpResponse,
    MalformedRequest,
    as_struct,
    json_object,
    mismatch,
)


@dataclass(frozen=True)
class JsonEnvelope:
    """`{"errcode": 0, "errmsg": "ok", …}`: `code` and `message` name the two fields.

    Every successful answer has the fields of `success`; if `code` is one of them, an answer without it is not the
    platform's. Rows of `faults` that share a number are distinguished by their words. `unreadable` answers
    malformed requests, `too_large` bodies over the limit (`unreadable` if None).
    """

    faults: FaultTable
    unreadable: FaultCode
    code: str
    message: str
    success: Mapping[str, Any] = field(default_factory=dict)
    too_large: FaultCode | None = None
    content_type: str = "application/json"

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        if answer is None:
            return self._response(200, dict(self.success))
        return self._response(200, {**self.success, **msgspec.to_builtins(answer)})

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        more = fault.data if isinstance(fault.data, Mapping) else {}
        return self._response(fault.http, {self.code: fault.row.code, self.message: fault.message, **more})

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        code = body.get(self.code)
        if code is None and self.code in self.success:
            raise mismatch(endpoint, http, f"there is no '{self.code}'")
        if code is not None and str(code) != str(self.success.get(self.code, "")):
            if not isinstance(code, int | str):
                raise mismatch(endpoint, http, f"'{self.code}' is no code")
            words = str(body.get(self.message) or "")
            raise Fault(self.faults.worded(code, words, http.status), words, http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        if isinstance(error, BodyTooLarge) and self.too_large is not None:
            return Fault(self.too_large)
        return Fault(self.unreadable, f"{self.unreadable.message}: {error}")

    def _response(self, status: int, body: Mapping[str, Any]) -> HttpResponse:
        return HttpResponse(status, [("Content-Type", self.content_type)], msgspec.json.encode(body))
