"""Messages to calls. Media are placed once in the CDN and forwarded from there; cards are XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported, did_you_mean
from yizhan.model import (
    Card,
    ChannelVideo,
    ContactCard,
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
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import Words, at_users, card_type, compose_link, compose_mini_program, runs
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.convert.forward import sent_on
from yizhan.platforms.wechatsdk.convert.placed import Draft
from yizhan.wire import Endpoint
from yizhan.wire.filename import safe_name

CALLS: Mapping[str, Endpoint[Any, Any]] = {e.name: e for e in vars(wire).values() if isinstance(e, Endpoint)}
_BY_NUMBER = {str(e.constants["type"]): e for e in CALLS.values()}


def compose(message: Message, target: Target, rules: Rules) -> tuple[Part, ...]:
    """Return the parts of `message`. Text and mentions side by side share one; a quote takes the text after it.

    Raises:
        Refused: something in it has no way to travel; the text says what would work.
    """
    if target.kind not in ("user", "group"):
        raise Unsupported(f"wechatsdk reaches users and groups, not '{target.kind}'. Write {target.account}/user/WXID.")
    composer = _Composer(target, rules)
    return tuple(part for run in runs(message.segments) for part in composer.parts(run))


def limits(rules: Rules) -> Sequence[Limit]:
    """Return the pace of an account, if the profile sets one."""
    count = rules.number("pace.per_minute")
    return (Limit("pace", "account", "send", count, 60.0),) if count and rules.limited else ()


CARD_NOTE = "A card without its XML cannot be sent as a card; its words were sent as text."


class _Composer:
    """The parts of one message to one target."""

    def __init__(self, target: Target, rules: Rules) -> None:
        self.target = target
        self.rules = rules
        self.to = target.id

    def parts(self, run: Sequence[Segment]) -> Sequence[Part]:
        match run[0]:
            case Text() | Mention():
                return [self._text(text, mentioned) for text, mentioned in self._words(run)]
            case Quote() as quote:
                return self._quote(quote, run[1:])
            case Card() as card if not card.xml:
                limit = self.rules.number("text.max_bytes") if self.rules.limited else 0
                pieces = Words(card.words).pieces(max_bytes=limit)
                return [replace(self._text(text, []), note=CARD_NOTE) for text, _ in pieces]
            case other:
                return (self._single(other),)

    def _single(self, segment: Segment) -> Part:
        match segment:
            case Image() as image:
                return self._image(library_media(image.media))
            case Video() as video:
                return self._video(library_media(video.media))
            case Voice() as voice:
                return self._voice(library_media(voice.media))
            case File() as file:
                return self._file(file)
            case Sticker() as sticker:
                return self._sticker(sticker)
            case Link() | MiniProgram() | ChannelVideo() as card:
                return self._card(card)
            case Card() as received:
                xml = wire.SendXml(userName=self.to, content=received.xml, msgType=card_type(received.xml))
                return _part(wire.SEND_XML, xml, f"card '{received.title[:40]}'")
            case ContactCard() as contact:
                return self._contact(contact)
            case Forward() as forward:
                return self._forward(forward)
            case Native() as native:
                return self._native(native)
        raise Unsupported(f"wechatsdk has no way to carry {type(segment).__name__}. Send it as text or as a file.")

    # --- words ---

    def _text(self, text: str, mentioned: list[str]) -> Part:
        request = wire.SendText(userName=self.to, msgContent=text, atUserList=at_users(mentioned))
        return _part(wire.SEND_TEXT, request, f"text {len(text)} chars")

    def _quote(self, quote: Quote, rest: Sequence[Segment]) -> Sequence[Part]:
        pieces = self._words(rest)
        if not pieces:
            raise Unsupported("A quote carries the text that answers it on wechatsdk. Put a text right after it.")
        if self.target.kind == "group" and not quote.sender:
            raise Unsupported("In a group wechatsdk wants to know whose message is quoted. Give Quote(sender=…).")
        (text, mentioned), *more = pieces
        request = wire.SendQuote(
            userName=self.to,
            content=text,
            msgSvrID=quote.message_id,
            sourceContent=quote.text,
            sourceUserName=quote.sender,
            atUserList=at_users(mentioned),
        )
        first = _part(wire.SEND_QUOTE, request, f"quote, text {len(text)} chars")
        return [first, *(self._text(text, mentioned) for text, mentioned in more)]

    def _words(self, run: Sequence[Segment]) -> list[tuple[str, list[str]]]:
        limit = self.rules.number("text.max_bytes") if self.rules.limited else 0
        return Words.of(run, self.target).pieces(max_bytes=limit)

    # --- media: placed once, then forwarded to everyone ---

    def _image(self, media: Media) -> Part:
        self._check(media, "image", "Send it as a File, or convert it.")
        request = wire.ForwardImage(userName=self.to, rawthumbsize="", **_EMPTY)
        return self._placed(wire.FORWARD_IMAGE, request, "image", media)

    def _video(self, media: Media) -> Part:
        self._check(media, "video", "Send it as a File, or convert it to mp4.")
        request = wire.ForwardVideo(
            userName=self.to,
            encryptfilemd5="",
            rawthumbsize="",
            **_EMPTY,
            videoseconds=str(max(1, round(media.duration_ms / 1000))),
            thumbheight=str(media.height or ""),
            thumbwidth=str(media.width or ""),
        )
        return self._placed(wire.FORWARD_VIDEO, request, "video", media)

    def _voice(self, media: Media) -> Part:
        self._check_format(media, "voice", "Convert it to SILK, or send it as a File.")
        longest = self.rules.number("voice.seconds")
        if self.rules.limited and media.duration_ms > longest * 1000:
            raise MediaTooLarge(
                f"The voice lasts {media.duration_ms / 1000:.1f} s, the limit is {longest} s (rule voice.seconds, "
                f"profile '{self.rules.profile}'). Cut it, or send it as a File."
            )
        request = wire.ForwardVoice(
            userName=self.to, fileid="", aeskey="", rawtotalsize="", voiceduration=str(media.duration_ms)
        )
        return self._placed(wire.FORWARD_VOICE, request, "voice", media)

    def _file(self, file: File) -> Part:
        media = library_media(file.media)
        self._check_size(media, "file", "Send a link to it.")
        name = safe_name(file.name or media.name or f"{media.sha256[:8]}.{media.format or 'bin'}")
        request = wire.ForwardFile(userName=self.to, fileName=name, rawfilekey="", **_EMPTY)
        return self._placed(wire.FORWARD_FILE, request, "file", media)

    def _sticker(self, sticker: Sticker) -> Part:
        if sticker.media is None:
            if not sticker.md5:
                raise Unsupported("A sticker is a gif, or the md5 of one that WeChat knows. Give one of them.")
            known = wire.SendKnownSticker(userName=self.to, emojiMd5=sticker.md5)
            return _part(wire.SEND_KNOWN_STICKER, known, "sticker")
        media = library_media(sticker.media)
        self._check(media, "sticker", "Convert it to gif, or send it as an Image.")
        return self._placed(wire.SEND_STICKER, wire.SendSticker(userName=self.to), "sticker", media)

    def _placed(self, endpoint: Endpoint[Any, Any], request: Struct, use: str, media: Media) -> Part:
        need = MediaNeed(media, scope="account", use=use)
        return Part(endpoint.name, Draft(endpoint, request), (need,), summary=f"{use} {media.size} bytes")

    # --- cards ---

    def _card(self, card: Link | MiniProgram | ChannelVideo) -> Part:
        try:
            match card:
                case Link():
                    link = wire.SendLink(userName=self.to, content=compose_link(card))
                    return _part(wire.SEND_LINK, link, f"link {card.title}")
                case MiniProgram():
                    return self._mini_program(card)
                case ChannelVideo():
                    if not card.object_id or not card.object_nonce_id:
                        raise ValueError("a channel video is named by its object_id and object_nonce_id")
                    video = wire.SendChannelVideo(
                        userName=self.to, objectId=card.object_id, objectNonceId=card.object_nonce_id
                    )
                    return _part(wire.SEND_CHANNEL_VIDEO, video, "channel video")
        except ValueError as error:
            raise Unsupported(f"The card cannot be sent: {error}. Correct it and send again.") from error

    def _mini_program(self, card: MiniProgram) -> Part:
        request = wire.SendXml(userName=self.to, content=compose_mini_program(card))
        summary = f"mini program {card.title}"
        if card.media is None:
            return _part(wire.SEND_XML, request, summary)
        cover = library_media(card.media)
        self._check(cover, "image", "Give the card a cover of one of these, or none.")
        need = MediaNeed(cover, scope="account", use="cover")
        return Part(wire.SEND_XML.name, Draft(wire.SEND_XML, request, card), (need,), summary=summary)

    def _contact(self, card: ContactCard) -> Part:
        name, to = card.username, self.to
        if name.startswith("gh_"):
            official = wire.SendOfficialCard(userName=to, bizUserName=name)
            return _part(wire.SEND_OFFICIAL_CARD, official, f"card of {name}")
        if name.endswith("@finder"):
            channel = wire.SendChannelCard(userName=to, finderUserName=name)
            return _part(wire.SEND_CHANNEL_CARD, channel, f"card of {name}")
        if name.endswith("@openim"):
            colleague = wire.SendEnterpriseCard(userName=to, openimUserName=name)
            return _part(wire.SEND_ENTERPRISE_CARD, colleague, f"card of {name}")
        return _part(wire.SEND_CARD, wire.SendCard(userName=to, beSharedUserName=name), f"card of {name}")

    # --- what was received ---

    def _forward(self, forward: Forward) -> Part:
        reference = forward.reference
        if reference.get("platform") != "wechatsdk":
            raise Unsupported(
                "Only what came in over wechatsdk can be sent on by reference here. Save it, and send it as media."
            )
        try:
            draft, note = sent_on(forward, self.to)
        except (KeyError, TypeError, ValueError) as error:
            raise Unsupported(f"The reference cannot be read ({error}). Save the media and send it anew.") from error
        return Part(draft.endpoint.name, draft, summary=f"forwarded {forward.kind}", note=note)

    def _native(self, native: Native) -> Part:
        endpoint = CALLS.get(native.call) or _BY_NUMBER.get(native.call)
        if endpoint is None:
            raise Unsupported(f"wechatsdk has no call '{native.call}'.{did_you_mean(native.call, CALLS)}")
        fields = endpoint.request.__struct_fields__
        body = {"userName": self.to, **native.body} if "userName" in fields else native.body
        if unknown := sorted(set(body) - set(fields)):
            raise Unsupported(f"{native.call} has no {', '.join(unknown)}.{did_you_mean(unknown[0], fields)}")
        if body.get("bAsync"):
            raise Unsupported("A delivery needs the answer of its call. Leave bAsync out, or make the raw call.")
        try:
            return _part(endpoint, msgspec.convert(body, endpoint.request), f"call {endpoint.name}")
        except msgspec.ValidationError as error:
            raise Unsupported(f"{native.call} does not take this body: {error}.") from error

    # --- limits ---

    def _check(self, media: Media, kind: str, remedy: str) -> None:
        self._check_format(media, kind, remedy)
        self._check_size(media, kind, remedy)

    def _check_format(self, media: Media, kind: str, remedy: str) -> None:
        formats = self.rules.words(f"{kind}.formats")
        if media.format not in formats:
            raise MediaFormat(
                f"wechatsdk takes {', '.join(formats)} as {kind}, this is {media.format or media.mime or 'unknown'} "
                f"(rule {kind}.formats, profile '{self.rules.profile}'). {remedy}"
            )

    def _check_size(self, media: Media, kind: str, remedy: str) -> None:
        limit = self.rules.number(f"{kind}.max_bytes")
        if self.rules.limited and media.size > limit:
            raise MediaTooLarge(
                f"{media.name or kind} has {media.size} bytes, the limit is {limit} (rule {kind}.max_bytes, profile "
                f"'{self.rules.profile}'). {remedy}"
            )


_EMPTY: dict[str, Any] = {"rawtotalsize": "", "rawfilemd5": "", "fileid": "", "aeskey": "", "filecrc": ""}


def _part(endpoint: Endpoint[Any, Any], request: Struct, summary: str) -> Part:
    return Part(endpoint.name, Draft(endpoint, request), summary=summary)
