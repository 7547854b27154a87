"""Messages to commands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import MediaTooLarge
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
    Message,
    MiniProgram,
    Native,
    Quote,
    Sticker,
    Target,
    Video,
    Voice,
)
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.kit.composer import amount, name_of
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.convert.media import frame_bytes
from yizhan.platforms.ohwxapi.wire import FileType, MsgType
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import (
    STICKER_MD5,
    WeChatComposer,
    at_users,
    compose_channel_video,
    compose_contact,
    compose_link,
    compose_mini_program,
    compose_quote,
    parse_card,
    parse_media,
)
from yizhan.platforms.wechat_xml.xml import escape
from yizhan.wire import Base64
from yizhan.wire.filename import changed_name_note, safe_name

COMMANDS: Mapping[str, wire.Command[Any, Any]] = {c.name: c for c in vars(wire).values() if isinstance(c, wire.Command)}
_BY_NUMBER = {str(command.number): command for command in COMMANDS.values() if command.number}


@dataclass(frozen=True, slots=True)
class Draft:
    """A command that may still lack its media."""

    command: wire.Command[Any, Any]
    parameters: Struct
    name: str = ""
    """The shown name of a file."""
    inline: Media | None = None
    """Media that travels in the command itself."""


def compose(message: Message, target: Target, rules: Rules, *, over_socket: bool = False) -> Sequence[Part]:
    """Return the parts of `message`. Text and mentions side by side share one; a quote takes the text after it.

    `over_socket`: commands travel over the WebSocket, so that media must fit into a frame.

    Raises:
        Refused: a segment cannot be sent; the text says what would work.
    """
    return CommandComposer(target, rules, over_socket=over_socket).compose(message)


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


class CommandComposer(WeChatComposer):
    """The parts of one message to one target."""

    title = "ohwxapi"

    def __init__(self, target: Target, rules: Rules, *, over_socket: bool) -> None:
        super().__init__(target, rules)
        self._max_frame_bytes = frame_bytes(rules) if over_socket else 0

    # --- text ---

    def text(self, piece: Piece) -> Part:
        at = ",".join(at_users(piece.mentioned))
        sending = wire.SendMsg(ToUserName=self.target.id, Content=piece.text, MsgType=MsgType.TEXT, AtUsers=at)
        return _part(wire.SEND_MSG, sending, f"text {len(piece.text)} chars")

    def quote(self, quote: Quote, piece: Piece) -> Part:
        chat = self.target.id if self.target.kind == "group" else ""
        note = "Mentions inside a quote are shown, but notify no member on this wire." if piece.mentioned else ""
        return self._app(compose_quote(piece.text, quote, chat=chat), f"quote, text {len(piece.text)} chars", note)

    # --- media ---

    def image(self, segment: Image, media: Media) -> Part:
        return self._placed(wire.SEND_IMAGE, wire.SendImage(ToUserName=self.target.id), "image", media)

    def video(self, segment: Video, media: Media) -> Part:
        return self._placed(wire.SEND_VIDEO, wire.SendVideo(ToUserName=self.target.id), "video", media)

    def voice(self, segment: Voice, media: Media) -> Part:
        self._check_frame(media)
        seconds = max(1, math.ceil(media.duration_ms / 1000))
        draft = Draft(wire.SEND_VOICE, wire.SendVoice(ToUserName=self.target.id, VoiceTime=seconds), inline=media)
        return Part(wire.SEND_VOICE.name, draft, summary=f"voice {seconds} s")

    def file(self, segment: File, media: Media) -> Part:
        card = wire.SendAppMsg(ToUserName=self.target.id, MsgType=MsgType.APP)
        name = segment.name or media.name or _plain_name(media)
        return self._placed(wire.SEND_APP_MSG, card, "file", media, name)

    def sticker(self, segment: Sticker, media: Media | None) -> Part:
        digest = segment.md5 or (media.md5 if media else "")
        if not STICKER_MD5.fullmatch(digest):
            why = "a sticker is named by its md5 (32 hex digits) on ohwxapi"
            self.refuse(segment, why, "Give one, or send an Image.")
        size = media.size if media else 0
        sending = wire.SendEmoji(ToUserName=self.target.id, EmojiMd5=digest.lower(), EmojiLen=size)
        note = "A sticker is sent by its md5; WeChat shows it only if it knows it." if media else ""
        return _part(wire.SEND_EMOJI, sending, "sticker", note)

    def _placed(
        self, command: wire.Command[Any, Any], parameters: Struct, use: str, media: Media, name: str = ""
    ) -> Part:
        self._check_frame(media)
        shown = safe_name(name) if name else ""
        draft, need = Draft(command, parameters, name=shown), MediaNeed(media, scope="account", use=use)
        note = changed_name_note(name, shown)
        return Part(command.name, draft, (need,), summary=f"{use} {amount(media.size)}", note=note)

    def _check_frame(self, media: Media) -> None:
        if self._max_frame_bytes and media.size > self._max_frame_bytes:
            raise MediaTooLarge(
                f"{self.target}: {name_of(media)} has {media.size} bytes; a frame of the WebSocket takes "
                f"{self._max_frame_bytes} (rule socket.max_bytes, profile '{self.rules.profile}'). Make it smaller, or "
                "send commands over HTTP (commands = 'http') where the gateway takes them."
            )

    # --- cards ---

    def link(self, segment: Link) -> Part:
        return self._app(self.xml(segment, compose_link), f"link {segment.title}")

    def mini_program(self, segment: MiniProgram) -> Part:
        note = "The cover is left out: the gateway has no upload for covers." if segment.media else ""
        return self._app(self.xml(segment, compose_mini_program), f"mini program {segment.title}", note)

    def channel_video(self, segment: ChannelVideo) -> Part:
        return self._app(self.xml(segment, compose_channel_video), "channel video")

    def contact_card(self, segment: ContactCard) -> Part:
        sending = wire.SendMsg(ToUserName=self.target.id, Content=compose_contact(segment), MsgType=MsgType.CARD)
        return _part(wire.SEND_MSG, sending, f"contact card {segment.nickname or segment.username}")

    def card(self, segment: Card) -> Part:
        return self._app(segment.xml, f"card '{segment.title[:40]}'")

    def _app(self, appmsg: str, summary: str, note: str = "") -> Part:
        sending = wire.SendAppMsg(ToUserName=self.target.id, AppMsgXml=appmsg, MsgType=MsgType.APP)
        return _part(wire.SEND_APP_MSG, sending, summary, note)

    # --- received messages, and commands of the caller's own ---

    def forward(self, segment: Forward) -> Part:
        reference = segment.reference
        xml, kind = str(reference.get("xml", "")), reference.get("type")
        if reference.get("platform") != "ohwxapi" or not xml:
            self.refuse(
                segment,
                "only media received over ohwxapi can be sent on by reference",
                "Save it, and send it as media.",
            )
        try:
            part = self._sent_on(segment, kind, xml)
        except ValueError as error:
            self.refuse(segment, f"the reference cannot be read: {error}", "Save the media, and send the saved file.")
        if part is None:
            self.refuse(segment, f"ohwxapi cannot send on a {segment.kind} by reference")
        return part

    def _sent_on(self, forward: Forward, kind: object, xml: str) -> Part | None:
        to = self.target.id
        match kind:
            case MsgType.IMAGE:
                return _part(wire.SEND_IMAGE, wire.SendImage(ToUserName=to, ImageXml=xml), "forwarded image")
            case MsgType.VIDEO:
                return _part(wire.SEND_VIDEO, wire.SendVideo(ToUserName=to, VideoXml=xml), "forwarded video")
            case MsgType.CARD:
                card = wire.SendMsg(ToUserName=to, Content=xml, MsgType=MsgType.CARD)
                return _part(wire.SEND_MSG, card, "forwarded card")
            case MsgType.STICKER:
                emoji = parse_media(xml)
                sending = wire.SendEmoji(ToUserName=to, EmojiMd5=emoji.key("md5"), EmojiLen=emoji.number("len"))
                return _part(wire.SEND_EMOJI, sending, "forwarded sticker")
            case MsgType.APP:
                return self._app(renamed(parse_card(xml).xml, forward.name), f"forwarded {forward.kind}")
        return None

    def native(self, segment: Native) -> Part:
        command = _BY_NUMBER.get(segment.call) or self.native_call(segment, COMMANDS)
        if command.parameters is None:
            self.refuse(segment, f"{command.name} takes no parameters")
        parameters = self.native_request(segment, command.parameters, ToUserName=self.target.id)
        return _part(command, parameters, f"command {command.name}")


def _part(command: wire.Command[Any, Any], parameters: Struct, summary: str, note: str = "") -> Part:
    return Part(command.name, Draft(command, parameters), summary=summary, note=note)


def _plain_name(media: Media) -> str:
    return f"{media.md5[:12]}.{media.format}" if media.format else media.md5[:12]
