"""Messages to parts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypeVar

from yizhan.errors import MediaFormat
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
from yizhan.model.split import split_text
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.kit.composer import amount, carried_name, name_of
from yizhan.platforms.kit.words import Piece, Words
from yizhan.platforms.rules import Rules
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.platforms.webwechat.convert.draft import Draft
from yizhan.platforms.webwechat.convert.forward import forward_draft, native_draft
from yizhan.platforms.webwechat.wire.content import MD5, mention_source
from yizhan.platforms.webwechat.wire.session import AppMessageType, MessageType
from yizhan.platforms.wechat_xml import (
    WEBWECHAT,
    Dialect,
    WeChatComposer,
    card_type,
    compose_channel_video,
    compose_contact,
    compose_link,
    compose_mini_program,
)
from yizhan.wire.filename import safe_name

C = TypeVar("C", Link, MiniProgram, ChannelVideo)

QUOTE_RULE = "- - - - - - - - - - - - - - -"
"""Separates quoted text from its answer."""
MAX_QUOTED_CHARS = 200
VOICE_NOTE = "Web WeChat cannot send voice messages; it was sent as a file."
QUOTE_NOTE = "Web WeChat drops quotes; the quoted text is above the answer."
CARD_NOTE = "Web WeChat drops cards that a client sends; its words were sent as text."
GIF_NOTE = "Web WeChat sends an animated picture as a sticker."


def compose(message: Message, target: Target, rules: Rules, scope: str) -> Sequence[Part]:
    """Return the parts of `message` in order. `scope`: the current login, within which handles are valid.

    Raises:
        Refused: a segment cannot be sent; the text says what would work.
    """
    return WebComposer(target, rules, scope).compose(message)


class WebComposer(WeChatComposer):
    """The parts of one message to one target, within one login."""

    title = "Web WeChat"
    repeatable = True
    notes: ClassVar = {"card": CARD_NOTE}

    def __init__(self, target: Target, rules: Rules, scope: str) -> None:
        super().__init__(target, rules)
        self._scope = scope

    def takes(self, kind: str) -> bool:
        return bool(self.rules["card.fresh"]) if kind == "card" else super().takes(kind)

    # --- text ---

    def text(self, piece: Piece) -> Part:
        return self._words(Draft("webwxsendmsg", MessageType.TEXT, piece.text, mentions=_members(piece)))

    def quote(self, quote: Quote, piece: Piece) -> Part:
        draft = Draft("webwxsendappmsg", AppMessageType.QUOTE, piece.text, mentions=_members(piece), quote=quote)
        return self._words(draft)

    def _words(self, draft: Draft) -> Part:
        return self._part(draft, f"{'quote, ' if draft.quote else ''}text {len(draft.content)} chars")

    def answer(self, quote: Quote, words: Words) -> Iterator[Part]:
        if self.rules["card.fresh"] or not words.text.strip():
            return super().answer(quote, words)
        return self.texts(words.prefixed(self._quoted_text(quote)), QUOTE_NOTE)

    def _quoted_text(self, quote: Quote) -> str:
        """Return the quoted text in the form of clients without quote cards, to be put above an answer."""
        if not quote.text.strip():
            self.refuse(quote, "web WeChat sends a quote as text, and this one has none", "Give Quote(text=…).")
        name = quote.sender_name or ("" if quote.sender.startswith("@") else quote.sender)
        shown = split_text(quote.text, MAX_QUOTED_CHARS)
        text = shown[0] if len(shown) == 1 else shown[0] + "…"
        return f"「{name}{'：' if name else ''}{text}」\n{QUOTE_RULE}\n"

    # --- media ---

    def image(self, segment: Image, media: Media) -> Part:
        if media.format == "gif":
            return self._gif(media, GIF_NOTE)
        draft = Draft("webwxsendmsgimg", MessageType.IMAGE)
        return self._part(draft, f"image {amount(media.size)}", self._need(media, wire.PICTURE))

    def video(self, segment: Video, media: Media) -> Part:
        draft = Draft("webwxsendvideomsg", MessageType.VIDEO)
        return self._part(draft, f"video {amount(media.size)}", self._need(media, wire.MOVIE))

    def voice(self, segment: Voice, media: Media) -> Part:
        return self._file(media, segment.name, "voice as file", VOICE_NOTE)

    def file(self, segment: File, media: Media) -> Part:
        return self._file(media, segment.name, "file")

    def _file(self, media: Media, name: str, label: str, note: str = "") -> Part:
        title, changed = carried_name(media, name)
        note = " ".join(filter(None, (note, changed)))
        draft = Draft("webwxsendappmsg", AppMessageType.FILE, title=title, size=media.size)
        return self._part(draft, f"{label} {amount(media.size)}", self._need(media, wire.DOCUMENT), note=note)

    def sticker(self, segment: Sticker, media: Media | None) -> Part:
        if media is not None:
            return self._gif(media)
        if not MD5.fullmatch(segment.md5):
            raise MediaFormat(
                f"{self.target}: a sticker is a gif, or the md5 (32 hex digits) of one that the service knows, "
                f"not '{segment.md5[:40]}'."
            )
        draft = Draft("webwxsendemoticon", MessageType.EMOTICON, md5=segment.md5.lower())
        return self._part(draft, "sticker by md5")

    def _gif(self, media: Media, note: str = "") -> Part:
        draft = Draft("webwxsendemoticon", MessageType.EMOTICON)
        return self._part(draft, f"sticker {amount(media.size)}", self._need(media, wire.DOCUMENT), note=note)

    def _need(self, media: Media, use: str) -> MediaNeed:
        # The displayed name is in the card, not in the upload, so the same bytes share one upload under any name.
        return MediaNeed(media, self._scope, use)

    # --- cards and received messages ---

    def contact_card(self, segment: ContactCard) -> Part:
        draft = Draft("webwxsendmsg", MessageType.CARD, compose_contact(segment))
        return self._part(draft, f"card of {segment.nickname or segment.username}")

    def link(self, segment: Link) -> Part:
        return self._fresh_card(segment, AppMessageType.LINK, compose_link)

    def mini_program(self, segment: MiniProgram) -> Part:
        return self._fresh_card(segment, AppMessageType.MINI_PROGRAM, compose_mini_program)

    def channel_video(self, segment: ChannelVideo) -> Part:
        return self._fresh_card(segment, AppMessageType.CHANNEL_VIDEO, compose_channel_video)

    def _fresh_card(self, segment: C, type_: int, compose: Callable[[C, Dialect], str]) -> Part:
        if not self.rules["card.fresh"]:
            self.refuse(
                segment,
                f"web WeChat drops cards that a client makes (card.fresh, rules {self.rules.profile})",
                "Send its content as text, or forward a received card.",
            )
        xml = self.xml(segment, lambda card: compose(card, WEBWECHAT))
        kind = str(segment.__struct_config__.tag).replace("_", " ")
        return self._part(Draft("webwxsendappmsg", type_, xml), kind)

    def card(self, segment: Card) -> Part:
        draft = Draft("webwxsendappmsg", card_type(segment.xml), segment.xml)
        return self._part(draft, f"card '{segment.title[:40]}'")

    def forward(self, segment: Forward) -> Part:
        reference = segment.reference
        if reference.get("scope") and not reference.get("lasts") and reference["scope"] != self._scope:
            self.refuse(
                segment,
                f"this {segment.kind} was received in an earlier login, and its reference ended with that",
                "Save the media, and send the saved file.",
            )
        draft = forward_draft(segment.kind, reference)
        if draft is None:
            why = f"web WeChat cannot forward a received {segment.kind}"
            self.refuse(segment, why, "Save it and send it as a file.")
        return self._part(draft, f"forward {segment.kind}")

    def native(self, segment: Native) -> Part:
        return self._part(native_draft(self.target, segment.call, segment.body), f"native {segment.call}")

    def _part(self, draft: Draft, summary: str, *needs: MediaNeed, note: str = "") -> Part:
        return self.part(draft.call, draft, summary, *needs, note=note)


def _members(piece: Piece) -> tuple[str, ...]:
    return tuple(user for user in piece.mentioned if user != "all")


def mentions_of(draft: Draft, book: AddressBook, room: str) -> str:
    """Return `Msg.MsgSource` for the mentioned members that are known; empty if there is none."""
    members = [found for name in draft.mentions if (found := book.member(room, name))]
    return mention_source(members, room) if members else ""


def upload_form(media: Media, use: str) -> tuple[str, str]:
    """Return the form fields `name` and `type` of an upload."""
    type_, _ = wire.TYPES.get(media.format, (media.mime or "application/octet-stream", use))
    name = safe_name(name_of(media))
    if use != wire.DOCUMENT and "." not in name:
        name = f"{name}.{media.format}"
    return name, type_
