"""The `Content` of a message: escaped text, the XML of media and cards, emoji as spans. Pure functions on text.

Sources: iKuiki/wwdk doc/protocol/receive.md and datastruct/; littlecodersh/ItChat components/messages.py (emoji,
mentions); the browser bundle of 2022-03-01 (msgsource, file names).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from msgspec import Struct

from yizhan.platforms.wechat_xml import (
    WEBWECHAT,
    FileCard,
    MediaXml,
    card_kind,
    compose_file,
    compose_media,
    parse_card,
    parse_media,
)
from yizhan.platforms.wechat_xml.xml import CData, Nodes, find, refuse_hostile, write

MD5 = re.compile(r"[0-9a-fA-F]{32}")

_BREAK = re.compile(r"<br\s*/?>")
_EMOJI = re.compile(r'<span class="emoji emoji([0-9a-f]+)"></span>')
_TOKEN = re.compile(r"@[0-9a-f]{64,}")
_ROOM_SENDER = re.compile(r"(@[0-9a-f]+):<br/>")


def escape_content(text: str) -> str:
    """Return `text` in the form of received Content: `< > &` escaped, line breaks as `<br/>`."""
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br/>")


def unescape_content(content: str) -> str:
    """Return the text of received Content: the reverse of `escape_content`, with emoji spans as characters."""
    return html.unescape(_EMOJI.sub(_emoji, _BREAK.sub("\n", content)))


def display_name(name: str) -> str:
    """Return a NickName or RemarkName as displayed."""
    return html.unescape(_EMOJI.sub(_emoji, name))


def split_speaker(content: str) -> tuple[str, str]:
    """Split a room message into the speaker's UserName and the text; own messages have no speaker in front."""
    match = _ROOM_SENDER.match(content)
    return (match[1], content[match.end() :]) if match else ("", content)


def is_token(content: str) -> bool:
    """Whether Content is the opaque token (`@` and long hex) of a picture or video."""
    return _TOKEN.fullmatch(content) is not None


def mention_source(members: Sequence[str], room: str) -> str:
    """Return `Msg.MsgSource` of a text that mentions `members` of `room`; all are UserNames."""
    names = ",".join(members)
    return f"<msgsource><atusername>{names}</atusername><atchatroomname>{room}</atchatroomname></msgsource>"


def encry_file_name(name: str) -> str:
    """Return EncryFileName: UTF-8, with every byte but ASCII letters and digits percent-encoded."""
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"%{b:02X}" for b in name.encode())


def decode_file_name(name: str) -> str:
    """Return a file name, decoded if the client percent-encoded it."""
    return unquote(name, errors="replace") if re.search(r"%[0-9A-Fa-f]{2}", name) else name


# --- XML of media and cards ---


class CdnReference(Struct, frozen=True):
    """The three values that locate a picture or video on the CDN, even after its message was recalled."""

    aeskey: str
    url: str
    md5: str


def image_xml(cdn: CdnReference, size: int, thumb: tuple[int, int] = (0, 0)) -> str:
    """Return the Content of a received picture."""
    return _xml_document(
        compose_media(
            "img",
            {
                "aeskey": cdn.aeskey,
                "encryver": 1,
                "cdnthumbaeskey": cdn.aeskey,
                "cdnthumburl": cdn.url,
                "cdnthumblength": min(size, 8000),
                "cdnthumbheight": thumb[1],
                "cdnthumbwidth": thumb[0],
                "cdnmidheight": 0,
                "cdnmidwidth": 0,
                "cdnhdheight": 0,
                "cdnhdwidth": 0,
                "cdnmidimgurl": cdn.url,
                "length": size,
                "md5": cdn.md5,
            },
        )
    )


def video_xml(cdn: CdnReference, size: int, seconds: int, sender: str, thumb: tuple[int, int] = (0, 0)) -> str:
    """Return the Content of a received video."""
    return _xml_document(
        compose_media(
            "videomsg",
            {
                "aeskey": cdn.aeskey,
                "cdnthumbaeskey": cdn.aeskey,
                "cdnvideourl": cdn.url,
                "cdnthumburl": cdn.url,
                "length": size,
                "playlength": seconds,
                "cdnthumblength": 8000,
                "cdnthumbwidth": thumb[0],
                "cdnthumbheight": thumb[1],
                "fromusername": sender,
                "md5": cdn.md5,
                "newmd5": "",
                "isad": 0,
            },
        )
    )


