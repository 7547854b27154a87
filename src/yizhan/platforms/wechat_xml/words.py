"""Text with mentions, as WeChat writes it.

A mention is visible in the text as `@name` and a narrow space (U+2005); the mentioned ids travel separately, in
`<msgsource>` or in a field of the call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from yizhan.model import Mention, Segment, Text
from yizhan.platforms.wechat_xml.emoji import emoji_words

MENTION_END = "\u2005"
"""Ends a visible `@name`."""
EVERYONE = "notify@all"
"""The id that mentions everybody in the group."""
MENTION = re.compile(f"@[^{MENTION_END}]{{1,64}}{MENTION_END}")
_AT_USERS = re.compile(r"<atuserlist>(?:<!\[CDATA\[)?([^<\]]*)(?:\]\]>)?</atuserlist>")


def at_users(mentioned: Sequence[str]) -> list[str]:
    """Return the mentioned ids in the wire's form: `all` becomes `notify@all`."""
    return [EVERYONE if user == "all" else user for user in mentioned]


def mentioned_ids(source: str) -> list[str]:
    """Return the ids in `atuserlist` of `<msgsource>`; `all` is everyone."""
    found = _AT_USERS.search(source)
    names = [name.strip() for name in (found[1] if found else "").split(",")]
    return ["all" if name == EVERYONE else name for name in names if name]


def parse_words(text: str, source: str, own: str = "") -> tuple[Segment, ...]:
    """Return `text` as Text and Mention segments: the n-th `@` belongs to the n-th id in `source` (`atuserlist`).

    Emoji codes become words. `own`: the id of the account that received the text.
    """
    rest, segments = emoji_words(text), list[Segment]()
    for user in mentioned_ids(source):
        before, at, after = rest.partition("@")
        if not at:
            break
        name, rest = _split_name(after)
        segments += [Text(before)] if before else []
        segments.append(Mention(user, name, own=user == own))
    return (*segments, Text(rest)) if rest or not segments else tuple(segments)


def _split_name(text: str) -> tuple[str, str]:
    """Split after the name: at the narrow space, or at the first blank if a client left that out."""
    end = re.search(MENTION_END, text) or re.search(r"\s", text)
    return (text[: end.start()], text[end.end() :]) if end else (text, "")
