"""Text with mentions, as WeChat writes it.

A mention is visible in the text as `@name` and a narrow space (U+2005); the mentioned ids travel separately, in
`<msgsource>` or in a field of the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yizhan.errors import Unsupported
from yizhan.model import Mention, Quote, Segment, Target, Text
from yizhan.model.split import spans
from yizhan.platforms.wechat_xml.emoji import emoji_words

MENTION_END = "\u2005"
"""Ends a visible `@name`."""
EVERYONE = "notify@all"
"""The id that mentions everybody in the group."""
MENTION = re.compile(f"@[^{MENTION_END}]{{1,64}}{MENTION_END}")
_AT_USERS = re.compile(r"<atuserlist>(?:<!\[CDATA\[)?([^<\]]*)(?:\]\]>)?</atuserlist>")


def runs(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Group segments into messages: a quote with its text and mentions together, every other segment alone."""
    run: list[Segment] = []
    for segment in segments:
        if isinstance(segment, (Text, Mention)):
            run.append(segment)
            continue
        if run:
            yield run
        run = [segment]
        if not isinstance(segment, Quote):
            yield run
            run = []
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class Words:
    """Text with visible mentions, and the ids that they mention."""

    text: str
    mentioned: tuple[tuple[int, str], ...] = ()
    """Position in `text` and id (or `all`) of every mention."""

    @classmethod
    def of(cls, run: Sequence[Segment], target: Target) -> Words:
        """Join the text and mentions of `run`; other segments are skipped.

        Raises:
            Unsupported: `run` mentions somebody and `target` is not a group.
        """
        text, mentioned = "", list[tuple[int, str]]()
        for segment in run:
            match segment:
                case Text(said):
                    text += said
                case Mention(user, name):
                    if target.kind != "group":
                        raise Unsupported(f"{target}: mentions work in a group only. Write the name as text.")
                    mentioned.append((len(text), user))
                    text += f"@{'所有人' if user == 'all' else name or user}{MENTION_END}"
        return cls(text, tuple(mentioned))

    def prefixed(self, text: str) -> Words:
        """Return these words with `text` in front."""
        return Words(text + self.text, tuple((at + len(text), user) for at, user in self.mentioned))

    def pieces(self, max_chars: int = 0, max_bytes: int = 0) -> list[tuple[str, list[str]]]:
        """Split into messages of limited size (0: no limit), each with the ids that it mentions; no mention is cut."""
        return [
            (self.text[start:stop], [user for at, user in self.mentioned if start <= at < stop])
            for start, stop in spans(self.text, max_chars, max_bytes, whole=MENTION)
        ]


def at_users(mentioned: Sequence[str]) -> list[str]:
    """Return the mentioned ids in the wire's form: `all` becomes `notify@all`."""
    return [EVERYONE if user == "all" else user for user in mentioned]


def mentioned_ids(source: str) -> list[str]:
    """Return the ids in `atuserlist` of `<msgsource>`; `all` stands for everybody."""
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
