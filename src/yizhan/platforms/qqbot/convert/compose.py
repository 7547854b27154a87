"""A message to parts. Pure.

One part per picture, video, voice or file. Text goes along as the caption of a picture, because answers are counted;
beside anything else the platform does not show it, so it becomes a part of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from yizhan.errors import MediaTooLarge, Refused, Unsupported, did_you_mean
from yizhan.model import (
    File,
    Forward,
    Image,
    Media,
    MediaSegment,
    Mention,
    Message,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.model.split import split_text
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.qqbot.convert.media import check_media, check_open, segment_name, size_text
from yizhan.platforms.qqbot.wire import SCENES, SEND_TO_CHANNEL, SEND_TO_DM, STREAM_TO_USER
from yizhan.platforms.qqbot.wire.files import FILE, FILE_TYPES
from yizhan.platforms.qqbot.wire.guild import SendToChannel, SendToDm
from yizhan.platforms.qqbot.wire.messages import MEDIA, TEXT, MessageReference, SendMessage
from yizhan.platforms.rules import Rules

# What stands for one thing in the text: mentions, and characters that are written as names.
_WHOLE = re.compile(r"<qqbot-at-[^>]*>|&\w+;")
KINDS = ("user", "group", "channel", "dm")


@dataclass(frozen=True, slots=True)
class NativeBody:
    """A body of the caller's own making, sent as it is."""

    call: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """A message whose media the platform fetches itself, from a link that it gave out."""

    message: SendMessage
    file_type: int
    url: str
    name: str


@dataclass(frozen=True, slots=True)
class GuildBody:
    """A message to a channel, or a direct message, whose picture travels inside it."""

    message: SendToChannel | SendToDm
    image: Media | None = None


def compose(message: Message, target: Target, rules: Rules) -> list[Part]:
    """Return the parts that carry `message`, in order.

    Raises:
        Unsupported: there is no way to carry a segment to this kind of target; the text says what would work.
        MediaFormat, MediaTooLarge: the platform would refuse the file; the text names the rule.
    """
    if target.kind not in KINDS:
        raise Unsupported(f"{target}: QQ bots reach {', '.join(KINDS)}, not '{target.kind}'.")
    composer = (_SceneComposer if target.kind in SCENES else _GuildComposer)(message, target, rules)
    for segment in message.segments:
        composer.add(segment)
    parts = composer.finish()
    if message.reply is not None and rules.limited:
        _check_answers(len(parts), target, rules)
    return parts


def _check_answers(count: int, target: Target, rules: Rules) -> None:
    name = f"passive.{target.kind}.count"
    most = rules.number(name)
    if most and count > most:
        raise Unsupported(
            f"{target}: an answer has at most {most} messages (rule {name}, profile {rules.profile}), this needs "
            f"{count}. Shorten it, send the text as a file, or send it without `reply`."
        )


class _Composer:
    """Walks the segments once: text is gathered until something takes it along."""

    def __init__(self, message: Message, target: Target, rules: Rules) -> None:
        self.target = target
        self.rules = rules
        self.parts: list[Part] = []
        self.repeatable = message.reply is not None
        """Answers are numbered, and the platform refuses a number that it has seen."""
        self.text = ""
        self.quote: MessageReference | None = None

    def add(self, segment: Segment) -> None:
        match segment:
            case Text(text):
                self.text += self.written(text)
            case Mention(user):
                self.text += self.mention(user)
            case Quote(message_id):
                self.quote = MessageReference(message_id)
            case Image() | Sticker():
                self.picture(segment)
            case Video() | Voice() | File():
                self.other_media(segment)
            case Forward():
                self.forward(segment)
            case Native():
                self.native(segment)
            case _:
                raise self.unsupported(segment)

    def finish(self) -> list[Part]:
        if self.text.strip():
            self.close_text()
        if not self.parts:
            raise Unsupported(f"{self.target}: there is nothing to send. Give the message text or media.")
        return self.parts

    def take_text(self) -> list[str]:
        """Return the gathered text in pieces that one message takes, and begin anew; none when it is but blanks."""
        text, self.text = self.text, ""
        return split_text(text, self.rules.number("text.max_chars"), whole=_WHOLE)

    def take_caption(self) -> str | None:
        """Return the end of the gathered text; what does not fit goes before, in messages of its own."""
        pieces = self.take_text()
        for piece in pieces[:-1]:
            self.append_text(piece)
        return pieces[-1] if pieces else None

    def append_texts(self) -> None:
        """Text that nothing takes along becomes parts of its own."""
        for piece in self.take_text():
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        raise NotImplementedError

    def take_quote(self) -> MessageReference | None:
        quote, self.quote = self.quote, None
        return quote

    def written(self, text: str) -> str:
        return text

    def mention(self, user: str) -> str:
        raise NotImplementedError

    def close_text(self) -> None:
        raise NotImplementedError

    def picture(self, segment: Image | Sticker) -> None:
        raise NotImplementedError

    def other_media(self, segment: MediaSegment) -> None:
        raise NotImplementedError

    def forward(self, segment: Forward) -> None:
        raise self.unsupported(segment)

    def native(self, segment: Native) -> None:
        raise NotImplementedError

    def unsupported(self, segment: Segment) -> Unsupported:
        name = type(segment).__name__
        remedy = _REMEDIES.get(name, "Send it as text or as a file.")
        return Unsupported(f"{self.target} cannot take a {name}: QQ bots have no such message. {remedy}")


