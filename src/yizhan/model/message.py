"""A message is an ordered list of segments, the same for every platform."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from yizhan.errors import Refused
from yizhan.model.checks import check_segment, check_text
from yizhan.model.media import Kind, Media

if TYPE_CHECKING:
    Source: TypeAlias = Media | str | PathLike[str] | bytes
else:
    # Stored messages hold Media only; paths and bytes are replaced when the message is accepted.
    Source = Media | str


class Text(Struct, frozen=True, tag="text"):
    text: str


class Image(Struct, frozen=True, tag="image", omit_defaults=True):
    """A picture. `media`: a path, bytes, or `Media` from the library. `name`: the file name that people see."""

    media: Source
    name: str = ""


class Video(Struct, frozen=True, tag="video", omit_defaults=True):
    media: Source
    name: str = ""


class Voice(Struct, frozen=True, tag="voice", omit_defaults=True):
    media: Source
    name: str = ""


class File(Struct, frozen=True, tag="file", omit_defaults=True):
    media: Source
    name: str = ""


class Sticker(Struct, frozen=True, tag="sticker", omit_defaults=True):
    """An animated picture, or one that the platform already knows by `md5`."""

    media: Source | None = None
    md5: str = ""


class Link(Struct, frozen=True, tag="link", omit_defaults=True):
    url: str
    title: str
    description: str = ""
    thumb_url: str = ""


class MiniProgram(Struct, frozen=True, tag="mini_program", omit_defaults=True):
    app_id: str
    username: str
    """The `gh_…@app` name."""
    title: str
    path: str = ""
    thumb_url: str = ""
    display_name: str = ""
    icon_url: str = ""
    media: Source | None = None
    """The cover, a 5:4 picture; left out where a platform cannot carry one."""


class ChannelVideo(Struct, frozen=True, tag="channel_video", omit_defaults=True):
    """A video of a WeChat channel, by its ids."""

    object_id: str
    object_nonce_id: str
    nickname: str = ""
    username: str = ""
    description: str = ""
    url: str = ""
    cover_url: str = ""
    thumb_url: str = ""
    avatar_url: str = ""
    duration_seconds: int = 0
    width: int = 0
    height: int = 0


class ContactCard(Struct, frozen=True, tag="contact_card", omit_defaults=True):
    username: str
    nickname: str = ""
    alias: str = ""
    xml: str = ""
    """The card as received, for sending it on."""


class Quote(Struct, frozen=True, tag="quote", omit_defaults=True):
    """The message that this one answers, shown above it. `message_id` is empty where the wire names none."""

    message_id: str = ""
    text: str = ""
    sender: str = ""
    sender_name: str = ""
    at: float = 0.0
    """When it was sent, seconds since the epoch; 0 when not known."""
    media: tuple[Forward, ...] = ()
    """Media of a received quote, which can be saved and sent on."""


class Mention(Struct, frozen=True, tag="mention", omit_defaults=True):
    user: str
    """The platform's id; `all` for everyone."""
    name: str = ""
    own: bool = False
    """Received: whether it names the account that received it."""


class Forward(Struct, frozen=True, tag="forward", omit_defaults=True):
    """Received content, sent on by the platform's own reference, without download or upload."""

    kind: str
    """text, image, video, voice, file, sticker, link, mini_program, channel_video."""
    reference: dict[str, Any]
    """Opaque; made by the platform that received it, and valid for that account only unless it says otherwise."""
    name: str = ""
    account: str = ""
    """The account that received it; set by the engine on every event."""
    size: int = 0
    """Bytes, as the wire gives it; 0 when not known."""
    duration_ms: int = 0
    width: int = 0
    """Pixels, like `height`."""
    height: int = 0
    transcript: str = ""
    """The words of a voice, where the platform recognized them."""


class CardLine(Struct, frozen=True, omit_defaults=True):
    """One line of a card that holds a conversation."""

    text: str = ""
    sender_name: str = ""
    at: float = 0.0
    """Seconds since the epoch; 0 when not known."""
    media: Forward | None = None


class Card(Struct, frozen=True, tag="card", omit_defaults=True):
    """A card that no other segment describes: a chat record, a song, a place, an invitation.

    Sent unchanged where the wire takes `xml`; elsewhere its words go as text, with a note on the receipt.
    """

    title: str
    description: str = ""
    url: str = ""
    kind: str = ""
    """`chat_record`, `song`, or the wire's own number or word."""
    xml: str = ""
    """The card as received."""
    lines: tuple[CardLine, ...] = ()

    @property
    def words(self) -> str:
        """The visible text of the card."""
        lines = [f"{line.sender_name}: {line.text}" if line.sender_name else line.text for line in self.lines]
        return "\n".join(filter(None, [self.title, self.description, self.url, *lines]))


