"""The XML by which received media name their objects on the CDN. Pure."""

from __future__ import annotations

from yizhan.platforms.wechat_xml import FileCard, as_received, compose_file, compose_media
from yizhan.platforms.wechatsdk.server.cdn import Stored


def media_xml(kind: str, stored: Stored, sender: str, name: str, now: float) -> str:
    """Return the content of a message with media. `kind`: image, video, voice, sticker or file."""
    if kind == "file":
        return _file(stored, sender, name or "file", now)
    tag, values = _ATTRIBUTES[kind](stored, sender)
    return compose_media(tag, values)


def _file(stored: Stored, sender: str, name: str, now: float) -> str:
    card = FileCard(
        title=name,
        totallen=stored.blob.size,
        cdnattachurl=stored.answer.fileid,
        aeskey=stored.answer.aeskey,
        md5=stored.blob.md5,
        filekey=f"{sender}_{int(now)}",
    )
    return as_received(compose_file(card), sender)


def _image(stored: Stored, _: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "img", {
        "aeskey": answer.aeskey,
        "encryver": "1",
        "cdnthumbaeskey": answer.aeskey,
        "cdnthumburl": answer.fileid,
        "cdnthumblength": answer.rawthumbsize,
        "cdnthumbheight": "120",
        "cdnthumbwidth": "90",
        "cdnmidheight": "0",
        "cdnmidwidth": "0",
        "cdnhdheight": "0",
        "cdnhdwidth": "0",
        "cdnmidimgurl": answer.fileid,
        "length": stored.blob.size,
        "md5": stored.blob.md5,
        "hevc_mid_size": "0",
        "originsourcemd5": "",
    }


def _video(stored: Stored, sender: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "videomsg", {
        "aeskey": answer.aeskey,
        "cdnvideourl": answer.fileid,
        "cdnthumbaeskey": answer.aeskey,
        "cdnthumburl": answer.fileid,
        "length": stored.blob.size,
        "playlength": "1",
        "cdnthumblength": answer.rawthumbsize,
        "cdnthumbwidth": "288",
        "cdnthumbheight": "512",
        "fromusername": sender,
        "md5": stored.blob.md5,
        "newmd5": "",
        "isplaceholder": "0",
        "isad": "0",
    }


def _voice(stored: Stored, sender: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "voicemsg", {
        "endflag": "1",
        "cancelflag": "0",
        "forwardflag": "0",
        "voiceformat": "4",
        "voicelength": answer.voiceduration,
        "length": stored.blob.size,
        "bufid": "0",
        "aeskey": answer.aeskey,
        "voiceurl": answer.fileid,
        "voicemd5": "",
        "clientmsgid": stored.blob.sha1[:12],
        "fromusername": sender,
    }


def _sticker(stored: Stored, sender: str) -> tuple[str, dict[str, str | int]]:
    blob = stored.blob
    return "emoji", {
        "fromusername": sender,
        "type": "2",
        "idbuffer": "media:0_0",
        "md5": blob.md5,
        "len": blob.size,
        "androidmd5": blob.md5,
        "androidlen": blob.size,
        "aeskey": stored.answer.aeskey,
        "width": "240",
        "height": "240",
    }


_ATTRIBUTES = {"image": _image, "video": _video, "voice": _voice, "sticker": _sticker}
