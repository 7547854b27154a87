"""Messages to calls. Media are placed once in the CDN and forwarded from there; cards are XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from yizhan.model import (
    Card,
    ChannelVideo,
    ContactCard,
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
from yizhan.platforms.adapter import MediaNeed, Part, library_media
from yizhan.platforms.kit.composer import amount
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import (
    OBJECT_ID,
    STICKER_MD5,
    WeChatComposer,
    at_users,
    card_type,
    compose_link,
    compose_mini_program,
)
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.convert.forward import sent_on
from yizhan.platforms.wechatsdk.convert.placed import Draft
from yizhan.wire import Endpoint
from yizhan.wire.filename import changed_name_note, safe_name

CALLS: Mapping[str, Endpoint[Any, Any]] = {e.name: e for e in vars(wire).values() if isinstance(e, Endpoint)}
_BY_NUMBER = {str(e.constants["type"]): e for e in CALLS.values()}


def compose(message: Message, target: Target, rules: Rules) -> Sequence[Part]:
    """Return the parts of `message`. Text and mentions side by side share one; a quote takes the text after it.

    Raises:
        Refused: a segment cannot be sent; the text says what would work.
    """
    return CallComposer(target, rules).compose(message)


class CallComposer(WeChatComposer):
    """The calls of one message to one target."""

    title = "wechatsdk"

    def __init__(self, target: Target, rules: Rules) -> None:
        super().__init__(target, rules)
        self.to = target.id

    # --- text ---

    def text(self, piece: Piece) -> Part:
        request = wire.SendText(userName=self.to, msgContent=piece.text, atUserList=at_users(piece.mentioned))
        return _part(wire.SEND_TEXT, request, f"text {len(piece.text)} chars")

    def quote(self, quote: Quote, piece: Piece) -> Part:
        if self.target.kind == "group" and not quote.sender:
            self.refuse(quote, "in a group wechatsdk wants to know whose message is quoted", "Give Quote(sender=…).")
        request = wire.SendQuote(
            userName=self.to,
            content=piece.text,
            msgSvrID=quote.message_id,
            sourceContent=quote.text,
            sourceUserName=quote.sender,
            atUserList=at_users(piece.mentioned),
        )
        return _part(wire.SEND_QUOTE, request, f"quote, text {len(piece.text)} chars")

    # --- media: placed once, then forwarded to everyone ---

    def image(self, segment: Image, media: Media) -> Part:
        request = wire.ForwardImage(userName=self.to, rawthumbsize="", **_EMPTY)
        return self._placed(wire.FORWARD_IMAGE, request, "image", media)

    def video(self, segment: Video, media: Media) -> Part:
        request = wire.ForwardVideo(
            userName=self.to,
            encryptfilemd5="",
            rawthumbsize="",
            **_EMPTY,
            videoseconds=str(max(1, round(media.duration_ms / 1000))) if media.duration_ms else "",
            thumbheight=str(media.height or ""),
            thumbwidth=str(media.width or ""),
        )
        return self._placed(wire.FORWARD_VIDEO, request, "video", media)

    def voice(self, segment: Voice, media: Media) -> Part:
        request = wire.ForwardVoice(
            userName=self.to, fileid="", aeskey="", rawtotalsize="", voiceduration=str(media.duration_ms or "")
        )
        return self._placed(wire.FORWARD_VOICE, request, "voice", media)

    def file(self, segment: File, media: Media) -> Part:
        given = segment.name or media.name or f"{media.sha256[:8]}.{media.format or 'bin'}"
        name = safe_name(given)
        request = wire.ForwardFile(userName=self.to, fileName=name, rawfilekey="", **_EMPTY)
        return self._placed(wire.FORWARD_FILE, request, "file", media, changed_name_note(given, name))

    def sticker(self, segment: Sticker, media: Media | None) -> Part:
        if media is not None:
            return self._placed(wire.SEND_STICKER, wire.SendSticker(userName=self.to), "sticker", media)
        if not STICKER_MD5.fullmatch(segment.md5):
            why = f"a sticker is a gif, or the md5 (32 hex digits) of one that WeChat knows, not '{segment.md5[:40]}'"
            self.refuse(segment, why, "Give one of them.")
        known = wire.SendKnownSticker(userName=self.to, emojiMd5=segment.md5.lower())
        return _part(wire.SEND_KNOWN_STICKER, known, "sticker")

    def _placed(self, endpoint: Endpoint[Any, Any], request: Struct, use: str, media: Media, note: str = "") -> Part:
        need = MediaNeed(media, scope="account", use=use)
        return self.part(endpoint.name, Draft(endpoint, request), f"{use} {amount(media.size)}", need, note=note)

    # --- cards ---

    def link(self, segment: Link) -> Part:
        request = wire.SendLink(userName=self.to, content=self.xml(segment, compose_link))
        return _part(wire.SEND_LINK, request, f"link {segment.title}")

    def channel_video(self, segment: ChannelVideo) -> Part:
        if not OBJECT_ID.fullmatch(segment.object_id) or not segment.object_nonce_id:
            why = "a channel video is named by its object_id (decimal) and object_nonce_id"
            self.refuse(segment, why, "Correct it and send again.")
        request = wire.SendChannelVideo(
            userName=self.to, objectId=segment.object_id, objectNonceId=segment.object_nonce_id
        )
        return _part(wire.SEND_CHANNEL_VIDEO, request, "channel video")

    def mini_program(self, segment: MiniProgram) -> Part:
        request = wire.SendXml(userName=self.to, content=self.xml(segment, compose_mini_program))
        summary = f"mini program {segment.title}"
        if segment.media is None:
            return _part(wire.SEND_XML, request, summary)
        cover = library_media(segment.media)
        need = MediaNeed(cover, scope="account", use="cover")
        return self.part(wire.SEND_XML.name, Draft(wire.SEND_XML, request, segment), summary, need)

    def contact_card(self, segment: ContactCard) -> Part:
        name, summary = segment.username, f"card of {segment.username}"
        if name.startswith("gh_"):
            official = wire.SendOfficialCard(userName=self.to, bizUserName=name)
            return _part(wire.SEND_OFFICIAL_CARD, official, summary)
        if name.endswith("@finder"):
            channel = wire.SendChannelCard(userName=self.to, finderUserName=name)
            return _part(wire.SEND_CHANNEL_CARD, channel, summary)
        if name.endswith("@openim"):
            colleague = wire.SendEnterpriseCard(userName=self.to, openimUserName=name)
            return _part(wire.SEND_ENTERPRISE_CARD, colleague, summary)
        return _part(wire.SEND_CARD, wire.SendCard(userName=self.to, beSharedUserName=name), summary)

    def card(self, segment: Card) -> Part:
        request = wire.SendXml(userName=self.to, content=segment.xml, msgType=card_type(segment.xml))
        return _part(wire.SEND_XML, request, f"card '{segment.title[:40]}'")

    # --- received messages, and calls of the caller's own ---

    def forward(self, segment: Forward) -> Part:
        if segment.reference.get("platform") != "wechatsdk":
            why = "only media received over wechatsdk can be sent on by reference"
            self.refuse(segment, why, "Save it, and send it as media.")
        try:
            draft, note = sent_on(segment, self.to)
        except (KeyError, TypeError, ValueError) as error:
            self.refuse(segment, f"the reference cannot be read ({error})", "Save the media, and send the saved file.")
        return self.part(draft.endpoint.name, draft, f"forwarded {segment.kind}", note=note)

    def native(self, segment: Native) -> Part:
        if segment.body.get("bAsync"):
            self.refuse(segment, "a delivery needs the answer of its call", "Leave bAsync out, or make the raw call.")
        endpoint = _BY_NUMBER.get(segment.call) or self.native_call(segment, CALLS)
        request = self.native_request(segment, endpoint.request, userName=self.to)
        return _part(endpoint, request, f"call {endpoint.name}")


_EMPTY: dict[str, Any] = {"rawtotalsize": "", "rawfilemd5": "", "fileid": "", "aeskey": "", "filecrc": ""}


def _part(endpoint: Endpoint[Any, Any], request: Struct, summary: str) -> Part:
    return Part(endpoint.name, Draft(endpoint, request), summary=summary)