class Markdown(Struct, frozen=True, tag="markdown", omit_defaults=True):
    """Formatted text, in CommonMark with tables. Goes as plain text where the platform has no such message."""

    text: str
    fallback: Literal["text", "fail"] = "text"
    """When the platform refuses Markdown from this account: send the plain text, or fail the delivery."""


class Button(Struct, frozen=True, omit_defaults=True):
    """One button. With `url` it opens an address; otherwise a press arrives as an event with `data`."""

    text: str
    data: str = ""
    url: str = ""
    pressed_text: str = ""
    """Shown on the button once it was pressed; `text` if empty."""
    users: tuple[str, ...] = ()
    """The people who may press it, by the platform's ids; everyone if empty."""
    admins_only: bool = False
    highlighted: bool = False


class Buttons(Struct, frozen=True, tag="buttons", omit_defaults=True):
    """Rows of buttons below the message."""

    rows: tuple[tuple[Button, ...], ...]
    fallback: Literal["text", "fail"] = "text"
    """For platforms without buttons: a numbered list in text, or a refusal."""

    @property
    def words(self) -> str:
        """The buttons as a numbered list, with the addresses that they open."""
        every = [button for row in self.rows for button in row]
        return "\n".join(f"{number}. {b.text} {b.url}".rstrip() for number, b in enumerate(every, 1))


class Native(Struct, frozen=True, tag="native"):
    """A request in the platform's own format: `call` names the raw call, `body` holds its fields."""

    call: str
    body: dict[str, Any]


Segment: TypeAlias = (
    Text
    | Image
    | Video
    | Voice
    | File
    | Sticker
    | Link
    | MiniProgram
    | ChannelVideo
    | ContactCard
    | Quote
    | Mention
    | Forward
    | Card
    | Markdown
    | Buttons
    | Native
)
MediaSegment: TypeAlias = Image | Video | Voice | File | Sticker | MiniProgram


class Reply(Struct, frozen=True, omit_defaults=True):
    """The message that is answered. Windows and quotas count from it."""

    id: str
    """The platform's id of the message or event."""
    at: float = 0.0
    """Time of arrival, seconds since the epoch; 0 if not known."""
    kind: str = "message"
    """`message`, or `event` for other events, such as a new friend or a pressed button."""


class Message(Struct, frozen=True, omit_defaults=True):
    """An outgoing or received message: segments in order, and the message that it answers, if any."""

    segments: tuple[Segment, ...]
    reply: Reply | None = None

    @property
    def text(self) -> str:
        """The text segments, joined."""
        return "".join(s.text for s in self.segments if isinstance(s, Text))

    def without_own_mention(self) -> Message:
        """Return the message without mentions of the account that received it.

        A text that comes first then loses its leading blanks, and goes where nothing else is left of it.
        """
        kept = [segment for segment in self.segments if not (isinstance(segment, Mention) and segment.own)]
        if len(kept) == len(self.segments):
            return self
        if isinstance(first := kept[0] if kept else None, Text) and first is not self.segments[0]:
            text = first.text.lstrip()
            kept[0:1] = [Text(text)] if text else []
        return Message(tuple(kept), self.reply)


SegmentLike: TypeAlias = Segment | Media | str


_AS: dict[Kind, type[Image | Video | Voice | File]] = {"image": Image, "video": Video, "voice": Voice, "file": File}


def message_of(*content: SegmentLike | Message | Sequence[SegmentLike], reply: Reply | None = None) -> Message:
    """Build one message from segments, strings (text), media (by their kind) and lists of them.

    Raises:
        Refused: the message is empty, or an item is no segment.
    """
    segments: list[Segment] = []
    for piece in content:
        if isinstance(piece, Message):
            segments.extend(piece.segments)
            reply = reply or piece.reply
        elif isinstance(piece, str):
            segments.append(Text(piece))
        elif isinstance(piece, Media):
            segments.append(_AS[piece.kind](piece, piece.name))
        elif isinstance(piece, Struct):
            segments.append(piece)
        elif isinstance(piece, (list, tuple)):
            segments.extend(message_of(*piece).segments)
        else:
            raise Refused(
                f"A message takes segments and text, not {type(piece).__name__}. "
                "Wrap files as Image(path), Video(path), Voice(path) or File(path)."
            )
    for segment in segments:
        check_segment(segment)
    if reply is not None:
        check_text(reply.id, "The id of the answered message")
    if not segments or all(isinstance(s, Text) and not s.text.strip() for s in segments):
        raise Refused("The message is empty. Give it text or at least one segment.")
    return Message(tuple(segments), reply)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


def dump_message(message: Message) -> bytes:
    """Return `message` as JSON for the store; all its media must be `Media`."""
    return _encode(message)


def load_message(data: bytes | str) -> Message:
    """Return the message that `dump_message` wrote."""
    return _decode(data)
