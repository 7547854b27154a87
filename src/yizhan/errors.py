"""The tree of errors.

YizhanError
├── ConfigError            file, key, what was expected
├── Refused                nothing was stored: Unsupported · UnknownTarget · UnknownAccount
│                          MediaTooLarge · MediaFormat (MediaDamaged)
├── PlatformError          account, endpoint, fault (the platform's own words and trace id)
│   ├── Rejected           final: NotAllowed · TargetGone · ContentRefused · HandleExpired · Duplicate
│   │                      NotAsAnnounced
│   ├── WindowClosed       opens_at, if known
│   ├── Throttled          retry_after, for the account or the target
│   ├── Unavailable        nothing was sent
│   ├── OutcomeUnknown     sent, no answer read
│   ├── LoginNeeded
│   └── WireMismatch       the answer does not fit the wire; excerpt, masked
├── DeliveryFailed         from wait(): holds the receipts
└── StorageError

Choose the class by what the caller should do next: wait, stop, ask, log in.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from yizhan.model.delivery import Receipt


class PlatformCode(Protocol):
    """A row of a platform's fault table."""

    @property
    def code(self) -> int | str: ...
    @property
    def message(self) -> str: ...


class PlatformFault(Protocol):
    """The platform's own account of a failure, as `PlatformError.fault` keeps it; `yizhan.wire.Fault` in full."""

    message: str
    http: int
    """HTTP status of the answer."""
    trace_id: str
    """The platform's id of the request; empty if it gave none."""
    data: Any
    """The rest of the answer."""

    @property
    def row(self) -> PlatformCode: ...


class YizhanError(Exception):
    """Base of every error that yizhan raises on purpose."""


class ConfigError(YizhanError):
    """A setting is missing, unknown or of the wrong kind; the text names file, key and what was expected."""


class Refused(YizhanError):
    """The request cannot be carried out; nothing was stored and nothing was sent."""


class Unsupported(Refused):
    """The platform has no way to carry this; the text says what would work."""


class UnknownTarget(Refused):
    """The target is malformed, or no such alias or tag exists."""


class UnknownAccount(Refused):
    """No account of that name has been added."""


class MediaTooLarge(Refused):
    """The media is over a limit; the text names the limit and the profile it comes from."""

    as_file = False
    """Whether only its size or length is the reason, so that it may go as a plain file instead."""


class MediaFormat(Refused):
    """The media is empty, unreadable, or of a format that the platform does not take."""

    as_file = False
    """Whether it seems intact and only of another kind, so that it may go as a plain file instead."""


class MediaDamaged(MediaFormat):
    """The bytes in the library are not those that were added; add the file again."""


class PlatformError(YizhanError):
    """A platform's call did not succeed. `fault` keeps the platform's own words, code and trace id."""

    def __init__(
        self,
        message: str = "",
        *,
        fault: PlatformFault | None = None,
        account: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        super().__init__(message or (str(fault) if fault else type(self).__name__))
        self.fault = fault
        self.account = account
        self.endpoint = endpoint


class Rejected(PlatformError):
    """The platform refused for good: it would refuse the same request again."""


class NotAllowed(Rejected):
    """The account lacks the right, or the recipient refuses messages."""


class TargetGone(Rejected):
    """The person, group or room no longer exists for this account."""


class ContentRefused(Rejected):
    """The platform does not accept this content."""


class HandleExpired(Rejected):
    """The platform no longer knows the uploaded media; upload it again."""


class Duplicate(Rejected):
    """The platform already has a message under the same key: an earlier attempt arrived."""


class NotAsAnnounced(Rejected):
    """The platform sent other bytes than it had announced: an error page, a truncated file, another file."""


class WindowClosed(PlatformError):
    """The time or number of messages allowed for this target is used up for now.

    `opens_at`: seconds since the epoch, or None if only the recipient can open it again, by writing.
    """

    def __init__(
        self,
        message: str = "",
        *,
        fault: PlatformFault | None = None,
        account: str | None = None,
        endpoint: str | None = None,
        opens_at: float | None = None,
    ) -> None:
        super().__init__(message, fault=fault, account=account, endpoint=endpoint)
        self.opens_at = opens_at


class Throttled(PlatformError):
    """Too many requests. `retry_after` in seconds, if the platform gave it; `concerns` the account or one target."""

    def __init__(
        self,
        message: str = "",
        *,
        fault: PlatformFault | None = None,
        account: str | None = None,
        endpoint: str | None = None,
        retry_after: float | None = None,
        concerns: Literal["account", "target"] = "account",
    ) -> None:
        super().__init__(message, fault=fault, account=account, endpoint=endpoint)
        self.retry_after = retry_after
        self.concerns = concerns


class Unavailable(PlatformError):
    """The platform could not be reached, or failed before acting; nothing was sent, and trying again is safe."""


class OutcomeUnknown(PlatformError):
    """The request left, and no conclusive answer came; it may or may not have been carried out."""


class LoginNeeded(PlatformError):
    """The account must log in again, or its secret is wrong."""


class WireMismatch(PlatformError):
    """The platform's answer does not have the documented shape; the text holds a masked excerpt."""


class DeliveryFailed(YizhanError):
    """Raised by `send` and `wait` if a delivery did not end as sent; `receipts` holds all of them."""

    def __init__(self, message: str, receipts: Sequence[Receipt] = ()) -> None:
        super().__init__(message)
        self.receipts = tuple(receipts)


class StorageError(YizhanError):
    """The store cannot be opened, read or written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean a, b?' for close matches of `word` among `known`, else the empty string."""
    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f" Did you mean {', '.join(close)}?" if close else ""
