"""The client end of a platform: the adapter, what it is given, and the values that pass through it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from yizhan.errors import MediaFormat, Unsupported
from yizhan.model import Clock, Content, Event, Handle, Media, Message, PlatformId, Receipt, SendKey, Target
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.model import Segment
    from yizhan.platforms.kit.media_rules import MediaRule


@dataclass(frozen=True, slots=True)
class MediaNeed:
    """Media that must be placed at the platform before a part can be sent.

    Two needs that are equal share one upload: `scope` is the set of targets the handle is good for, `use` is everything
    else that makes one upload differ from another on this wire (the media type, the name if the upload carries it).
    """

    media: Media
    scope: str
    use: str
    name: str = ""
    """The shown name, where the upload carries one."""
    recipe: str = ""
    """What must be done to the media first; empty when the bytes go as they are."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one platform call carries. `body` is the platform's own, read only by its adapter.

    `repeatable`: the wire recognises a repeat under the same SendKey, so that an unknown outcome may be asked again.
    """

    call: str
    body: Any
    needs: tuple[MediaNeed, ...] = ()
    repeatable: bool = False
    summary: str = ""
    """A few words for plans and logs: `image 1.2 MB`, `text 40 chars`."""
    note: str = ""
    """Something the receipt must say, such as a downgrade to a plain file."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many sends are allowed, counted by whom, over which time. From `rules.toml`; data, not code.

    `scope`: what is counted together: all of the account's sends of this `group`, those to one target, or the answers
    to one message. `per_seconds`: a sliding window; None counts from `since` on. `until`: after that moment nothing may
    be sent under this limit at all. All times in seconds since the epoch.
    """

    name: str
    scope: Literal["account", "target", "reply"]
    group: str
    count: int
    per_seconds: float | None = None
    since: float = 0.0
    until: float | None = None
    ends: Literal["hold", "fail"] = "hold"
    """What to do with a delivery once `until` is past or a count without window is used up: hold it until the other
    side writes again, or fail it (the message it answers is too old)."""


Progress = Callable[[int], None]


class Adapter(Protocol):
    """The client end of one account. Three methods decide everything: compose, upload, send.

    An adapter may also have `media_rule(segment, target) -> MediaRule | None` (see `platforms.recipes`): what this
    platform takes of a segment's media, by the account's rules and the kind of target alone; None for anything, as it
    is. `compose` then sees media that fit.
    """

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        """Return the parts that carry `message`, in order. Pure; called before storing and again when delivering.

        Raises:
            Refused: the platform has no way to carry it; the text says what would work.
        """

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        """Return the limits under which each part of `message` is sent to `target`. Pure."""

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Place the bytes at the platform. `target` is any one inside the scope; several wires want one in the path."""

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        """Send one part. Success means that the platform gave an id; anything else raises a PlatformError."""

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Withdraw one sent part."""

    async def mark_read(self, target: Target) -> None:
        """Tell the platform that what `target` wrote has been read. Unsupported where the wire has no such call."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what comes in, for as long as the account is open; reconnects by itself."""

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Log in (or take up the stored session) and return the identity in words.

        `show` is given every step; accounts with a fixed secret check it and show nothing.

        Raises:
            LoginNeeded: the secret is wrong, or the login was refused or not confirmed in time.
        """

    async def check(self) -> Sequence[Finding]:
        """Look for what would keep this account from sending, cheaply and without sending anything."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class LoginStep:
    """One step of a login. `qr` is the text to be shown as a QR code, when there is one."""

    state: Literal["qr", "scanned", "confirmed", "expired", "cancelled", "refused", "code"]
    text: str = ""
    qr: str = ""
    answer: Callable[[str], None] | None = None
    """On `code`: hand over what the person typed, at once or later; the login waits for it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: what was looked at, whether it is fine, and what to do if not."""

    what: str
    ok: bool
    detail: str = ""
    remedy: str = ""


class StateStore(Protocol):
    """A small durable place for what an account must not lose: tokens, sessions, cursors. Encrypted at rest."""

    def get(self, name: str) -> bytes | None: ...
    async def put(self, name: str, value: bytes | None) -> None:
        """Return once the value is on disk; None removes it."""


@dataclass(slots=True)
class AccountContext:
    """What an adapter is given."""

    name: str
    """`platform.name`"""
    settings: Any
    """The struct that the platform declares as `Platform.settings`."""
    clock: Clock
    state_store: StateStore
    rules: Rules
    open_media: Callable[[str], Content]
    """By SHA-256; for the few calls that need bytes outside of `upload` (inline pictures)."""
    context_of: Callable[[Target], Mapping[str, Any]] = field(default=lambda _target: {})
    """What the last event of that conversation left for answers (`Event.context`), with `at` and `event_id`."""
    variant: Callable[[Media, str], Awaitable[Media]] = field(default=lambda media, recipe: _nothing_made(recipe))
    """What a recipe makes of media, for a picture that travels beside other media (the cover of a video)."""
    share: Callable[[Media, float], Awaitable[str]] = field(default=lambda media, seconds: _nothing_shared())
    """An address under which the media can be fetched for so many seconds, for a wire that takes nothing else."""


async def _nothing_made(recipe: str) -> Media:
    raise Unsupported(f"Nothing here makes '{recipe}' of media. Open the account through an engine.")


async def _nothing_shared() -> str:
    raise Unsupported("Nothing here serves media under an address. Open the account through an engine.")


def library_media(source: object) -> Media:
    """Return the media of a segment, which are in the library by the time that an adapter composes.

    Raises:
        MediaFormat: they are not.
    """
    if not isinstance(source, Media):
        raise MediaFormat("The media has not been taken into the library yet. Add it first, or send through an engine.")
    return source


def session_of(adapter: Adapter) -> str:
    """Return `adapter.session()`, the digest of its login; empty for a wire without sessions.

    A wire recognizes a repeat under the same SendKey only within one session.
    """
    session: Callable[[], str] | None = getattr(adapter, "session", None)
    return session() if callable(session) else ""


def media_rule_of(adapter: Adapter) -> Callable[[Segment, Target], MediaRule | None] | None:
    """Return the adapter's `media_rule`, if it has one."""
    found: Callable[[Segment, Target], MediaRule | None] | None = getattr(adapter, "media_rule", None)
    return found
