"""Chat records (card type 19): a second XML document inside of the card, one `dataitem` per message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from xml.etree.ElementTree import Element

from yizhan.model import CardLine
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


def record_lines(appmsg: Element) -> tuple[CardLine, ...]:
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
    return tuple(_line(element) for element in items[:MAX_LINES])


def _line(item: Element) -> CardLine:
    def text(tag: str) -> str:
        return text_of(find(item, tag))

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
