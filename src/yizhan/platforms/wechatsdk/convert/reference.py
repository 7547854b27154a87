"""References to received media: made from the XML of a message, and read by downloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yizhan.errors import Unsupported
from yizhan.model import Forward
from yizhan.platforms.wechat_xml import MediaXml, parse_card, parse_media
from yizhan.platforms.wechatsdk import wire
from yizhan.wire.filename import safe_name

_LARGE_FROM = 25 << 20
"""From here on a received file is of another type; the vendor's own limit, which the rules do not change."""


def forward_of(message_type: int, content: str) -> Forward | None:
    """Return the media of a message by its type and content; None for messages without media.

    Raises:
        ValueError: the XML cannot be read.
    """
    if message_type == wire.TYPE_CARD:
        return _file(content)
    make = _MAKERS.get(message_type)
    return make(message_type, parse_media(content)) if make else None


def download_of(reference: Mapping[str, Any], save_path: str) -> wire.Download:
    """Return the download of received media, into a file on the client's machine.

    Raises:
        Unsupported: the reference names no object of the CDN.
    """
    file_id, key, file_type = (reference.get(name) for name in ("fileid", "aeskey", "fileType"))
    if not isinstance(file_id, str) or not isinstance(key, str) or not file_id or not key:
        raise Unsupported("The reference names no object of the CDN (its id or key is missing); it cannot be fetched.")
    return wire.Download(fileid=file_id, aeskey=key, fileType=int(file_type or wire.CDN_FILE), savePath=save_path)


def _file(content: str) -> Forward | None:
    card = parse_card(content)
    file = card.file()
    if file is None:
        return None
    name = safe_name(card.title)
    reference = {
        "platform": "wechatsdk",
        "type": wire.TYPE_CARD,
        "xml": card.xml,
        "fileid": file.cdnattachurl,
        "aeskey": file.aeskey,
        "fileType": wire.CDN_LARGE_FILE if file.totallen >= _LARGE_FROM else wire.CDN_FILE,
        "size": file.totallen,
        "md5": file.md5,
        "name": name,
    }
    return Forward("file", reference, name, size=file.totallen)


def _image(message_type: int, media: MediaXml) -> Forward:
    usual, original = media.file_id("cdnmidimgurl"), media.file_id("cdnbigimgurl")
    reference = {
        **_reference(message_type, media, "length"),
        "fileid": usual or original,
        "fileType": wire.CDN_IMAGE if usual else wire.CDN_ORIGINAL,
        "thumb": media.number("cdnthumblength"),
    }
    return Forward("image", reference, size=media.number("length"))


def _video(message_type: int, media: MediaXml) -> Forward:
    reference = {
        **_reference(message_type, media, "length"),
        "fileid": media.file_id("cdnvideourl"),
        "fileType": wire.CDN_VIDEO,
        "thumb": media.number("cdnthumblength"),
        "seconds": media.number("playlength"),
    }
    duration = 1000 * media.number("playlength")
    return Forward("video", reference, size=media.number("length"), duration_ms=duration)


def _voice(message_type: int, media: MediaXml) -> Forward:
    reference = {
        **_reference(message_type, media, "length"),
        "fileid": media.file_id("voiceurl"),
        "fileType": wire.CDN_VOICE,
        "milliseconds": media.number("voicelength"),
    }
    return Forward("voice", reference, size=media.number("length"), duration_ms=media.number("voicelength"))


def _sticker(message_type: int, media: MediaXml) -> Forward:
    return Forward(
        "sticker",
        _reference(message_type, media, "len"),
        size=media.number("len"),
        width=media.number("width"),
        height=media.number("height"),
    )


def _reference(message_type: int, media: MediaXml, size: str) -> dict[str, Any]:
    return {
        "platform": "wechatsdk",
        "type": message_type,
        "aeskey": media.key(),
        "md5": media.get("md5"),
        "size": media.number(size),
    }


_MAKERS = {
    wire.TYPE_IMAGE: _image,
    wire.TYPE_VIDEO: _video,
    wire.TYPE_VOICE: _voice,
    wire.TYPE_STICKER: _sticker,
}
