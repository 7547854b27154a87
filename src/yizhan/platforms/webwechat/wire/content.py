"""What stands in `Content`: escaped text, small XML, emoji as spans. Pure text to text.

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
from yizhan.platforms.wechat_xml.xml import CData, Nodes, write

MD5 = re.compile(r"[0-9a-fA-F]{32}")

_BREAK = re.compile(r"<br\s*/?>")
_EMOJI = re.compile(r'<span class="emoji emoji([0-9a-f]+)"></span>')
_TOKEN = re.compile(r"@[0-9a-f]{64,}")
_ROOM_SENDER = re.compile(r"(@[0-9a-f]+):<br/>")


def escaped(text: str) -> str:
    """Return `text` as received Content writes it: `< > &` escaped, line breaks as `<br/>`."""
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br/>")


def plain(content: str) -> str:
    """Read Content: the reverse of `escaped`, emoji spans as characters."""
    return html.unescape(_EMOJI.sub(_emoji, _BREAK.sub("\n", content)))


def shown_name(name: str) -> str:
    """Return a NickName or RemarkName as people see it."""
    return html.unescape(_EMOJI.sub(_emoji, name))


def split_room(content: str) -> tuple[str, str]:
    """Return the UserName of the member who speaks and the rest; own messages have no prefix."""
    match = _ROOM_SENDER.match(content)
    return (match[1], content[match.end() :]) if match else ("", content)


def is_token(content: str) -> bool:
    """Whether the whole Content is the opaque form (`@` and long hex) of a picture or video."""
    return _TOKEN.fullmatch(content) is not None


def mention_source(members: Sequence[str], room: str) -> str:
    """Return `Msg.MsgSource` for a text that mentions members of a room, all by UserName."""
    names = ",".join(members)
    return f"<msgsource><atusername>{names}</atusername><atchatroomname>{room}</atchatroomname></msgsource>"


def encry_name(name: str) -> str:
    """Return EncryFileName: UTF-8 percent-encoded, everything but letters and digits."""
    return "".join(chr(b) if chr(b).isascii() and chr(b).isalnum() else f"%{b:02X}" for b in name.encode())


def decoded_name(name: str) -> str:
    """Return a file name that a client may have percent-encoded."""
    return unquote(name, errors="replace") if re.search(r"%[0-9A-Fa-f]{2}", name) else name


# --- small XML --------------------------------------------------------------------------------------------------------


class Cdn(Struct, frozen=True):
    """The three values that find a picture or video again, also after it was withdrawn."""

    aeskey: str
    url: str
    md5: str


def image_xml(cdn: Cdn, size: int, thumb: tuple[int, int] = (0, 0)) -> str:
    """Return the Content of a received picture."""
    return _document(
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


def video_xml(cdn: Cdn, size: int, seconds: int, sender: str, thumb: tuple[int, int] = (0, 0)) -> str:
    """Return the Content of a received video."""
    return _document(
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
    return _document(
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


def read_cdn(content: str) -> Cdn | None:
    """Return what finds the picture or video that `content` (decoded XML) describes; None when it does not say."""
    try:
        found: MediaXml = parse_media(content)
    except ValueError:
        return None
    aeskey = found.get("aeskey") or found.get("cdnthumbaeskey")
    url = found.get("cdnmidimgurl") or found.get("cdnvideourl") or found.get("cdnthumburl")
    return Cdn(aeskey, url, found.get("md5")) if url and aeskey else None


def read_md5(content: str) -> str:
    """Return the `md5` attribute of a received sticker (decoded XML); empty when there is none."""
    try:
        return parse_media(content).get("md5")
    except ValueError:
        return ""


def file_card(title: str, size: int, media_id: str) -> str:
    """Return the appmsg of a file: `Msg.Content` of webwxsendappmsg."""
    return compose_file(FileCard(title, size, attachid=media_id), WEBWECHAT)


class ReadCard(Struct, frozen=True):
    """The few values of an appmsg that decide what is sent, and how it is shown."""

    type: int
    kind: str
    title: str
    attachid: str
    url: str


def read_card(xml: str) -> ReadCard:
    """Read an appmsg; by patterns where it is no XML: real clients leave names unescaped."""
    try:
        card = parse_card(xml)
    except ValueError:
        type_ = _inside(xml, "type")
        number = int(type_) if re.fullmatch("[0-9]{1,9}", type_) else 0
        return ReadCard(number, card_kind(number), _inside(xml, "title"), _inside(xml, "attachid"), _inside(xml, "url"))
    return ReadCard(card.type, card.kind, card.title, card.text("appattach/attachid"), card.text("url"))


def location_content(xml: str, message_id: str) -> str:
    """Return the Content of a location, escaped: its label, and where a map is; `xml` is its OriContent."""
    try:
        place = parse_media(xml)
    except ValueError:
        return escaped(xml)
    label = place.get("label") or place.get("poiname")
    query = f"url=xxx&msgid={message_id}&pictype=location"
    return f"{escaped(label)}:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?{escaped(query)}"


def recall_xml(session: str, message_id: str, words: str) -> str:
    """Return the Content (before escaping) of a recall notice."""
    named: Nodes = [("session", session), ("oldmsgid", "0"), ("msgid", message_id), ("replacemsg", CData(words))]
    return f'<sysmsg type="revokemsg">{write([("revokemsg", named)])}</sysmsg>'


def _inside(xml: str, name: str) -> str:
    start = xml.find(f"<{name}>")
    end = xml.find(f"</{name}>", start)
    return html.unescape(xml[start + len(name) + 2 : end]) if 0 <= start < end else ""


def _document(element: str) -> str:
    return f'<?xml version="1.0"?>\n{element}\n'


def _emoji(match: re.Match[str]) -> str:
    code = match[1]
    # Two code points stand in one run of digits: flags (1f1e81f1f3) and keycaps (003120e3).
    sizes = {10: (5, 5), 8: (4, 4), 9: (5, 4)}.get(len(code), (len(code),))
    characters, at = "", 0
    for size in sizes:
        value = int(code[at : at + size], 16)
        characters += chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else ""
        at += size
    return characters