_REMEDIES = {
    "Link": "Send it as text: title and address.",
    "MiniProgram": "Send a picture of its code, or its address as text.",
    "ChannelVideo": "Send the video itself, or its address as text.",
    "ContactCard": "Send the name or number as text.",
}


class _SceneComposer(_Composer):
    """Users and groups: media are uploaded first, the message refers to them."""

    def mention(self, user: str) -> str:
        if self.target.kind == "user":
            raise Unsupported(f"{self.target}: one-to-one chats show no mention. Write the name as text.")
        if user == "all":
            raise Unsupported(f"{self.target}: only guild channels can mention everyone. Leave the mention out.")
        return f'<qqbot-at-user id="{_attribute(user)}" />'

    def close_text(self) -> None:
        first, *rest = self.take_text()
        if self._last_takes_caption():
            self.parts[-1].body.content = first
        else:
            self.append_text(first)
        for piece in rest:
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        self._append(TEXT, text, f"text {len(text)} chars")

    def _last_takes_caption(self) -> bool:
        body = self.parts[-1].body if len(self.parts) == 1 else None
        needs = self.parts[-1].needs if self.parts else ()
        return isinstance(body, SendMessage) and body.content is None and bool(needs) and needs[0].use == "1"

    def picture(self, segment: Image | Sticker) -> None:
        media = _media_of(segment)
        need, note = self._need(segment, media, "image")
        if note:
            self.append_texts()
        caption = self.take_caption()
        self._append(MEDIA, caption, f"image {size_text(media.size)}", need, note)

    def other_media(self, segment: MediaSegment) -> None:
        kind = type(segment).__name__.lower()
        media = _media_of(segment)
        need, note = self._need(segment, media, kind)
        self.append_texts()
        self._append(MEDIA, None, f"{kind} {size_text(media.size)}", need, note)

    def forward(self, segment: Forward) -> None:
        url = segment.reference.get("url")
        if segment.kind not in FILE_TYPES or not isinstance(url, str) or not url:
            raise Unsupported(
                f"{self.target} cannot take a forwarded {segment.kind}: QQ passes on received pictures, videos, voices "
                "and files only. Send the text anew."
            )
        check_open(segment.kind, self.rules)
        if segment.kind != "image":
            self.append_texts()
        caption = self.take_caption()
        name = segment.name or str(segment.reference.get("filename") or "")
        message = SendMessage(self.target.id, MEDIA, caption, message_reference=self.take_quote())
        body = LinkMessage(message, FILE_TYPES[segment.kind], url, name)
        self.parts.append(self._part(body, f"forwarded {segment.kind}"))

    def native(self, segment: Native) -> None:
        calls = {"messages": SCENES[self.target.kind].send.name}
        if self.target.kind == "user":
            calls["stream_messages"] = STREAM_TO_USER.name
        self.append_texts()
        self.parts.append(_raw_part(segment, self.target, calls, self.repeatable))

    def _append(
        self, msg_type: int, content: str | None, summary: str, need: MediaNeed | None = None, note: str = ""
    ) -> None:
        body = SendMessage(self.target.id, msg_type, content, message_reference=self.take_quote())
        self.parts.append(self._part(body, summary, need, note))

    def _part(self, body: Any, summary: str, need: MediaNeed | None = None, note: str = "") -> Part:
        call = SCENES[self.target.kind].send.name
        return Part(call, body, (need,) if need else (), self.repeatable, summary, note)

    def _need(self, segment: MediaSegment, media: Media, kind: str) -> tuple[MediaNeed, str]:
        check_open(kind, self.rules)
        note = check_media(media, kind, self.rules)
        name = segment_name(segment, media)
        # A name is shown with plain files only, and travels with the upload: then it is part of what makes one differ.
        use = f"{FILE_TYPES[kind]}:{name}" if note or FILE_TYPES[kind] == FILE else str(FILE_TYPES[kind])
        return MediaNeed(media, self.target.kind, use, name), note


