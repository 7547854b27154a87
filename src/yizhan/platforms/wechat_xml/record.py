"""Chat records (card type 19): a second XML document inside of the card, one `dataitem` per message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from xml.etree.ElementTree import Element

from yizhan.model import CardLine
from yizhan.platforms.wechat_xml.compose import FileCard, as_received, compose_file, compose_media
from yizhan.platforms.wechat_xml.xml import find, parse_fragment, text_of

MAX_LINES = 500
CHINA = timezone(timedelta(hours=8))
"""The time zone of `sourcetime`, which is a local time without one."""

_LABELS = {
    "2": "[图片]",
    "3": "[语音]",
    "4": "[视频]",
    "5": "[链接]",
    "6": "[位置]",
    "8": "[文件]",
    "17": "[聊天记录]",
    "19": "[小程序]",
    "22": "[视频号]",
    "23": "[直播]",
    "29": "[音乐]",
}
"""Names of a `datatype`, as WeChat shows them; 1 is text."""


@dataclass(frozen=True, slots=True)
class RecordItem:
    """One message of a chat record: its words, and its media where it has some."""

    line: CardLine
    datatype: str = ""
    file_id: str = ""
    key: str = ""
    md5: str = ""
    size: int = 0
    name: str = ""
    seconds: int = 0

    def as_message(self) -> tuple[int, str] | None:
        """Return type and content of a message with these media; None where there are none."""
        if not self.file_id or not self.key:
            return None
        shared: dict[str, str | int] = {"aeskey": self.key, "length": self.size, "md5": self.md5}
        match self.datatype:
            case "2":
                return 3, compose_media("img", {**shared, "cdnmidimgurl": self.file_id})
            case "3":
                return 34, compose_media(
                    "voicemsg", {**shared, "voiceurl": self.file_id, "voicelength": 1000 * self.seconds}
                )
            case "4":
                return 43, compose_media(
                    "videomsg", {**shared, "cdnvideourl": self.file_id, "playlength": self.seconds}
                )
            case "8":
                card = FileCard(self.name, self.size, cdnattachurl=self.file_id, aeskey=self.key, md5=self.md5)
                return 49, as_received(compose_file(card))
        return None


def record_lines(appmsg: Element) -> tuple[CardLine, ...]:
    """Return the words of a chat record, line by line; empty if the inner document cannot be read."""
    return tuple(item.line for item in record_items(appmsg))


def record_items(appmsg: Element) -> tuple[RecordItem, ...]:
    """Return the messages of a chat record; empty if the inner document cannot be read."""
    item = find(appmsg, "recorditem")
    if item is None:
        return ()
    try:
        # The inner document is text, in CDATA or escaped; some clients write it as real elements.
        info = item if len(item) else parse_fragment(text_of(item))
    except ValueError:
        return ()
    datalist = find(info, "recordinfo/datalist")
    items = [element for element in (datalist if datalist is not None else ()) if element.tag == "dataitem"]
    return tuple(_item(element) for element in items[:MAX_LINES])


def _item(item: Element) -> RecordItem:
    def text(tag: str) -> str:
        return text_of(find(item, tag))

    def number(tag: str) -> int:
        digits = text(tag)
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else 0

    return RecordItem(
        _line(item, text),
        datatype=item.get("datatype", ""),
        file_id=text("cdndataurl"),
        key=text("cdndatakey"),
        md5=text("fullmd5"),
        size=number("datasize"),
        name=text("datatitle"),
        seconds=number("duration"),
    )


def _line(item: Element, text: Callable[[str], str]) -> CardLine:
    label = _LABELS.get(item.get("datatype", ""), "")
    content = text("datatitle") or text("datadesc") if label else text("datadesc") or text("datatitle")
    return CardLine(" ".join(filter(None, (label, content))), text("sourcename"), _time(text))


def _time(text: Callable[[str], str]) -> float:
    seconds = text("srcMsgCreateTime")
    if seconds.isascii() and seconds.isdigit() and len(seconds) <= 10:
        return float(seconds)
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(text("sourcetime"), form).replace(tzinfo=CHINA).timestamp()
        except ValueError:
            continue
    return 0.0
