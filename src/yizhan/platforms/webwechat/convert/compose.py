"""Messages to parts: what each call carries, and what cannot be carried at all. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET

from yizhan.errors import MediaFormat, MediaTooLarge, Refused, Unsupported
from yizhan.model import (
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
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.convert.book import Book
from yizhan.platforms.webwechat.wire.content import MD5, Cdn, file_card, image_xml, mention_source
from yizhan.platforms.webwechat.wire.sending import FORWARDED, Outgoing
from yizhan.platforms.wechat_xml import (
    WEBWECHAT,
    Words,
    compose_channel_video,
    compose_contact,
    compose_link,
    compose_mini_program,
    compose_quote,
    runs,
)
from yizhan.wire.filename import safe_name

QUOTE_RULE = "- - - - - - - - - - - - - - -"
"""Between what is quoted and the answer."""
MOST_QUOTED = 200
VOICE_NOTE = "Web WeChat cannot send voice; it went as a file."
QUOTE_NOTE = "Web WeChat lets no fresh quotes through; what was said stands above the text."
GIF_NOTE = "An animated picture goes as a sticker on web WeChat."


@dataclass(frozen=True, slots=True)
class Draft:
    """`Msg` without what only the sending itself knows: who, to whom, under which ids, which MediaId."""

    call: str
    type: int
    content: str = ""
    title: str = ""
    """Of a file card, whose other values come with the MediaId."""
    size: int = 0
    md5: str = ""
    scene: int = 0
    mentions: tuple[str, ...] = ()
    quote: Quote | None = None
    """What the text in `content` answers, when that goes as a card."""
    native: Mapping[str, Any] = field(default_factory=dict)

    def outgoing(self, me: str, to: str, local_id: str, media_id: str = "", signature: str = "") -> Outgoing:
        """Return the whole `Msg`."""
        msg = Outgoing(Type=self.type, FromUserName=me, ToUserName=to, LocalID=local_id, ClientMsgId=local_id)
        match self.call:
            case "webwxsendmsg":
                msg.Content = self.content
            case "webwxsendemoticon":
                msg.EmojiFlag = wire.EMOJI_FLAG
                msg.MediaId, msg.EMoticonMd5 = (media_id, UNSET) if media_id else (UNSET, self.md5)
            case "webwxsendappmsg":
                msg.Content = self._card(to, media_id)
                if signature:
                    msg.Signature = signature
            case _:
                msg.MediaId, msg.Content = media_id, self.content
        for name, value in self.native.items():
            setattr(msg, name, value)
        return msg

    def _card(self, to: str, media_id: str) -> str:
        if media_id:
            return file_card(self.title, self.size, media_id)
        if self.quote is not None:
            return compose_quote(self.content, self.quote, WEBWECHAT, chat=to if to.startswith("@@") else "")
        return self.content


def compose(message: Message, target: Target, rules: Rules, scope: str) -> list[Part]:
    """Return the parts of `message`: one for each run of text and mentions, one for each of the rest.

    `scope`: the current login, for which handles are good.

    Raises:
        Refused: something in it cannot be carried; the text says what would work.
    """
    if target.kind not in ("user", "group"):
        raise Unsupported(f"{target}: web WeChat has the kinds 'user' and 'group', not '{target.kind}'.")
    composer = _Composer(target, rules, scope)
    parts = [part for run in runs(message.segments) for part in composer.parts(run)]
    if not parts:
        raise Refused(f"{target}: there is nothing in the message but blank text.")
    return parts


class _Composer:
    def __init__(self, target: Target, rules: Rules, scope: str) -> None:
        self._target = target
        self._rules = rules
        self._scope = scope

    def parts(self, run: Sequence[Segment]) -> Iterator[Part]:
        match run[0]:
            case Text() | Mention():
                yield from self._text(Words.of(run, self._target))
            case Quote() as quote:
                yield from self._answer(quote, Words.of(run, self._target))
            case other:
                yield self._one(other)

    def _one(self, segment: Segment) -> Part:
        match segment:
            case Image():
                return self._image(library_media(segment.media))
            case Video():
                return self._video(library_media(segment.media))
            case Voice():
                return self._file(library_media(segment.media), segment.name, "voice as file", VOICE_NOTE)
            case File():
                return self._file(library_media(segment.media), segment.name, "file")
            case Sticker():
                return self._sticker(segment)
            case ContactCard():
                card = Draft("webwxsendmsg", wire.CARD, compose_contact(segment))
                return _part(card, f"card of {segment.nickname or segment.username}")
            case Link() | MiniProgram() | ChannelVideo():
                return self._card(segment)
            case Forward():
                return self._forward(segment)
            case Native(call, body):
                return self._native(call, body)
        raise Unsupported(f"{self._target} cannot take a {_kind_of(segment)}. Send what it says as text.")

    # --- text ---

    def _text(self, words: Words, quote: Quote | None = None, note: str = "") -> Iterator[Part]:
        for text, mentioned in words.pieces(self._rules.number("text.max_characters")):
            named = tuple(user for user in mentioned if user != "all")
            call, type_ = ("webwxsendappmsg", wire.APP_QUOTE) if quote else ("webwxsendmsg", wire.TEXT)
            draft = Draft(call, type_, text, mentions=named, quote=quote)
            yield _part(draft, f"{'quote, ' if quote else ''}text {len(text)} chars", note=note)
            quote, note = None, ""

    def _answer(self, quote: Quote, words: Words) -> Iterator[Part]:
        if not words.text.strip():
            raise Unsupported(f"{self._target}: a quote carries the text that answers it. Put a text right after it.")
        if self._rules["link.fresh"]:
            return self._text(words, quote)
        return self._text(words.prefixed(self._above(quote)), note=QUOTE_NOTE)

    def _above(self, quote: Quote) -> str:
        """What is quoted, as clients without quotes write it above an answer."""
        if not quote.text.strip():
            raise Unsupported(
                f"{self._target}: a quote goes as text on web WeChat, and there is none in it. Give Quote(text=…)."
            )
        who = quote.sender_name or ("" if quote.sender.startswith("@") else quote.sender)
        words = quote.text if len(quote.text) <= MOST_QUOTED else quote.text[:MOST_QUOTED] + "…"
        return f"「{who}{'：' if who else ''}{words}」\n{QUOTE_RULE}\n"

    # --- media ---

    def _image(self, media: Media) -> Part:
        if media.format in self._rules.words("sticker.formats"):
            return self._gif(media, GIF_NOTE)
        self._check(media, "image", "Convert it to PNG or JPEG, or send it as a File.", "Send it as a File.")
        draft = Draft("webwxsendmsgimg", wire.IMAGE)
        return _part(draft, f"image {_amount(media.size)}", self._need(media, wire.PICTURE))

    def _video(self, media: Media) -> Part:
        self._check(media, "video", "Convert it to MP4, or send it as a File.", "Shorten it, or send it as a File.")
        draft = Draft("webwxsendvideomsg", wire.VIDEO)
        return _part(draft, f"video {_amount(media.size)}", self._need(media, wire.MOVIE))

    def _file(self, media: Media, name: str, what: str, note: str = "") -> Part:
        self._check(media, "file", "", "Split it, or send a link to it.")
        title = safe_name(name or media.name or default_name(media))
        draft = Draft("webwxsendappmsg", wire.APP_FILE, title=title, size=media.size)
        return _part(draft, f"{what} {_amount(media.size)}", self._need(media, wire.DOCUMENT), note)

    def _sticker(self, sticker: Sticker) -> Part:
        if sticker.media is not None:
            return self._gif(library_media(sticker.media))
        if not MD5.fullmatch(sticker.md5):
            raise MediaFormat(
                f"{self._target}: a sticker is a gif, or the md5 (32 hex digits) of one that the service knows, "
                f"not '{sticker.md5[:40]}'."
            )
        return _part(Draft("webwxsendemoticon", wire.EMOTICON, md5=sticker.md5.lower()), "sticker by md5")

    def _gif(self, media: Media, note: str = "") -> Part:
        self._check(
            media, "sticker", "Convert it to GIF, or send it as an Image.", "Make it smaller, or send it as a File."
        )
        draft = Draft("webwxsendemoticon", wire.EMOTICON)
        return _part(draft, f"sticker {_amount(media.size)}", self._need(media, wire.DOCUMENT), note)

    def _check(self, media: Media, kind: str, other_format: str, smaller: str) -> None:
        formats = self._rules.get(f"{kind}.formats")
        if media.size == 0:
            raise MediaFormat(f"{self._target}: the {kind} is empty; web WeChat refuses empty files.")
        if formats is not None and media.format not in formats:
            raise MediaFormat(
                f"{self._target}: web WeChat takes a {kind} as {', '.join(formats)}, not {media.format or media.mime} "
                f"({kind}.formats, rules {self._rules.profile}). {other_format}"
            )
        most = self._rules.number(f"{kind}.max_bytes")
        if media.size > most:
            raise MediaTooLarge(
                f"{self._target}: the {kind} has {media.size} bytes, over {kind}.max_bytes = {most} "
                f"(rules {self._rules.profile}). {smaller}"
            )

    def _need(self, media: Media, use: str) -> MediaNeed:
        # The shown name stands in the card, not in the upload: the same bytes under other names share one upload.
        return MediaNeed(media, self._scope, use)

    # --- what is there already ---

    def _card(self, card: Link | MiniProgram | ChannelVideo) -> Part:
        if not self._rules["link.fresh"]:
            raise Unsupported(
                f"{self._target} cannot take a {_kind_of(card)}: web WeChat drops cards that a client makes "
                f"(link.fresh, rules {self._rules.profile}). Send what it says as text, or forward a received card."
            )
        try:
            match card:
                case Link():
                    type_, xml = wire.APP_LINK, compose_link(card, WEBWECHAT)
                case MiniProgram():
                    type_, xml = wire.APP_MINI_PROGRAM, compose_mini_program(card, WEBWECHAT)
                case ChannelVideo():
                    type_, xml = wire.APP_CHANNEL_VIDEO, compose_channel_video(card, WEBWECHAT)
        except ValueError as error:
            raise Unsupported(f"{self._target}: {error}. Correct it and send again.") from error
        return _part(Draft("webwxsendappmsg", type_, xml), _kind_of(card))

    def _forward(self, forward: Forward) -> Part:
        reference = forward.reference
        if reference.get("scope") and not reference.get("lasts") and reference["scope"] != self._scope:
            raise Unsupported(
                f"{self._target}: this {forward.kind} came in an earlier login, whose references ended with it. "
                "Save it and send it anew."
            )
        draft = _forwarded(forward.kind, reference)
        if draft is None:
            raise Unsupported(
                f"{self._target}: web WeChat cannot send on a received {forward.kind}. Save it and send it as a file."
            )
        return _part(draft, f"forward {forward.kind}")

    def _native(self, call: str, body: Mapping[str, Any]) -> Part:
        if call not in wire.SENDING:
            raise Unsupported(
                f"{self._target}: there is no sending call '{call}'. There are: {', '.join(wire.SENDING)}."
            )
        fields, scene = body.get("Msg", body), body.get("Scene", 0)
        if not isinstance(fields, Mapping) or not isinstance(scene, int):
            raise Unsupported(f'{self._target}: {call}: expected {{"Msg": {{…}}, "Scene": 0 or 2}}, or what Msg holds.')
        strangers = set(fields) - set(Outgoing.__struct_fields__)
        if strangers:
            raise Unsupported(f"{self._target}: {call}: Msg has no member {', '.join(sorted(strangers))}.")
        try:
            msgspec.convert({**fields, "ToUserName": ""}, Outgoing, strict=False)
        except msgspec.ValidationError as error:
            raise Unsupported(f"{self._target}: {call}: Msg does not fit the call: {error}.") from error
        own = ("FromUserName", "ToUserName", "LocalID", "ClientMsgId")
        native = {name: value for name, value in fields.items() if name not in own}
        return _part(Draft(call, wire.TEXT, native=native, scene=scene), f"native {call}")


def _forwarded(kind: str, reference: Mapping[str, Any]) -> Draft | None:
    """Return what sends on something received; None when the wire has no way."""
    content = str(reference.get("content", ""))
    match kind:
        case "text" if content:
            return Draft("webwxsendmsg", wire.TEXT, content, scene=FORWARDED)
        case "location" if content:
            return Draft("webwxsendmsg", wire.LOCATION, content, scene=FORWARDED)
        case "image" if content or (content := _by_values(reference)):
            return Draft("webwxsendmsgimg", wire.IMAGE, content, scene=FORWARDED)
        case "video" if content:
            return Draft("webwxsendvideomsg", wire.VIDEO, content, scene=FORWARDED)
        case "sticker" if MD5.fullmatch(str(reference.get("md5", ""))):
            return Draft("webwxsendemoticon", wire.EMOTICON, md5=str(reference["md5"]))
        case "link" if content:
            return Draft("webwxsendappmsg", wire.APP_LINK, content, scene=FORWARDED)
        case "file" if reference.get("media_id"):
            size = str(reference.get("file_size", ""))
            name = safe_name(str(reference.get("file_name", "")))
            card = file_card(name, int(size) if re.fullmatch("[0-9]{1,15}", size) else 0, str(reference["media_id"]))
            return Draft("webwxsendappmsg", wire.APP_FILE, card, scene=FORWARDED)
    return None


def _by_values(reference: Mapping[str, Any]) -> str:
    """Return the Content of a picture of which only the three values are left that find it again; empty without."""
    cdn = Cdn(*(str(reference.get(name, "")) for name in ("aeskey", "cdnthumburl", "md5")))
    return image_xml(cdn, 0) if cdn.aeskey and cdn.url else ""


def limits(message: Message, rules: Rules) -> Sequence[Limit]:
    """Return how often pictures may be sent, if the profile says so."""
    count = rules.number("pictures.count")
    if not rules.limited or not count or not any(map(_is_picture, message.segments)):
        return ()
    return (Limit("pictures", "account", "pictures", count, per_seconds=float(rules["pictures.seconds"])),)


def _is_picture(segment: Segment) -> bool:
    """Whether it is counted as a picture: those that are sent on are, too."""
    return isinstance(segment, Image) or (isinstance(segment, Forward) and segment.kind == "image")


def mentions_of(draft: Draft, book: Book, room: str) -> str | None:
    """Return `Msg.MsgSource` for those who are mentioned and known; None when nobody is."""
    members = [found for name in draft.mentions if (found := book.member(room, name))]
    return mention_source(members, room) if members else None


def upload_form(media: Media, use: str) -> tuple[str, str]:
    """Return the form fields `name` and `type` of an upload."""
    type_, _ = wire.TYPES.get(media.format, (media.mime or "application/octet-stream", use))
    name = safe_name(media.name or default_name(media))
    if use != wire.DOCUMENT and "." not in name:
        name = f"{name}.{media.format}"
    return name, type_


def default_name(media: Media) -> str:
    return f"{media.kind}.{media.format}" if media.format else media.kind


def _part(draft: Draft, summary: str, need: MediaNeed | None = None, note: str = "") -> Part:
    return Part(draft.call, draft, (need,) if need else (), repeatable=True, summary=summary, note=note)


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _kind_of(segment: Segment) -> str:
    return str(segment.__struct_config__.tag).replace("_", " ")
