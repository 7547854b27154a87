"""The envelope: how a platform wraps success and failure around an answer. Where platforms differ most."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import msgspec

from yizhan.errors import WireMismatch
from yizhan.wire.endpoint import Endpoint
from yizhan.wire.fault import Fault, FaultTable
from yizhan.wire.http import HttpResponse, MalformedRequest, RawAnswer
from yizhan.wire.mask import mask_text
from yizhan.wire.outcome import SUCCESS

T = TypeVar("T")


class Envelope(Protocol):
    """Ten lines per platform. `yizhan.wire.outcome` judges by HTTP status; an envelope looks at the body alone."""

    faults: FaultTable

    def wrap(self, endpoint: Endpoint[Any, Any], answer: Any) -> HttpResponse:
        """Success, as the platform writes it."""

    def fail(self, endpoint: Endpoint[Any, Any] | None, fault: Fault) -> HttpResponse:
        """Failure, as the platform writes it. `endpoint` is None when no call of that path exists."""

    def unwrap(self, endpoint: Endpoint[Any, Any], http: HttpResponse) -> Any:
        """Read an answer. Raises Fault for a refusal in the platform's own words, WireMismatch for any other body."""

    def malformed(self, endpoint: Endpoint[Any, Any] | None, error: MalformedRequest) -> Fault:
        """The fault with which the platform answers a request that it cannot read."""


def json_object(endpoint: Endpoint[Any, Any], http: HttpResponse) -> dict[str, Any]:
    """Return the answer's JSON object.

    Raises:
        WireMismatch: it is not a JSON object; the text has a masked excerpt.
    """
    try:
        value = msgspec.json.decode(http.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise mismatch(endpoint, http, f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise mismatch(endpoint, http, "not a JSON object")
    return value


def as_struct(endpoint: Endpoint[Any, T], http: HttpResponse, value: Any) -> T:
    """Convert decoded JSON to the endpoint's response struct, leniently (unknown fields, numbers as text).

    Raises:
        WireMismatch: a required field is missing or of the wrong kind.
    """
    if http.status not in SUCCESS:
        raise mismatch(endpoint, http, "a success under a status that says otherwise")
    if endpoint.response is RawAnswer:
        return http  # type: ignore[return-value]
    try:
        return msgspec.convert(value, endpoint.response, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise mismatch(endpoint, http, str(error)) from error


def mismatch(endpoint: Endpoint[Any, Any], http: HttpResponse, why: str) -> WireMismatch:
    """Build the error for an answer that does not fit the wire."""
    excerpt = mask_text(http.data[:300].decode("utf-8", "replace"))
    return WireMismatch(
        f"{endpoint.name}: the answer (HTTP {http.status}) does not fit the documented wire: {why}. "
        f"It begins: {excerpt!r}. Documented at: {endpoint.source}",
        endpoint=endpoint.name,
    )
