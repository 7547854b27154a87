"""Markup in received text to words and mentions. Pure.

Source: "消息内容" (API v2) for mentions, and captures of `<faceType=…>` (AstrBotDevs/AstrBot#8838,
nonebot/adapter-qq#195): `ext` is Base64 of JSON whose `text` is the name that people see.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

import msgspec

from yizhan.model import Mention, Segment, Text
from yizhan.platforms.qqbot.wire.emoji import emoji_text
from yizhan.platforms.qqbot.wire.events import Mentioned

_MARKUP = re.compile(
    r"<@!?(?P<at>[\w.\-]{1,80})>"
    r"|<qqbot-at-user\s+id=\"(?P<at_user>[^\"<>]{1,80})\"\s*/?>"
    r"|(?P<everyone><qqbot-at-everyone\s*/?>|<@all>|@everyone\b)"
    r"|<faceType=(?P<face_type>\d+),\s*faceId=\"(?P<face>[^\"<>]*)\"(?:,\s*ext=\"(?P<ext>[^\"<>]*)\")?[^<>]*>"
    r"|<emoji:(?P<emoji>\d{1,8})>"
)


def segments_of(
    text: str, mentions: Iterable[Mentioned] = (), own_id: str = "", *, escaped: bool = False
) -> list[Segment]:
    """Return `text` as texts and mentions, in order.

    `own_id`: the bot's id where `mentions` do not say which of them it is. `escaped`: as guilds write `&`, `<`, `>`.
    """
    known = {entry.id or entry.member_openid: entry for entry in mentions}
    segments: list[Segment] = []
    words, position = "", 0
    for match in _MARKUP.finditer(text):
        words += _plain(text[position : match.start()], escaped)
        position = match.end()
        mention = _mention(match, known, own_id)
        if mention is None:
            words += _face_text(match)
            continue
        segments += [*_text(words), mention]
        words = ""
    return [*segments, *_text(words + _plain(text[position:], escaped))]


def words_of(text: str, *, escaped: bool = False) -> str:
    """Return `text` with its markup as words, mentions as `@name`."""
    return "".join(
        segment.text if isinstance(segment, Text) else f"@{segment.name or segment.user}"
        for segment in segments_of(text, escaped=escaped)
        if isinstance(segment, (Text, Mention))
    )


def _mention(match: re.Match[str], known: dict[str, Mentioned], own_id: str) -> Mention | None:
    if match["everyone"]:
        return Mention("all", "全体成员")
    id = match["at"] or match["at_user"]
    if not id:
        return None
    entry = known.get(id, Mentioned(id))
    if entry.scope == "all":
        return Mention("all", entry.username or "全体成员")
    return Mention(id, entry.nickname or entry.username, own=entry.is_you or bool(own_id and id == own_id))


def _face_text(match: re.Match[str]) -> str:
    if match["emoji"]:
        return emoji_text(match["emoji"])
    try:
        found = msgspec.json.decode(base64.b64decode(match["ext"] or "", validate=True), type=_FaceExt).text
    except (binascii.Error, ValueError, RecursionError):
        found = ""
    if not found:
        return emoji_text(match["face"]) if match["face"] else "[表情]"
    return found if found.startswith("[") else f"[{found.removeprefix('/')}]"


class _FaceExt(msgspec.Struct):
    text: str = ""


def _plain(text: str, escaped: bool) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if escaped else text


def _text(words: str) -> list[Segment]:
    return [Text(words)] if words else []