def voice_xml(milliseconds: int, size: int, sender: str) -> str:
    """Return the Content of a received voice message."""
    return _xml_document(
        compose_media(
            "voicemsg",
            {
                "endflag": 1,
                "length": size,
                "voicelength": milliseconds,
                "clientmsgid": "",
                "fromusername": sender,
                "downcount": 0,
                "cancelflag": 0,
                "voiceformat": 4,
                "forwardflag": 0,
                "bufid": 0,
            },
        )
    )


def emoticon_xml(md5: str, size: int, sender: str, receiver: str) -> str:
    """Return the Content of a received sticker."""
    values: Mapping[str, str | int] = {
        "fromusername": sender,
        "tousername": receiver,
        "type": 2,
        "md5": md5,
        "len": size,
        "productid": "",
        "androidmd5": md5,
        "androidlen": size,
        "cdnurl": "",
    }
    return compose_media("emoji", values)


def cdn_reference(content: str) -> CdnReference | None:
    """Return the CDN reference in the XML of a picture or video; None if it has none."""
    try:
        found: MediaXml = parse_media(content)
    except ValueError:
        return None
    aeskey = found.get("aeskey") or found.get("cdnthumbaeskey")
    url = found.get("cdnmidimgurl") or found.get("cdnvideourl") or found.get("cdnthumburl")
    return CdnReference(aeskey, url, found.get("md5")) if url and aeskey else None


def emoticon_md5(content: str) -> str:
    """Return the `md5` attribute in the XML of a sticker; empty if it has none."""
    try:
        return parse_media(content).get("md5")
    except ValueError:
        return ""


def compose_file_card(title: str, size: int, media_id: str) -> str:
    """Return the appmsg of a file, `Msg.Content` of webwxsendappmsg."""
    return compose_file(FileCard(title, size, attachid=media_id), WEBWECHAT)


class CardSummary(Struct, frozen=True):
    """The values of an appmsg that matter to the service."""

    type: int
    kind: str
    title: str
    attachid: str
    url: str
    has_attachment: bool
    """Whether there is an `appattach` element."""


def summarize_card(xml: str) -> CardSummary:
    """Read an appmsg, by text search where it is not XML: real clients leave file names unescaped.

    Raises:
        ValueError: there is no `<appmsg>` with a numeric `type`, or the XML is hostile.
    """
    refuse_hostile(xml)
    try:
        card = parse_card(xml)
    except ValueError:
        return _search_card(xml)
    if not card.type:
        raise ValueError("expected an <appmsg> with a numeric <type>")
    has_attachment = find(card.root, "appattach") is not None
    return CardSummary(
        card.type, card.kind, card.title, card.text("appattach/attachid"), card.text("url"), has_attachment
    )


def _search_card(xml: str) -> CardSummary:
    type_ = _text_between(xml, "type")
    if "<appmsg" not in xml or "</appmsg>" not in xml or not re.fullmatch("[0-9]{1,9}", type_):
        raise ValueError("expected an <appmsg> with a numeric <type>")
    return CardSummary(
        int(type_),
        card_kind(int(type_)),
        _text_between(xml, "title"),
        _text_between(xml, "attachid"),
        _text_between(xml, "url"),
        "<appattach>" in xml,
    )


def location_content(xml: str, message_id: str) -> str:
    """Return the escaped Content of a location, its label and the path of a map. `xml`: its OriContent."""
    try:
        place = parse_media(xml)
    except ValueError:
        return escape_content(xml)
    label = place.get("label") or place.get("poiname")
    query = f"url=xxx&msgid={message_id}&pictype=location"
    return f"{escape_content(label)}:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?{escape_content(query)}"


def recall_xml(session: str, message_id: str, words: str) -> str:
    """Return the unescaped Content of a recall notice."""
    named: Nodes = [("session", session), ("oldmsgid", "0"), ("msgid", message_id), ("replacemsg", CData(words))]
    return f'<sysmsg type="revokemsg">{write([("revokemsg", named)])}</sysmsg>'


def _text_between(xml: str, name: str) -> str:
    start = xml.find(f"<{name}>")
    end = xml.find(f"</{name}>", start)
    return html.unescape(xml[start + len(name) + 2 : end]) if 0 <= start < end else ""


def _xml_document(element: str) -> str:
    return f'<?xml version="1.0"?>\n{element}\n'


def _emoji(match: re.Match[str]) -> str:
    code = match[1]
    # One run of digits may hold two code points: flags (1f1e81f1f3) and keycaps (003120e3).
    sizes = {10: (5, 5), 8: (4, 4), 9: (5, 4)}.get(len(code), (len(code),))
    characters, at = "", 0
    for size in sizes:
        value = int(code[at : at + size], 16)
        characters += chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else ""
        at += size
    return characters
