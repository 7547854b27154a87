"""Helpers of envelopes: reading the JSON of an answer, and the error for one of another shape."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from yizhan.errors import WireMismatch
from yizhan.wire.endpoint import Endpoint
from yizhan.wire.http import HttpResponse, RawAnswer
from yizhan.wire.mask import mask_text
from yizhan.wire.outcome import SUCCESS
from yizhan.wire.words import explain

T = TypeVar("T")


def json_object(endpoint: Endpoint[Any, Any], http: HttpResponse) -> dict[str, Any]:
    """Return the answer's JSON object.

    Raises:
        WireMismatch: it is not a JSON object; the text has a masked excerpt.
    """
    try:
        value = msgspec.json.decode(http.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise mismatch(endpoint, http, "not valid JSON") from error
    if not isinstance(value, dict):
        raise mismatch(endpoint, http, "not a JSON object")
    return value


def as_struct(endpoint: Endpoint[Any, T], http: HttpResponse, value: Any) -> T:
    """Convert decoded JSON to the endpoint's response struct; unknown fields and numbers as text are accepted.

    Raises:
        WireMismatch: a required field is missing or has the wrong type.
    """
    if http.status not in SUCCESS:
        raise mismatch(endpoint, http, "a success under a status that says otherwise")
    if endpoint.response is RawAnswer:
        return http  # type: ignore[return-value]
    try:
        return msgspec.convert(value, endpoint.response, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else explain(error)
        raise mismatch(endpoint, http, why) from error


def mismatch(endpoint: Endpoint[Any, Any], http: HttpResponse, why: str) -> WireMismatch:
    """Build the error for an answer of an undocumented shape."""
    excerpt = mask_text(http.data[:300].decode("utf-8", "replace"))
    return WireMismatch(
        f"{endpoint.name}: the answer (HTTP {http.status}) does not fit the documented wire: {why}. "
        f"It begins: {excerpt!r}. Documented at: {endpoint.source}",
        endpoint=endpoint.name,
    )
