"""Words of one message: text and mentions in a row, led by what they answer.

WeChat's clients write a mention as `@name` and a narrow space in the text; who is meant stands beside it, in
`<msgsource>` or in a field of the call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yizhan.errors import Unsupported
from yizhan.model import Mention, Quote, Segment, Target, Text
from yizhan.model.split import spans

MENTION_END = "\u2005"
"""Stands behind a visible `@name`."""
EVERYONE = "notify@all"
"""Among the mentioned: everybody in the group."""
_MENTION = re.compile(f"@[^{MENTION_END}]{{1,64}}{MENTION_END}")
_AT_USERS = re.compile(r"<atuserlist>(?:<!\[CDATA\[)?([^<\]]*)(?:\]\]>)?</atuserlist>")


def runs(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Split into what goes together: text with mentions, led by a quote if there is one; everything else alone."""
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
    """Text in which mentions are visible, and who is meant by them."""

    text: str
    mentioned: tuple[tuple[int, str], ...] = ()
    """Where in the text, and who: an id, or `all`."""

    @classmethod
    def of(cls, run: Sequence[Segment], target: Target) -> Words:
        """Join text and mentions; what else is in `run` is passed over.

        Raises:
            Unsupported: somebody is mentioned, and `target` is no group.
        """
        text, mentioned = "", list[tuple[int, str]]()
        for segment in run:
            match segment:
                case Text(said):
                    text += said
                case Mention(user, name):
                    if target.kind != "group":
                        raise Unsupported(
                            f"{target}: somebody can be mentioned in a group only. Write the name as text."
                        )
                    mentioned.append((len(text), user))
                    text += f"@{'所有人' if user == 'all' else name or user}{MENTION_END}"
        return cls(text, tuple(mentioned))

    def behind(self, text: str) -> Words:
        """Return the words with `text` before them."""
        return Words(text + self.text, tuple((at + len(text), user) for at, user in self.mentioned))

    def pieces(self, max_chars: int = 0, max_bytes: int = 0) -> list[tuple[str, list[str]]]:
        """Return what one message takes at a time, each piece with those who are mentioned in it; 0 sets no limit."""
        return [
            (self.text[start:stop], [user for at, user in self.mentioned if start <= at < stop])
            for start, stop in spans(self.text, max_chars, max_bytes, whole=_MENTION)
        ]


def at_users(mentioned: Sequence[str]) -> list[str]:
    """Return those who are mentioned as the wires of WeChat's own clients name them."""
    return [EVERYONE if user == "all" else user for user in mentioned]


def parse_words(text: str, source: str) -> tuple[Segment, ...]:
    """Return text with its mentions told apart: the n-th `@` in it belongs to the n-th member that `source` lists."""
    found = _AT_USERS.search(source)
    rest, segments = text, list[Segment]()
    for user in filter(None, (name.strip() for name in (found[1] if found else "").split(","))):
        before, at, after = rest.partition("@")
        if not at:
            break
        name, rest = _split_name(after)
        segments += [Text(before)] if before else []
        segments.append(Mention("all" if user == EVERYONE else user, name))
    return (*segments, Text(rest)) if rest or not segments else tuple(segments)


def _split_name(text: str) -> tuple[str, str]:
    """The name ends at the narrow space; where a client left it out, at the first blank."""
    end = re.search(MENTION_END, text) or re.search(r"\s", text)
    return (text[: end.start()], text[end.end() :]) if end else (text, "")
