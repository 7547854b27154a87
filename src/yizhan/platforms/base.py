"""What a platform is, and what it is given: the declaration, the adapter (client end) and the server (sandbox end)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

from msgspec import Meta, Struct

from yizhan.errors import ConfigError, MediaFormat, Unsupported, did_you_mean
from yizhan.model import Clock, Content, Event, Handle, Kind, Media, Message, PlatformId, Receipt, SendKey, Target
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.model import Segment
    from yizhan.net.router import Router
    from yizhan.platforms.recipes import MediaRule
    from yizhan.world import Blob, World

ENTRY_POINTS = "yizhan.platforms"

log = logging.getLogger(__name__)


# --- what an adapter makes of a message -------------------------------------------------------------------------------


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


class Keeper(Protocol):
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
    keeper: Keeper
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


# --- the sandbox end --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ServerOptions:
    """How the sandbox was started."""

    manual_logins: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


class Server(Protocol):
    """The serving end: answers the platform's wire over a World. Made as `Server(world, rules, options)`."""

    router: Router
    rules: Rules
    """Read at every call; replaced when the sandbox changes profile or numbers."""

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """A simulated person says something to the account (`to="bot"`) or in a group; returns the platform's own id.

        Raises:
            LookupError: there is no such person or group; the text names close ones.
        """

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people or groups that know the account; returns the ids by which this platform addresses them."""

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play the phone at a QR login. LookupError where there is no such login."""

    async def webhook(self, url: str) -> None:
        """Push this platform's events to `url`, signed as the platform signs. LookupError where it has no webhooks."""

    def reset(self) -> None:
        """Forget everything but what stands in the world by default."""

    async def close(self) -> None:
        """End sockets and long polls."""


# --- the declaration --------------------------------------------------------------------------------------------------


MEDIA = frozenset({"image", "video", "voice", "file", "sticker"})
"""Names of the segments that have media."""
CARDS = frozenset({"link", "mini_program", "channel_video", "contact_card"})
"""Names of the segments that WeChat shows as cards."""


@dataclass(frozen=True)
class KindCapabilities:
    """What one kind of target can be sent: names of segments, and what may share one part."""

    segments: frozenset[str]
    caption: bool = False
    """Text and one picture may travel in one part."""
    note: str = ""


Proxy: TypeAlias = Annotated[str, Meta(pattern=r"^(https?://\S+)?$")]
"""For account settings: the address of an HTTP proxy, `http://user:password@host:3128`; empty for none."""


@dataclass(frozen=True)
class Platform:
    """The declaration of one platform; one per folder, registered under the entry-point group `yizhan.platforms`."""

    name: str
    title: str
    network: Literal["qq", "wechat"]
    settings: type[Struct]
    """Account settings; every field documented. Secret fields are named in `secrets`."""
    secrets: frozenset[str]
    capabilities: Mapping[str, KindCapabilities]
    """By kind of target."""
    adapter: str
    """`module:Class`, made as `Class(context: AccountContext)`; loaded when an account is opened."""
    server: str
    """`module:Class`, made as `Class(world, rules, options)`; loaded when a sandbox is opened."""
    folder: Path
    needs_login: bool = False
    """Whether a person must scan a code before the account can be used."""
    listens: bool = False
    """Whether what may be sent depends on what comes in, so that an account listens as soon as it sends."""
    calls: str = ""
    """`module` whose Endpoint values are all of this platform's calls."""

    def load_adapter(self) -> Callable[[AccountContext], Adapter]:
        return _load(self.adapter)  # type: ignore[no-any-return]

    def load_server(self) -> Callable[[World, Rules, ServerOptions], Server]:
        return _load(self.server)  # type: ignore[no-any-return]

    @cached_property
    def rules_file(self) -> Path:
        return self.folder / "rules.toml"

    def rules(self, profile: str | None = None, overrides: Mapping[str, Any] | None = None) -> Rules:
        """Return the limits of this platform under a dated profile (the newest if None)."""
        return Rules.load(self.rules_file, profile, overrides)


def library_media(source: object) -> Media:
    """Return the media of a segment, which are in the library by the time that an adapter composes.

    Raises:
        MediaFormat: they are not.
    """
    if not isinstance(source, Media):
        raise MediaFormat("The media has not been taken into the library yet. Add it first, or send through an engine.")
    return source


def media_rule_of(adapter: Adapter) -> Callable[[Segment, Target], MediaRule | None] | None:
    """Return the adapter's `media_rule`, if it has one."""
    found: Callable[[Segment, Target], MediaRule | None] | None = getattr(adapter, "media_rule", None)
    return found


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@cache
def platforms() -> Mapping[str, Platform]:
    """Return every registered platform by name, ours and those of other packages."""
    found: dict[str, Platform] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:
            # One package that is broken, or not finished, must not take the others along.
            log.warning("platform left out", extra={"platform": entry.name, "reason": str(error)})
    return dict(sorted(found.items()))


def platform_named(name: str) -> Platform:
    """Return the platform of that name.

    Raises:
        ConfigError: there is none; the text names close ones.
    """
    known = platforms()
    if name not in known:
        raise ConfigError(
            f"There is no platform '{name}'.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}."
        )
    return known[name]
