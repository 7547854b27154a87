"""Messages to parts. Pure.

One item is one message there. Text that follows the only picture, video or file of a message is its caption and is
sent first, as the official client does; otherwise the order is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from yizhan.errors import Unsupported
from yizhan.model import File, Forward, Image, Media, Message, Native, Segment, Target, Text, Video, Voice
from yizhan.platforms.adapter import Limit, MediaNeed, Part
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.convert.placed import Placed, media_item, outbound_media
from yizhan.platforms.kit.composer import Composer, amount, carried_name
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.rules import Rules
from yizhan.wire import explain
from yizhan.wire.filename import safe_name

AS_FILE = "Bots show no voice messages on iLink: sent as a file."
REFERRED = (
    "Sent on by reference, without an upload. It is not proven that phones open such media on iLink; the rule "
    "forward.by_reference = false uploads them anew."
)

_REFERABLE = ("image", "video", "file")


def compose(message: Message, target: Target, rules: Rules) -> Sequence[Part]:
    """Return the messages that carry `message`, one item each, captions before media.

    Raises:
        Refused: a segment has no counterpart on iLink; the text says what would work.
    """
    return ItemComposer(target, rules).compose(message)


class ItemComposer(Composer):
    """One message for every item."""

    title = "iLink"
    kinds = ("user",)
    repeatable = True
    remedies: ClassVar = {
        "link": "Send the address as text; WeChat makes it a link.",
        "mini_program": "Send its address or a description as text.",
        "channel_video": "Send its address as text.",
        "contact_card": "Send the WeChat id as text.",
        "mention": "Leave it out: a bot talks with one person, and there are no groups.",
    }

    def arranged(self, segments: Sequence[Segment]) -> Sequence[Segment]:
        """Put the text after a message's only media before it, as its caption."""
        match list(segments):
            case [Image() | Video() | Voice() | File() | Forward() as media, *texts] if texts and _are_text(texts):
                return [*texts, media]
        return segments

    def text(self, piece: Piece) -> Part:
        item = wire.MessageItem(type=wire.TEXT, text_item=wire.TextItem(text=piece.text))
        return self._item(item, f"text {len(piece.text)} chars")

    def image(self, segment: Image, media: Media) -> Part:
        return self._placed("image", segment.name, media)

    def video(self, segment: Video, media: Media) -> Part:
        return self._placed("video", segment.name, media)

    def file(self, segment: File, media: Media) -> Part:
        return self._placed("file", segment.name, media)

    def voice(self, segment: Voice, media: Media) -> Part:
        part = self._placed("file", segment.name, media)
        return replace(part, note=" ".join(filter(None, (AS_FILE, part.note))))

    def _placed(self, kind: str, name: str, media: Media) -> Part:
        scope = "account" if self.rules["handle.scope"] == "account" else str(self.target)
        # Only files have a name on this wire.
        shown, note = carried_name(media, name) if kind == "file" else ("", "")
        item = media_item(kind, media.size, file_name=shown)
        return self._item(item, f"{kind} {amount(media.size)}", MediaNeed(media, scope, use=kind), note=note)

    def forward(self, segment: Forward) -> Part:
        reference = segment.reference
        if segment.kind == "text" and isinstance(reference.get("text"), str):
            return replace(self.text(Piece(reference["text"])), summary="text, sent on")
        param, key = reference.get("param"), reference.get("key")
        if segment.kind == "voice":
            self.refuse(segment, "a voice goes as a file here, and phones open no SILK", _SAVE)
        if (
            segment.kind not in _REFERABLE
            or not isinstance(param, str)
            or not isinstance(key, str)
            or not (param and key)
        ):
            why = f"this {segment.kind} did not come in over iLink, or without a key"
            self.refuse(segment, why, _SAVE)
        if not self.rules["forward.by_reference"]:
            self.refuse(segment, f"the rules ({self.rules.profile}) trust no reference", _SAVE)
        size = reference.get("size")
        name = safe_name(segment.name or str(reference.get("name") or ""))
        media = outbound_media(Placed(param, key))
        item = media_item(segment.kind, size if isinstance(size, int) else 0, file_name=name, media=media)
        return self._item(item, f"{segment.kind}, sent on", note=REFERRED)

    def native(self, segment: Native) -> Part:
        return _native(segment.call, segment.body, self.target)

    def _item(self, item: wire.MessageItem, summary: str, *needs: MediaNeed, note: str = "") -> Part:
        return self.part("sendmessage", wire.WeixinMessage(item_list=[item]), summary, *needs, note=note)


_SAVE = "Save it and send it as media."


def _are_text(segments: Sequence[Segment]) -> bool:
    return all(isinstance(segment, Text) for segment in segments)


def _native(call: str, body: Mapping[str, Any], target: Target) -> Part:
    if call != "sendmessage":
        raise Unsupported(f"{target} has no call '{call}' for messages. Use 'sendmessage' with the fields of `msg`.")
    try:
        message = msgspec.convert(dict(body), wire.WeixinMessage)
    except msgspec.ValidationError as error:
        raise Unsupported(f"{target}: the native body does not fit `msg` of sendmessage: {explain(error)}") from error
    if msgspec.to_builtins(message) != dict(body):
        raise Unsupported(f"{target}: the native body has fields that `msg` of sendmessage does not know.")
    if len(message.item_list or ()) != 1:
        raise Unsupported(f"{target}: one message carries exactly one item. Send {call} once for each.")
    return Part("sendmessage", message, repeatable=True, summary="native message")


def limits(context: Mapping[str, Any], rules: Rules) -> Sequence[Limit]:
    """Return the limit of the window that the person's last message opened.

    None if no message is known: the person may have written while nothing was received, and the platform decides.
    """
    at = context.get("at")
    if not rules.limited or not isinstance(at, (int, float)):
        return ()
    count, seconds = rules.number("window.count"), rules.number("window.seconds")
    return (Limit("messages after the person last wrote", "target", "message", count, since=at, until=at + seconds),)
