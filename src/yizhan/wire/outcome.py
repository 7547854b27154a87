"""The meaning of an answer, in one table for all platforms: HTTP status, body, and whether the call acts.

A refusal in the platform's own words is a refusal under any status. An answer without the platform's body comes from
something in front of the platform (a proxy, a gateway, a firewall) or from a program that broke. For a call that acts
it leaves the outcome open, unless its status is only ever given before the request is passed on.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import urlsplit

from yizhan.errors import LoginNeeded, OutcomeUnknown, PlatformError, Rejected, Throttled, Unavailable, WireMismatch
from yizhan.wire.fault import Fault, FaultCode
from yizhan.wire.http import HttpResponse
from yizhan.wire.mask import mask_text

SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One group of statuses, and the errors that they mean on answers without the platform's body."""

    shown: str
    """The statuses as the documentation writes them."""
    statuses: Container[int]
    acting: type[PlatformError]
    """The error of a call that acts."""
    reading: type[PlatformError]
    """The error of a call that may be repeated freely."""
    why: str


MOVED = StatusRow(
    "301, 302 to another origin; 307, 308",
    (301, 302, 307, 308),
    Rejected,
    Rejected,
    "the address is wrong: set `base_url` to where the platform is",
)
"""Applies by the `Location` as well as by the status; see `without_body`."""

STATUS_TABLE = (
    StatusRow("200–299", SUCCESS, WireMismatch, WireMismatch, "something answered, but not the platform"),
    StatusRow("100–199", range(100, 200), OutcomeUnknown, Unavailable, "no answer to the request itself"),
    StatusRow("other 3xx", range(300, 400), OutcomeUnknown, Rejected, "303 and 302 often follow a request carried out"),
    StatusRow("401", (401,), LoginNeeded, LoginNeeded, "credentials are checked before anything is carried out"),
    StatusRow("429", (429,), Throttled, Throttled, "limits are checked before anything is carried out"),
    StatusRow(
        "400, 403–405, 407, 411, 413–415, 417, 421, 426, 431, 451",
        frozenset({400, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 431, 451}),
        Rejected,
        Rejected,
        "the request was turned away at the door: too large, malformed, a wrong path",
    ),
    StatusRow("408, 425, 499", (408, 425, 499), OutcomeUnknown, Unavailable, "given up while the platform was at work"),
    StatusRow("other 4xx", range(400, 500), OutcomeUnknown, Rejected, "no proxy gives these before passing on"),
    StatusRow("503", (503,), Unavailable, Unavailable, "an overloaded server has not begun"),
)
"""The first row that holds a status applies."""
OTHER_STATUS = StatusRow(
    "other 5xx", range(500, 600), OutcomeUnknown, Unavailable, "a gateway gave up, or a program broke, at any point"
)


def without_body(status: int, *, moved: bool = False) -> StatusRow:
    """Return the row for an answer without the platform's body. `moved`: its `Location` leads to another origin."""
    if status in (307, 308) or (moved and status in MOVED.statuses):
        return MOVED
    return next((row for row in STATUS_TABLE if status in row.statuses), OTHER_STATUS)


def fault_without_body(http: HttpResponse, *, acts: bool, base: str = "") -> Fault:
    """Build the fault of an answer without the platform's body. `base`: scheme and host that were asked."""
    origin = _origin(http.header("Location"))
    row = without_body(http.status, moved=bool(origin) and origin != _origin(base))
    means = row.acting if acts else row.reading
    if row is MOVED:
        where = origin or "another path"
        words = f"the address leads on to {where}. Nothing was carried out. Set base_url to where the platform is"
    else:
        words = _words(http)
        if means is OutcomeUnknown:
            words += "; the answer is not the platform's, and the request may have been carried out"
    return Fault(FaultCode(http.status, words, http=http.status, means=means))


def _words(http: HttpResponse) -> str:
    return " ".join(mask_text(http.data[:200].decode("utf-8", "replace")).split()) or "no text"


def _origin(url: str) -> str:
    """Return scheme and host of an absolute URL; the rest may hold secrets."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{host}{port}" if parts.scheme and host else ""
