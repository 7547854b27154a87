"""Base of the composers: gathers text, splits it, calls one method for each segment, and refuses in words. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import Refused, Unsupported, did_you_mean
from yizhan.model import (
    Buttons,
    Card,
    ChannelVideo,
    ContactCard,
    File,
    Forward,
    Image,
    Link,
    Markdown,
    Media,
    Mention,
    Message,
    MiniProgram,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import MediaNeed, Part, library_media
from yizhan.platforms.kit.markdown import plain_text, split_markdown
from yizhan.platforms.kit.words import Piece, Words, runs
from yizhan.platforms.rules import Rules
from yizhan.wire import explain
from yizhan.wire.filename import changed_name_note, safe_name

T = TypeVar("T")
Request = TypeVar("Request", bound=Struct)

AS_TEXT = frozenset({"card", "markdown", "buttons"})
"""Segments that go as text, with a note, where a wire has no message of their kind."""
REMEDIES: Mapping[str, str] = {
    "sticker": "Send the picture as an image.",
    "link": "Send title and address as text.",
    "mini_program": "Send its address, or a picture of its code.",
    "channel_video": "Send the video itself, or its address as text.",
    "contact_card": "Send the name or number as text.",
    "quote": "Repeat the words in your text.",
    "mention": "Write the name as text.",
    "forward": "Save it, and send it as media.",
    "native": "Send it by `adapter.call`.",
}


class Composer(ABC):
    """The parts of one message to one target.

    A subclass has a method for each segment that its wire carries, named like the segment's kind; these methods are
    the capabilities. `text` is required. Media methods are given the media beside the segment; they fit already, by
    the platform's media rule. Cards, Markdown and buttons without a method go as text, and the receipt says so.
    """

    title: ClassVar[str]
    """The platform's name in error texts."""
    kinds: ClassVar[tuple[str, ...]] = ("user", "group")
    """The kinds of targets."""
    repeatable: ClassVar[bool] = False
    """Whether the wire recognizes a repeat under the same SendKey."""
    whole: ClassVar[re.Pattern[str] | None] = None
    """Text that is never cut, such as a written mention."""
    remedies: ClassVar[Mapping[str, str]] = {}
    """Remedies by kind of segment, where `REMEDIES` does not suit."""
    notes: ClassVar[Mapping[str, str]] = {}
    """By kind of segment: the note on one that went as text, where the usual one does not suit."""

    def __init__(self, target: Target, rules: Rules) -> None:
        self.target = target
        self.rules = rules

    @classmethod
    def segments(cls) -> frozenset[str]:
        """Return the kinds of segments that this composer carries, for `KindCapabilities`."""
        own = {kind for kind in _METHODS if cls._carries(kind)}
        return frozenset(own | AS_TEXT)

    def compose(self, message: Message) -> tuple[Part, ...]:
        """Return the parts of `message` in order.

        Raises:
            Refused: a segment has no way to travel; the text says what would work.
        """
        if self.target.kind not in self.kinds:
            raise Unsupported(
                f"{self.target}: {self.title} reaches {' and '.join(f'{kind}s' for kind in self.kinds)}, not "
                f"'{self.target.kind}'. Write {self.target.account}/{self.kinds[0]}/ID."
            )
        parts = tuple(part for run in runs(self.arranged(message.segments)) for part in self._parts(run))
        if not parts:
            raise Refused(f"{self.target}: the message has nothing but blank text. Give it text or media.")
        return parts

    def takes(self, kind: str) -> bool:
        """Return whether segments of `kind` are sent as such. Default: if there is a method for them.

        An override may look at the rules, for cards, Markdown and buttons.
        """
        return self._carries(kind)

    def arranged(self, segments: Sequence[Segment]) -> Sequence[Segment]:
        """Return the segments in the order in which they are sent. Default: as they are."""
        return segments

    def _parts(self, run: Sequence[Segment]) -> Iterable[Part]:
        match run[0]:
            case Text() | Mention():
                return self.texts(self.words(run))
            case Quote() as quote:
                return self.answer(quote, self.words(run[1:]))
            case Markdown() as markdown:
                return self._markdown(markdown)
            case Buttons() as buttons if not self.takes("buttons"):
                return self._as_text(buttons, buttons.words, buttons.fallback)
            case Card() as card if not (card.xml and self.takes("card")):
                return self._as_text(card, card.words)
            case segment:
                return (self._single(segment),)

    def _single(self, segment: Segment) -> Part:
        match segment:
            case Image() | Video() | Voice() | File():
                part: Part = _method(type(self), _kind(segment))(self, segment, library_media(segment.media))
            case Sticker(media=media):
                part = self.sticker(segment, None if media is None else library_media(media))
            case _:
                part = _method(type(self), _kind(segment))(self, segment)
        return part

    # --- text ---

    def words(self, run: Sequence[Segment]) -> Words:
        """Join the text and mentions of `run`."""
        words = Words()
        for segment in run:
            match segment:
                case Text(text):
                    words = words.joined(text)
                case Mention():
                    words = words.joined(self.mention(segment), segment.user)
        return words

    def texts(self, words: Words, note: str = "") -> Iterator[Part]:
        """Yield the messages of a text that may be longer than one takes; the first carries `note`."""
        for piece in self.pieces(words):
            part = self.text(piece)
            yield replace(part, note=note) if note else part
            note = ""

    def pieces(self, words: Words) -> list[Piece]:
        return words.pieces(self.number("text.max_chars"), self.number("text.max_bytes"), self.whole)

    def answer(self, quote: Quote, words: Words) -> Iterator[Part]:
        """Yield a quote with the text that answers it; the rest of a long text follows without the quote."""
        if not self.takes("quote"):
            self.refuse(quote)
        pieces = self.pieces(words)
        if not pieces:
            raise Unsupported(
                f"{self.target}: on {self.title} a quote carries the text that answers it. Put a text right after it."
            )
        yield self.quote(quote, pieces[0])
        yield from map(self.text, pieces[1:])

    def _markdown(self, markdown: Markdown) -> Iterable[Part]:
        if not self.takes("markdown"):
            return self._as_text(markdown, plain_text(markdown.text), markdown.fallback)
        chars = self.number("markdown.max_chars") or self.number("text.max_chars")
        size = self.number("markdown.max_bytes") or self.number("text.max_bytes")
        return [self.markdown(piece) for piece in split_markdown(markdown.text, chars, size)]

    def _as_text(self, segment: Segment, text: str, fallback: str = "text") -> Iterator[Part]:
        kind = _kind(segment)
        if fallback == "fail":
            self.refuse(segment, remedy="Leave `fallback` at 'text', or send it as text.")
        return self.texts(Words(text), self.notes.get(kind, f"{self.title} {_NOTES[kind]}"))

    # --- one method for each kind of segment ---

    @abstractmethod
    def text(self, piece: Piece) -> Part:
        """Return the message of one piece of text."""

    def mention(self, mention: Mention) -> str:
        """Return a mention as text."""
        self.refuse(mention)

    def quote(self, quote: Quote, piece: Piece) -> Part:
        """Return the message with a quote and the text that answers it."""
        self.refuse(quote)

    def image(self, segment: Image, media: Media) -> Part:
        self.refuse(segment)

    def video(self, segment: Video, media: Media) -> Part:
        self.refuse(segment)

    def voice(self, segment: Voice, media: Media) -> Part:
        self.refuse(segment)

    def file(self, segment: File, media: Media) -> Part:
        self.refuse(segment)

    def sticker(self, segment: Sticker, media: Media | None) -> Part:
        self.refuse(segment)

    def link(self, segment: Link) -> Part:
        self.refuse(segment)

    def mini_program(self, segment: MiniProgram) -> Part:
        self.refuse(segment)

    def channel_video(self, segment: ChannelVideo) -> Part:
        self.refuse(segment)

    def contact_card(self, segment: ContactCard) -> Part:
        self.refuse(segment)

    def card(self, segment: Card) -> Part:
        """Return the message of a received card, which has its `xml`."""
        self.refuse(segment)

    def markdown(self, text: str) -> Part:
        """Return the message of one piece of Markdown."""
        raise NotImplementedError

    def buttons(self, segment: Buttons) -> Part:
        self.refuse(segment)

    def forward(self, segment: Forward) -> Part:
        self.refuse(segment)

    def native(self, segment: Native) -> Part:
        self.refuse(segment)

    # --- for subclasses ---

    def part(self, call: str, body: object, summary: str, *needs: MediaNeed, note: str = "") -> Part:
        """Return a part. `body` is what `send` of the platform's adapter reads."""
        return Part(call, body, needs, self.repeatable, summary, note)

    def number(self, name: str) -> int:
        """Return a limit of the rules; 0 where there is none, or the rules are lifted."""
        return int(self.rules.get(name, 0)) if self.rules.limited else 0

    def refuse(self, segment: Segment, why: str = "", remedy: str = "") -> NoReturn:
        """Raise Unsupported for `segment`, with the reason and the remedy."""
        kind = _kind(segment)
        reason = why or f"{self.title} has no such message"
        remedy = remedy or self.remedies.get(kind) or REMEDIES.get(kind, "Send its content as text.")
        raise Unsupported(f"{self.target} cannot take a {_shown(kind)}: {reason}. {remedy}")

    def native_call(self, native: Native, calls: Mapping[str, T]) -> T:
        """Return the call that a native segment names.

        Raises:
            Unsupported: there is none of that name; the text names close ones.
        """
        if native.call not in calls:
            raise Unsupported(
                f"{self.target}: {self.title} has no call '{native.call}'.{did_you_mean(native.call, calls)}"
            )
        return calls[native.call]

    def native_request(self, native: Native, request: type[Request], **fixed: Any) -> Request:
        """Return the body of a native segment as `request`; `fixed` fills fields that the body lacks.

        Raises:
            Unsupported: the body does not fit; the text names the field and the fields that there are.
        """
        known = [field.encode_name for field in msgspec.structs.fields(request)]
        body = {**{name: value for name, value in fixed.items() if name in known}, **native.body}
        wrong = next((name for name in body if name not in known), None)
        problem = f"there is no field '{wrong}'.{did_you_mean(wrong, known)}".rstrip(".") if wrong is not None else ""
        try:
            if not problem:
                return msgspec.convert(body, request)
        except msgspec.ValidationError as error:
            problem = explain(error)
        raise Unsupported(
            f"{self.target}: {native.call} does not take this body: {problem}. It has {', '.join(known)}."
        )

    @classmethod
    def _carries(cls, kind: str) -> bool:
        return vars(Composer)[kind] is not _method(cls, kind)


