"""Messages to parts: one part per run of text, one per other segment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from yizhan.errors import MediaFormat, Refused, Unsupported
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
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.platforms.webwechat.convert.draft import Draft
from yizhan.platforms.webwechat.convert.forward import forward_draft, native_draft
from yizhan.platforms.webwechat.wire.content import MD5, mention_source
from yizhan.platforms.webwechat.wire.session import AppMessageType, MessageType
from yizhan.platforms.wechat_xml import (
    WEBWECHAT,
    Words,
    card_type,
    compose_channel_video,
    compose_contact,
    compose_link,
    compose_mini_program,
    runs,
)
from yizhan.wire.filename import safe_name

QUOTE_RULE = "- - - - - - - - - - - - - - -"
"""Separates quoted text from its answer."""
MAX_QUOTED_CHARS = 200
VOICE_NOTE = "Web WeChat cannot send voice messages; it was sent as a file."
QUOTE_NOTE = "Web WeChat drops quotes; the quoted text stands above the answer."
CARD_NOTE = "Web WeChat drops cards that a client sends; its words were sent as text."
GIF_NOTE = "Web WeChat sends an animated picture as a sticker."


def compose(message: Message, target: Target, rules: Rules, scope: str) -> list[Part]:
    """Return the parts of `message` in order. `scope`: the current login, within which handles are valid.

    Raises:
        Refused: a segment cannot be sent; the text says what would work.
    """
    if target.kind not in ("user", "group"):
        raise Unsupported(f"{target}: web WeChat has the kinds 'user' and 'group', not '{target.kind}'.")
    composer = _Composer(target, rules, scope)
    parts = [part for run in runs(message.segments) for part in composer.parts(run)]
    if not parts:
        raise Refused(f"{target}: the message has nothing but blank text.")
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
            case Card() as card if not (card.xml and self._rules["card.fresh"]):
                yield from self._text(Words(card.words), note=CARD_NOTE)
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
                draft = Draft("webwxsendmsg", MessageType.CARD, compose_contact(segment))
                return _part(draft, f"card of {segment.nickname or segment.username}")
            case Link() | MiniProgram() | ChannelVideo():
                return self._card(segment)
            case Card(xml=xml):
                return _part(Draft("webwxsendappmsg", card_type(xml), xml), f"card '{segment.title[:40]}'")
            case Forward():
                return self._forward(segment)
            case Native(call, body):
                return _part(native_draft(self._target, call, body), f"native {call}")
        raise Unsupported(f"{self._target} cannot take a {_kind_of(segment)}. Send its content as text.")

    # --- text ---

    def _text(self, words: Words, quote: Quote | None = None, note: str = "") -> Iterator[Part]:
        for text, mentioned in words.pieces(self._rules.number("text.max_chars")):
            members = tuple(user for user in mentioned if user != "all")
            call, type_ = ("webwxsendappmsg", AppMessageType.QUOTE) if quote else ("webwxsendmsg", MessageType.TEXT)
            draft = Draft(call, type_, text, mentions=members, quote=quote)
            yield _part(draft, f"{'quote, ' if quote else ''}text {len(text)} chars", note=note)
            quote, note = None, ""

    def _answer(self, quote: Quote, words: Words) -> Iterator[Part]:
        if not words.text.strip():
            raise Unsupported(f"{self._target}: a quote needs the text that answers it. Put a text right after it.")
        if self._rules["card.fresh"]:
            return self._text(words, quote)
        return self._text(words.prefixed(self._quoted_text(quote)), note=QUOTE_NOTE)

    def _quoted_text(self, quote: Quote) -> str:
        """Return the quoted text in the form of clients without quote cards, to stand above an answer."""
        if not quote.text.strip():
            raise Unsupported(
                f"{self._target}: web WeChat sends a quote as text, and this one has none. Give Quote(text=…)."
            )
        name = quote.sender_name or ("" if quote.sender.startswith("@") else quote.sender)
        text = quote.text if len(quote.text) <= MAX_QUOTED_CHARS else quote.text[:MAX_QUOTED_CHARS] + "…"
        return f"「{name}{'：' if name else ''}{text}」\n{QUOTE_RULE}\n"

    # --- media ---

    def _image(self, media: Media) -> Part:
        if media.format == "gif":
            return self._gif(media, GIF_NOTE)
        draft = Draft("webwxsendmsgimg", MessageType.IMAGE)
        return _part(draft, f"image {_amount(media.size)}", self._need(media, wire.PICTURE))

    def _video(self, media: Media) -> Part:
        draft = Draft("webwxsendvideomsg", MessageType.VIDEO)
        return _part(draft, f"video {_amount(media.size)}", self._need(media, wire.MOVIE))

    def _file(self, media: Media, name: str, label: str, note: str = "") -> Part:
        given = name or media.name or default_name(media)
        title = safe_name(given)
        if title != given:
            note = " ".join(filter(None, (note, f"The name '{given[:80]}' was changed to '{title[:80]}'.")))
        draft = Draft("webwxsendappmsg", AppMessageType.FILE, title=title, size=media.size)
        return _part(draft, f"{label} {_amount(media.size)}", self._need(media, wire.DOCUMENT), note)

    def _sticker(self, sticker: Sticker) -> Part:
        if sticker.media is not None:
            return self._gif(library_media(sticker.media))
        if not MD5.fullmatch(sticker.md5):
            raise MediaFormat(
                f"{self._target}: a sticker is a gif, or the md5 (32 hex digits) of one that the service knows, "
                f"not '{sticker.md5[:40]}'."
            )
        return _part(Draft("webwxsendemoticon", MessageType.EMOTICON, md5=sticker.md5.lower()), "sticker by md5")

    def _gif(self, media: Media, note: str = "") -> Part:
        draft = Draft("webwxsendemoticon", MessageType.EMOTICON)
        return _part(draft, f"sticker {_amount(media.size)}", self._need(media, wire.DOCUMENT), note)

    def _need(self, media: Media, use: str) -> MediaNeed:
        # The displayed name is in the card, not in the upload, so the same bytes share one upload under any name.
        return MediaNeed(media, self._scope, use)

    # --- cards and received messages ---

    def _card(self, card: Link | MiniProgram | ChannelVideo) -> Part:
        if not self._rules["card.fresh"]:
            raise Unsupported(
                f"{self._target} cannot take a {_kind_of(card)}: web WeChat drops cards that a client makes "
                f"(card.fresh, rules {self._rules.profile}). Send its content as text, or forward a received card."
            )
        try:
            match card:
                case Link():
                    type_, xml = AppMessageType.LINK, compose_link(card, WEBWECHAT)
                case MiniProgram():
                    type_, xml = AppMessageType.MINI_PROGRAM, compose_mini_program(card, WEBWECHAT)
                case ChannelVideo():
                    type_, xml = AppMessageType.CHANNEL_VIDEO, compose_channel_video(card, WEBWECHAT)
        except ValueError as error:
            raise Unsupported(f"{self._target}: {error}. Correct it and send again.") from error
        return _part(Draft("webwxsendappmsg", type_, xml), _kind_of(card))

    def _forward(self, forward: Forward) -> Part:
        reference = forward.reference
        if reference.get("scope") and not reference.get("lasts") and reference["scope"] != self._scope:
            raise Unsupported(
                f"{self._target}: this {forward.kind} was received in an earlier login, and its reference ended with "
                "that. Save the media and send it anew."
            )
        draft = forward_draft(forward.kind, reference)
        if draft is None:
            raise Unsupported(
                f"{self._target}: web WeChat cannot forward a received {forward.kind}. Save it and send it as a file."
            )
        return _part(draft, f"forward {forward.kind}")


def limits(message: Message, rules: Rules) -> Sequence[Limit]:
    """Return the limit on pictures, if the profile has one."""
    count = rules.number("limit.pictures.count")
    if not rules.limited or not count or not any(map(_is_picture, message.segments)):
        return ()
    return (Limit("pictures", "account", "pictures", count, per_seconds=float(rules["limit.pictures.seconds"])),)


def _is_picture(segment: Segment) -> bool:
    """Whether the service counts `segment` as a picture; forwarded ones count, too."""
    return isinstance(segment, Image) or (isinstance(segment, Forward) and segment.kind == "image")


def mentions_of(draft: Draft, book: AddressBook, room: str) -> str:
    """Return `Msg.MsgSource` for the mentioned members that are known; empty if there is none."""
    members = [found for name in draft.mentions if (found := book.member(room, name))]
    return mention_source(members, room) if members else ""


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
