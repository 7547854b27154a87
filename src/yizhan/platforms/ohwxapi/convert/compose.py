"""Messages to commands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported, did_you_mean
from yizhan.model import (
    Card,
    ChannelVideo,
    ContactCard,
    Content,
    File,
    Forward,
    Image,
    Link,
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
from yizhan.platforms.adapter import Limit, MediaNeed, Part, library_media
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.convert.media import largest
from yizhan.platforms.ohwxapi.wire import FileType, MsgType
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import (
    Words,
    at_users,
    compose_channel_video,
    compose_contact,
    compose_link,
    compose_mini_program,
    compose_quote,
    parse_card,
    parse_media,
    runs,
)
from yizhan.platforms.wechat_xml.xml import escape
from yizhan.wire import Base64
from yizhan.wire.filename import safe_name

COMMANDS: Mapping[str, wire.Command[Any, Any]] = {c.name: c for c in vars(wire).values() if isinstance(c, wire.Command)}
_BY_NUMBER = {str(c.number): c for c in COMMANDS.values() if c.number}


@dataclass(frozen=True, slots=True)
class Draft:
    """A command that may still lack its media."""

    command: wire.Command[Any, Any]
    parameters: Struct
    name: str = ""
    """The shown name of a file."""
    inline: Media | None = None
    """Media that travels in the command itself."""


def compose(message: Message, target: Target, rules: Rules, *, over_socket: bool = False) -> tuple[Part, ...]:
    """Return the parts of `message`. Text and mentions side by side share one; a quote takes the text after it.

    `over_socket`: commands travel over the WebSocket, so that media must fit into a frame.

    Raises:
        Refused: something in it has no way to travel; the text says what would work.
    """
    if target.kind not in ("user", "group"):
        raise Unsupported(f"ohwxapi reaches users and groups, not '{target.kind}'. Write {target.account}/user/WXID.")
    composer = _Composer(target, rules, largest(rules, over_socket=over_socket))
    return tuple(part for run in runs(message.segments) for part in composer.parts(run))


def complete(draft: Draft, token: str, content: Content | None) -> Struct:
    """Return the parameters with their media in place: the XML that the upload answered, or the bytes themselves."""
    match draft.parameters:
        case wire.SendImage() as image if token:
            return msgspec.structs.replace(image, ImageXml=token)
        case wire.SendVideo() as video if token:
            return msgspec.structs.replace(video, VideoXml=token)
        case wire.SendAppMsg() as card if token:
            return msgspec.structs.replace(card, AppMsgXml=renamed(token, draft.name))
        case wire.SendVoice() as voice if content is not None:
            return msgspec.structs.replace(voice, VoiceBase64=Base64(content))
    return draft.parameters


def renamed(appmsg: str, name: str) -> str:
    """Return a file card that shows `name`; the very same text when it does so already.

    The name is the message's own, so that one upload serves messages that call the file differently.
    """
    if not name or parse_card(appmsg).title == name:
        return appmsg
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    changed = re.sub("<title>.*?</title>", lambda _: f"<title>{escape(name)}</title>", appmsg, count=1, flags=re.DOTALL)
    if not extension:
        return changed
    return re.sub("<fileext>.*?</fileext>", lambda _: f"<fileext>{escape(extension)}</fileext>", changed, count=1)


def upload_of(need: MediaNeed, target: Target, content: Content) -> wire.CdnUpload:
    """Return the upload for `need`; the bytes travel as Base64, so that no folder needs to be shared."""
    types = {"image": FileType.IMAGE, "video": FileType.VIDEO, "file": FileType.FILE}
    name = (need.media.name or _plain_name(need.media)) if need.use == "file" else ""
    if name and "." not in name:
        # The card's extension comes from here, and a file card must have one.
        name = f"{name}.{need.media.format or 'bin'}"
    return wire.CdnUpload(
        ToUserName=target.id,
        FileType=types[need.use],
        FileName=safe_name(name) if name else "",
        FileBase64=Base64(content),
    )


def limits(rules: Rules) -> Sequence[Limit]:
    """Return the pace of an account, if the profile sets one."""
    if not rules.limited or not rules.number("send.count"):
        return ()
    return (Limit("send", "account", "send", rules.number("send.count"), float(rules["send.seconds"])),)


CARD_NOTE = "A card without its XML cannot be sent as a card; its words were sent as text."


class _Composer:
    """The parts of one message to one target."""

    def __init__(self, target: Target, rules: Rules, largest: tuple[int, str]) -> None:
        self.target = target
        self.rules = rules
        self.max_bytes, self.max_rule = largest

    def parts(self, run: Sequence[Segment]) -> Sequence[Part]:
        match run[0]:
            case Text() | Mention():
                return self._text(self._words(run))
            case Quote() as quote:
                return self._quote(quote, run[1:])
            case Card() as card if not card.xml:
                limit = self.rules.number("text.characters") if self.rules.limited else 0
                return [replace(part, note=CARD_NOTE) for part in self._text(Words(card.words).pieces(limit))]
            case other:
                return (self._single(other),)

    def _single(self, segment: Segment) -> Part:
        match segment:
            case Image():
                return self._image(library_media(segment.media))
            case Video():
                return self._video(library_media(segment.media))
            case Voice():
                return self._voice(library_media(segment.media))
            case File():
                media = library_media(segment.media)
                card = wire.SendAppMsg(ToUserName=self.target.id, MsgType=49)
                return self._placed(
                    wire.SEND_APP_MSG, card, "file", media, segment.name or media.name or _plain_name(media)
                )
            case Sticker():
                return self._sticker(segment)
            case Forward():
                return self._forward(segment)
            case Native():
                return self._native(segment)
            case ContactCard():
                card_of = wire.SendMsg(
                    ToUserName=self.target.id, Content=compose_contact(segment), MsgType=MsgType.CARD
                )
                return _part(wire.SEND_MSG, card_of, f"contact card {segment.nickname or segment.username}")
            case Card():
                return self._app(segment.xml, f"card '{segment.title[:40]}'")
            case Link() | MiniProgram() | ChannelVideo():
                return self._card(segment)
        raise Unsupported(f"ohwxapi has no way to carry {type(segment).__name__}. Send it as text or as a file.")

    def _text(self, pieces: Sequence[tuple[str, list[str]]]) -> Sequence[Part]:
        parts = []
        for piece, mentioned in pieces:
            at = ",".join(at_users(mentioned))
            sending = wire.SendMsg(ToUserName=self.target.id, Content=piece, MsgType=MsgType.TEXT, AtUsers=at)
            parts.append(_part(wire.SEND_MSG, sending, f"text {len(piece)} chars"))
        return parts

    def _words(self, run: Sequence[Segment]) -> list[tuple[str, list[str]]]:
        limit = self.rules.number("text.characters") if self.rules.limited else 0
        return Words.of(run, self.target).pieces(limit)

    def _quote(self, quote: Quote, rest: Sequence[Segment]) -> Sequence[Part]:
        pieces = self._words(rest)
        if not pieces:
            raise Unsupported("On ohwxapi a quote carries the text that answers it. Put a text right after the quote.")
        (text, mentioned), *more = pieces
        chat = self.target.id if self.target.kind == "group" else ""
        note = "Mentions inside a quote are shown but notify nobody on this wire." if mentioned else ""
        first = self._app(compose_quote(text, quote, chat=chat), f"quote, text {len(text)} chars", note)
        return [first, *self._text(more)]

    def _card(self, segment: Link | MiniProgram | ChannelVideo) -> Part:
        try:
            match segment:
                case Link():
                    return self._app(compose_link(segment), f"link {segment.title}")
                case MiniProgram():
                    note = "The cover is left out: the gateway has no upload for covers." if segment.media else ""
                    return self._app(compose_mini_program(segment), f"mini program {segment.title}", note)
                case ChannelVideo():
                    return self._app(compose_channel_video(segment), "channel video")
        except ValueError as error:
            raise Unsupported(f"{error}. Correct it and send again.") from error

    def _app(self, appmsg: str, summary: str, note: str = "") -> Part:
        sending = wire.SendAppMsg(ToUserName=self.target.id, AppMsgXml=appmsg, MsgType=MsgType.APP)
        return _part(wire.SEND_APP_MSG, sending, summary, note)

    def _placed(
        self, command: wire.Command[Any, Any], parameters: Struct, use: str, media: Media, name: str = ""
    ) -> Part:
        self._check_size(media)
        draft = Draft(command, parameters, name=safe_name(name) if name else "")
        need = MediaNeed(media, scope="account", use=use)
        return Part(command.name, draft, (need,), summary=f"{use} {media.size} bytes")

    def _image(self, media: Media) -> Part:
        if media.kind != "image":
            raise MediaFormat(
                f"{media.name or 'This'} is no picture but {media.format or media.mime}. Send it as a File."
            )
        return self._placed(wire.SEND_IMAGE, wire.SendImage(ToUserName=self.target.id), "image", media)

    def _video(self, media: Media) -> Part:
        if media.format != "mp4":
            raise MediaFormat(
                f"ohwxapi carries videos as mp4, this is {media.format or media.mime}. "
                "Convert it, or send it as a File."
            )
        return self._placed(wire.SEND_VIDEO, wire.SendVideo(ToUserName=self.target.id), "video", media)

    def _voice(self, media: Media) -> Part:
        if self.rules.limited and media.format not in self.rules.words("voice.formats"):
            raise MediaFormat(
                f"ohwxapi carries voice as SILK, this is {media.format or media.mime} (rule voice.formats, profile "
                f"'{self.rules.profile}'). Convert it to SILK, or send it as a File."
            )
        self._check_size(media)
        seconds = max(1, math.ceil(media.duration_ms / 1000))
        longest = self.rules.number("voice.seconds")
        if self.rules.limited and seconds > longest:
            raise MediaTooLarge(
                f"The voice lasts {seconds} s, the limit is {longest} s (rule voice.seconds, profile "
                f"'{self.rules.profile}'). Cut it, or send it as a File."
            )
        draft = Draft(wire.SEND_VOICE, wire.SendVoice(ToUserName=self.target.id, VoiceTime=seconds), inline=media)
        return Part(wire.SEND_VOICE.name, draft, summary=f"voice {seconds} s")

    def _sticker(self, sticker: Sticker) -> Part:
        media = library_media(sticker.media) if sticker.media is not None else None
        digest = sticker.md5 or (media.md5 if media else "")
        if not re.fullmatch("[0-9a-fA-F]{32}", digest):
            raise Unsupported("A sticker is named by its md5 (32 hex digits) on ohwxapi. Give one, or send an Image.")
        sending = wire.SendEmoji(
            ToUserName=self.target.id, EmojiMd5=digest.lower(), EmojiLen=media.size if media else 0
        )
        note = "A sticker is sent by its md5; WeChat shows it only if it knows it." if media else ""
        return _part(wire.SEND_EMOJI, sending, "sticker", note)

    def _forward(self, forward: Forward) -> Part:
        reference = forward.reference
        xml, kind = str(reference.get("xml", "")), reference.get("type")
        if reference.get("platform") != "ohwxapi" or not xml:
            raise Unsupported(
                "Only what came in over ohwxapi can be sent on by reference here. Save it, and send it as media."
            )
        to = self.target.id
        try:
            match kind:
                case MsgType.IMAGE:
                    return _part(wire.SEND_IMAGE, wire.SendImage(ToUserName=to, ImageXml=xml), "forwarded image")
                case MsgType.VIDEO:
                    return _part(wire.SEND_VIDEO, wire.SendVideo(ToUserName=to, VideoXml=xml), "forwarded video")
                case MsgType.CARD:
                    return _part(wire.SEND_MSG, wire.SendMsg(ToUserName=to, Content=xml, MsgType=42), "forwarded card")
                case MsgType.STICKER:
                    emoji = parse_media(xml)
                    sending = wire.SendEmoji(ToUserName=to, EmojiMd5=emoji.key("md5"), EmojiLen=emoji.number("len"))
                    return _part(wire.SEND_EMOJI, sending, "forwarded sticker")
                case MsgType.APP:
                    return self._app(renamed(parse_card(xml).xml, forward.name), f"forwarded {forward.kind}")
        except ValueError as error:
            raise Unsupported(f"The reference cannot be read: {error}. Save the media and send it anew.") from error
        raise Unsupported(f"ohwxapi cannot send on a {forward.kind} by reference. Save it, and send it as media.")

    def _native(self, native: Native) -> Part:
        command = COMMANDS.get(native.call) or _BY_NUMBER.get(native.call)
        if command is None or command.parameters is None:
            raise Unsupported(f"ohwxapi has no command '{native.call}'.{did_you_mean(native.call, COMMANDS)}")
        fields = command.parameters.__struct_fields__
        body = {"ToUserName": self.target.id, **native.body} if "ToUserName" in fields else native.body
        unknown = sorted(set(body) - set(fields))
        try:
            if unknown:
                raise msgspec.ValidationError(f"unknown {', '.join(unknown)}")
            return _part(command, msgspec.convert(body, command.parameters), f"command {command.name}")
        except msgspec.ValidationError as error:
            raise Unsupported(
                f"{command.name} does not take this body: {error}. It has {', '.join(fields)}."
            ) from error

    def _check_size(self, media: Media) -> None:
        if not self.max_bytes or media.size <= self.max_bytes:
            return
        remedy = "Make it smaller, or send a link to it."
        if self.max_rule == "socket.max_bytes":
            remedy = "Make it smaller, or send commands over HTTP (commands = 'http') where the gateway takes them."
        raise MediaTooLarge(
            f"{media.name or media.kind} has {media.size} bytes; ohwxapi takes {self.max_bytes} (rule {self.max_rule}, "
            f"profile '{self.rules.profile}'). {remedy}"
        )


def _part(command: wire.Command[Any, Any], parameters: Struct, summary: str, note: str = "") -> Part:
    return Part(command.name, Draft(command, parameters), summary=summary, note=note)


def _plain_name(media: Media) -> str:
    return f"{media.md5[:12]}.{media.format}" if media.format else media.md5[:12]