_NOTES = {
    "card": "sends no such card; its words were sent as text.",
    "markdown": "shows no Markdown; it was sent as plain text.",
    "buttons": "has no buttons; they were sent as a numbered list.",
}
_METHODS = (
    "text",
    "mention",
    "quote",
    "image",
    "video",
    "voice",
    "file",
    "sticker",
    "link",
    "mini_program",
    "channel_video",
    "contact_card",
    "card",
    "markdown",
    "buttons",
    "forward",
    "native",
)


def name_of(media: Media, given: str = "") -> str:
    """Return the file name that people see: the segment's, the media's own, or its kind and format."""
    return given or media.name or (f"{media.kind}.{media.format}" if media.format else media.kind)


def carried_name(media: Media, given: str = "") -> tuple[str, str]:
    """Return the file name as a wire carries it, and the note for the receipt if it is another than people gave."""
    name = name_of(media, given)
    carried = safe_name(name)
    return carried, changed_name_note(name, carried)


def amount(size: int) -> str:
    """Return a size in words for summaries."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _method(cls: type[Composer], kind: str) -> Any:
    return next(vars(base)[kind] for base in cls.__mro__ if kind in vars(base))


def _kind(segment: Segment) -> str:
    return str(segment.__struct_config__.tag)


def _shown(kind: str) -> str:
    return kind.replace("_", " ")
