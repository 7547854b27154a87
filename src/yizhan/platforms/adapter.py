"""The client end of a platform: the adapter, its context, and the values that pass through it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from msgspec import Struct

from yizhan.errors import MediaFormat, OutcomeUnknown, Unsupported
from yizhan.model import Clock, Content, Event, Handle, Media, Message, PlatformId, Receipt, Reply, SendKey, Target
from yizhan.platforms.kit.limits import Limit as Limit  # noqa: PLC0414 - adapters speak of limits
from yizhan.platforms.kit.limits import limits_of
from yizhan.platforms.kit.media_rules import MediaRule, rule_of
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.model import Segment
    from yizhan.wire import Endpoint

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


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
    """The conversion that the media need first; empty when the bytes go as they are."""


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one platform call. `body` is the platform's own, read only by its adapter.

    `repeatable`: the wire recognizes a repeat under the same SendKey, so that an unknown outcome may be asked again.
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
class StreamPiece:
    """One piece of a text that grows while people read it."""

    text: str
    """The whole text so far."""
    index: int
    """Number of the piece, from 0."""
    last: bool
    stream_id: str = ""
    """The platform's id of the growing message; empty for the first piece."""


Progress = Callable[[int], None]


class Adapter(ABC):
    """The client end of one account. Three methods decide everything: compose, upload, send.

    The other methods have defaults, for a platform without that ability.
    """

    def __init__(self, context: AccountContext) -> None:
        self.context = context

    @abstractmethod
    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        """Return the parts that carry `message`, in order. Pure; called before storing and again when delivering.

        Raises:
            Refused: the platform has no way to carry it; the text says what would work.
        """

    @abstractmethod
    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Place the bytes at the platform. `target` is any one inside the scope; several wires want one in the path."""

    @abstractmethod
    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        """Send one part, and return the id that the platform gave the message.

        On a wire whose success has no message id, return `PlatformId("")`: the delivery is `sent`, and what needs an
        id later (recall, read marks) says that there is none. Where the vendor documents an id and it is missing,
        raise OutcomeUnknown.

        Raises:
            PlatformError: the class decides what happens next. A return always means success.
        """

    def session(self) -> str:
        """Return a digest of the login: a wire recognizes a repeat under the same SendKey only within one session.

        Default: empty, for a wire without sessions.
        """
        return ""

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        """Return the limits under which each part of `message` is sent to `target`. Pure.

        Default: `limit.send` and `limit.KIND` of the rules (`kit.limits`).
        """
        return limits_of(message, self.context.rules)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        """Return the rule for a segment's media, by the account's rules and the kind of target alone.

        `compose` then sees media that fit. None takes anything as it is. Default: by `KIND.formats`, `KIND.max_bytes`
        and so on of the rules (`kit.media_rules`).
        """
        return rule_of(segment, self.context.rules)

    async def call(self, endpoint: Endpoint[Req, Res], request: Req) -> Res:
        """Carry out any call of this platform, without queue, limits and records; its errors are those of sending.

        Raises:
            Unsupported: this adapter has no wire of its own.
        """
        raise Unsupported(f"{self.context.name} makes no raw calls.")

    def stream_limit(self, target: Target, reply: Reply | None) -> int | None:
        """Return the most characters of a growing text to `target`, 0 for any number. Default: None, for no such text.

        `reply`: the message that the text answers.
        """
        return None

    def stream_message(self, piece: StreamPiece, target: Target, reply: Reply | None) -> Message:
        """Return the message that carries one piece of a growing text.

        Raises:
            Unsupported: the wire has no growing texts.
        """
        raise Unsupported(f"{target}: {self.title} has no growing texts. Send the whole text.")

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Withdraw one sent part.

        Raises:
            Unsupported: nothing can be withdrawn on this wire, or `sent` has no id.
        """
        raise Unsupported(f"{target}: {self.title} withdraws no messages. Send a correction.")

    async def mark_read(self, target: Target) -> None:
        """Tell the platform that what `target` wrote has been read.

        Raises:
            Unsupported: the wire has no such call.
        """
        raise Unsupported(f"{target}: {self.title} has no read marks.")

    async def events(self) -> AsyncIterator[Event]:
        """Yield received events, for as long as the account is open; reconnects by itself.

        Default: there are none.
        """
        await asyncio.Event().wait()
        nothing: tuple[Event, ...] = ()
        for event in nothing:
            yield event

    def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media, by the `reference` of its `Forward` segment. An async generator.

        Raises:
            Unsupported: received messages have no media on this wire.
            PlatformError: the platform no longer has them, or could not be reached.
        """
        raise Unsupported(f"{self.context.name}: {self.title} brings in no media, so there is nothing to save.")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, Event | None]:
        """Read a push of the platform: return status and body of the answer, and the event in it.

        Raises:
            Unsupported: that platform pushes nothing over HTTP.
        """
        raise Unsupported(
            f"{self.context.name}: {self.title} has no webhooks. Its events come by themselves: use events()."
        )

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Log in (or take up the stored session) and return the identity in words.

        `show` is given every step; accounts with a fixed secret check it and show nothing.

        Raises:
            LoginNeeded: the secret is wrong, or the login was refused or not confirmed in time.
        """
        return self.context.name

    async def check(self) -> Sequence[Finding]:
        """Return the problems that keep this account from sending, without sending anything."""
        return ()

    async def close(self) -> None:  # noqa: B027 - an adapter without connections has nothing to close
        """Close connections."""

    @property
    def title(self) -> str:
        return self.context.title or self.context.name.partition(".")[0]

    # --- for subclasses: answers of the platform as the engine takes them ---

    def handle(self, token: str, need: MediaNeed) -> Handle:
        """Return the handle of an upload just made; it is good for `handle.seconds` of the rules, 0 for ever."""
        seconds = float(self.context.rules.get("handle.seconds", 0))
        return Handle(token, need.scope, self.context.clock.now() + seconds if seconds else None)

    def sent(self, id: str | int | None, endpoint: str, **extra: Any) -> PlatformId:
        """Return the id of a message just sent; `extra` is kept for recalls and quotes.

        Raises:
            OutcomeUnknown: the platform said yes, but gave no id although it documents one.
        """
        if id in (None, "", 0, "0"):
            raise OutcomeUnknown(
                f"{self.context.name}: {endpoint} succeeded, but gave no message id. Look whether it arrived.",
                account=self.context.name,
                endpoint=endpoint,
            )
        return PlatformId(str(id), self.context.clock.now(), extra)

    def sent_without_id(self) -> PlatformId:
        """Return the record of a message on a wire that gives no ids; it can be neither recalled nor quoted."""
        return PlatformId("", self.context.clock.now())


