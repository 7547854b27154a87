"""Sending received media on, by the reference of their event: no download, no upload."""

from __future__ import annotations

import msgspec

from yizhan.model import Forward
from yizhan.platforms.wechat_xml import compose_file, parse_card
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.convert.placed import Draft
from yizhan.wire.filename import safe_name

_NO_CHECK_VALUE = "Sent on by the reference that came in, which lacks the CDN's check values."


def sent_on(forward: Forward, to: str) -> tuple[Draft, str]:
    """Return the call that sends received media on, and the note for the receipt.

    A file goes as its card, and voice with all that its forward wants. No message has the check values that forwards of
    pictures (`filecrc`) and of videos (`encryptfilemd5` as well) want: they go as 0 or empty.
    """
    reference = forward.reference
    kind = int(reference["type"])
    if kind == wire.TYPE_CARD:
        return Draft(wire.SEND_XML, _same_card(forward, to)), ""
    if kind == wire.TYPE_STICKER:
        return Draft(
            wire.SEND_KNOWN_STICKER,
            wire.SendKnownSticker(userName=to, emojiMd5=str(reference["md5"]), emojiSize=int(reference.get("size", 0))),
        ), ""
    copied = {"userName": to, "fileid": reference["fileid"], "aeskey": reference["aeskey"]}
    size = str(reference["size"])
    if kind == wire.TYPE_VOICE:
        voice = wire.ForwardVoice(**copied, rawtotalsize=size, voiceduration=str(reference["milliseconds"]))
        return Draft(wire.FORWARD_VOICE, voice), ""
    copied |= {"rawtotalsize": size, "rawfilemd5": reference["md5"], "filecrc": "0"}
    thumb = str(reference.get("thumb", ""))
    if kind == wire.TYPE_IMAGE:
        return Draft(wire.FORWARD_IMAGE, wire.ForwardImage(**copied, rawthumbsize=thumb)), _NO_CHECK_VALUE
    if kind == wire.TYPE_VIDEO:
        seconds = str(reference.get("seconds", 1))
        video = wire.ForwardVideo(**copied, encryptfilemd5="", rawthumbsize=thumb, videoseconds=seconds)
        return Draft(wire.FORWARD_VIDEO, video), _NO_CHECK_VALUE
    raise ValueError(f"messages of type {kind} cannot be sent on")


def _same_card(forward: Forward, to: str) -> wire.SendXml:
    card = parse_card(str(forward.reference["xml"]))
    xml, file = card.xml, card.file()
    if file is not None and forward.name and safe_name(forward.name) != safe_name(card.title):
        xml = compose_file(msgspec.structs.replace(file, title=safe_name(forward.name), fileext=""))
    return wire.SendXml(userName=to, content=xml, msgType=card.type)
