"""Write the cards that people send from their phones: songs, chat records and others. Used by sandboxes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.model import Card
from yizhan.platforms.wechat_xml.record import RecordItem
from yizhan.platforms.wechat_xml.xml import Nodes, attributes, write

LINK, SONG, CHAT_RECORD = 5, 3, 19
"""Types of cards."""
DATATYPES = {"image": "2", "voice": "3", "video": "4", "file": "8"}
"""`datatype` of a line of a chat record, by kind of media; 1 is text."""
_TYPES = {"song": SONG, "chat_record": CHAT_RECORD}


def compose_card(card: Card, items: Sequence[RecordItem] = ()) -> str:
    """Return `card` as an `<appmsg>`. Its kind is `song`, `chat_record`, a number, or else a link."""
    type_ = CHAT_RECORD if items else _TYPES.get(card.kind, int(card.kind) if card.kind.isdecimal() else LINK)
    nodes: Nodes = [
        ("title", card.title),
        ("des", card.description or "\n".join(_shown(item) for item in items)),
        ("action", "view"),
        ("type", str(type_)),
        ("showtype", "0"),
        ("content", ""),
        ("url", card.url),
        *([("dataurl", card.url)] if type_ == SONG else []),
        ("appattach", [("totallen", "0"), ("attachid", ""), ("fileext", "")]),
        # As text, since the inner document is escaped in the outer one.
        *([("recorditem", _record(card, items))] if items else []),
    ]
    return f'<appmsg appid="" sdkver="0">{write(nodes)}</appmsg>'


def _shown(item: RecordItem) -> str:
    return f"{item.line.sender_name}: {item.line.text or item.name}"


def _record(card: Card, items: Sequence[RecordItem]) -> str:
    lines = "".join(_dataitem(item) for item in items)
    head = write([("title", card.title), ("desc", card.description), ("isChatRoom", "0")])
    return f'<recordinfo>{head}<datalist count="{len(items)}">{lines}</datalist></recordinfo>'


def _dataitem(item: RecordItem) -> str:
    nodes: Nodes = [
        ("sourcename", item.line.sender_name),
        ("srcMsgCreateTime", str(int(item.line.at))),
        ("datadesc", item.line.text),
        ("datatitle", item.name),
        ("datafmt", item.name.rpartition(".")[2] if "." in item.name else ""),
        ("datasize", str(item.size)),
        ("duration", str(item.seconds)),
        ("cdndataurl", item.file_id),
        ("cdndatakey", item.key),
        ("fullmd5", item.md5),
    ]
    return f"<dataitem{attributes({'datatype': item.datatype or '1'})}>{write(nodes)}</dataitem>"