@dataclass(frozen=True, slots=True)
class LoginStep:
    """One step of a login. `qr` is the text to be shown as a QR code, when there is one."""

    state: Literal["qr", "scanned", "confirmed", "expired", "cancelled", "refused", "code"]
    text: str = ""
    qr: str = ""
    answer: Callable[[str], None] | None = None
    """On `code`: takes the digits that the person typed, at once or later; the login waits for them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: the subject, whether it is fine, and the remedy if not."""

    what: str
    ok: bool
    detail: str = ""
    remedy: str = ""


class StateStore(Protocol):
    """A small durable store of an account: tokens, sessions, cursors. Encrypted at rest."""

    def get(self, name: str) -> bytes | None: ...
    async def put(self, name: str, value: bytes | None) -> None:
        """Return once the value is on disk; None removes it."""


@dataclass(slots=True)
class AccountContext:
    """The account of an adapter, and the services that it may use."""

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
    """The context that a conversation's last event left for answers (`Event.context`), with `at` and `event_id`."""
    variant: Callable[[Media, str], Awaitable[Media]] = field(default=lambda media, recipe: _nothing_made(recipe))
    """Makes a variant of media by a recipe, for a picture that travels beside other media (the cover of a video)."""
    share: Callable[[Media, float], Awaitable[str]] = field(default=lambda media, seconds: _nothing_shared())
    """An address under which the media can be fetched for so many seconds, for a wire that takes nothing else."""
    title: str = ""
    """The platform's title, for error texts."""


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