class _GuildComposer(_Composer):
    """GuildBody channels and direct messages: text and one picture in one message."""

    def written(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def mention(self, user: str) -> str:
        if self.target.kind == "dm":
            raise Unsupported(f"{self.target}: direct messages show no mention. Write the name as text.")
        return "<qqbot-at-everyone />" if user == "all" else f'<qqbot-at-user id="{_attribute(user)}" />'

    def close_text(self) -> None:
        last = self.parts[0].body if len(self.parts) == 1 else None
        pieces = self.take_text()
        if pieces and isinstance(last, GuildBody) and last.image is not None and last.message.content is None:
            last.message.content = pieces.pop(0)
        for piece in pieces:
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        self._append(text, None, f"text {len(text)} chars")

    def picture(self, segment: Image | Sticker) -> None:
        media = _media_of(segment)
        check_media(media, "image", self.rules)
        limit = self.rules.number("guild.image_max_bytes")
        if media.size > limit:
            raise MediaTooLarge(
                f"{self.target}: the picture has {size_text(media.size)}, a channel takes {size_text(limit)} "
                f"(rule guild.image_max_bytes, profile {self.rules.profile}). Send a smaller one."
            )
        self._append(self.take_caption(), media, f"image {size_text(media.size)}")

    def other_media(self, segment: MediaSegment) -> None:
        raise Unsupported(
            f"{self.target} cannot take a {type(segment).__name__.lower()}: guild channels and direct messages carry "
            "text and pictures only. Send a link as text, or choose a group or a user."
        )

    def native(self, segment: Native) -> None:
        self.close_text()
        calls = {"messages": (SEND_TO_DM if self.target.kind == "dm" else SEND_TO_CHANNEL).name}
        # GuildBody answers carry no number, so nothing there recognises a repeat.
        self.parts.append(_raw_part(segment, self.target, calls, repeatable=False))

    def _append(self, content: str | None, image: Media | None, summary: str) -> None:
        quote = self.take_quote()
        message: SendToChannel | SendToDm
        if self.target.kind == "dm":
            message = SendToDm(guild_id=self.target.id, content=content, message_reference=quote)
            call = SEND_TO_DM.name
        else:
            message = SendToChannel(channel_id=self.target.id, content=content, message_reference=quote)
            call = SEND_TO_CHANNEL.name
        self.parts.append(Part(call, GuildBody(message, image), summary=summary))


def _media_of(segment: MediaSegment) -> Media:
    if isinstance(segment, Sticker) and segment.media is None:
        raise Unsupported("QQ bots cannot send a sticker by its MD5. Send the picture itself.")
    if not isinstance(segment.media, Media):
        raise Refused(f"{type(segment).__name__}: its file has not been taken into the library yet.")
    return segment.media


def _raw_part(segment: Native, target: Target, calls: dict[str, str], repeatable: bool) -> Part:
    call = calls.get(segment.call) or (segment.call if segment.call in calls.values() else "")
    if not call:
        raise Unsupported(
            f"{target}: there is no native call '{segment.call}'.{did_you_mean(segment.call, calls)} "
            f"Known: {', '.join(calls)}."
        )
    wakes = bool(segment.body.get("is_wakeup"))
    return Part(call, NativeBody(call, segment.body), (), repeatable and not wakes, f"native {segment.call}")


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
