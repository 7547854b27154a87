"""References to received media: made from the XML of a message, and read by downloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yizhan.errors import Unsupported
from yizhan.model import Forward
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.wire import FileType, MsgType
from yizhan.platforms.wechat_xml import MediaXml, parse_card, parse_media
from yizhan.wire.filename import safe_name

_KINDS: dict[int, str] = {
    MsgType.IMAGE: "image",
    MsgType.VOICE: "voice",
    MsgType.VIDEO: "video",
    MsgType.STICKER: "sticker",
}


def forward_of(message_type: int, content: str, id: str = "", msg_id: int = 0) -> Forward | None:
    """Return the media of a message by its type and content; None for messages without media.

    Raises:
        ValueError: the XML cannot be read.
    """
    reference = {"platform": "ohwxapi", "type": message_type, "xml": content, "id": id, "msg_id": msg_id}
    if message_type == MsgType.APP:
        card = parse_card(content)
        file = card.file()
        return Forward("file", reference, safe_name(card.title), size=file.totallen) if file is not None else None
    kind = _KINDS.get(message_type)
    if kind is None:
        return None
    try:
        media = parse_media(content)
    except ValueError:
        # A forward needs the XML alone, and a newer gateway may write it in another way.
        return Forward(kind, reference)
    return _measured(kind, reference, media)


def _measured(kind: str, reference: dict[str, Any], media: MediaXml) -> Forward:
    """Return the reference with the measures that the XML gives; those of thumbnails are left out."""
    own_measures = kind == "sticker"
    return Forward(
        kind,
        reference,
        size=media.number("len" if own_measures else "length"),
        duration_ms=media.number("voicelength") or 1000 * media.number("playlength"),
        width=media.number("width") if own_measures else 0,
        height=media.number("height") if own_measures else 0,
    )


def download_of(reference: Mapping[str, Any]) -> wire.CdnDownload:
    """Return the download of received media.

    Raises:
        Unsupported: it names nothing that the CDN holds.
    """
    xml, kind = str(reference.get("xml", "")), reference.get("type")
    try:
        if kind == MsgType.VOICE:
            return wire.CdnDownload(VoiceXml=xml, FileType=FileType.VOICE, MsgId=reference.get("msg_id", 0))
        if kind == MsgType.APP and (card := parse_card(xml).file()) is not None:
            return _by_id(card.cdnattachurl, card.aeskey, FileType.FILE)
        media = parse_media(xml)
        if kind == MsgType.IMAGE:
            middle = media.file_id("cdnmidimgurl")
            large = media.file_id("cdnbigimgurl")
            return _by_id(large or middle, media.key(), FileType.ORIGINAL_IMAGE if large else FileType.IMAGE)
        if kind == MsgType.VIDEO:
            return _by_id(media.file_id("cdnvideourl"), media.key(), FileType.VIDEO)
    except ValueError as error:
        raise Unsupported(f"The reference cannot be read: {error}.") from error
    raise Unsupported(f"ohwxapi has no download for messages of type {kind}.")


def _by_id(file_id: str, key: str, file_type: int) -> wire.CdnDownload:
    if not file_id or not key:
        raise Unsupported("The message names no object of the CDN (its id or key is missing).")
    return wire.CdnDownload(AesKey=key, FileId=file_id, FileType=file_type)
