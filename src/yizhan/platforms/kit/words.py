"""Text and mentions on their way to messages: gathered into runs, and cut into pieces that one message takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from yizhan.model import Mention, Quote, Segment, Text
from yizhan.model.split import spans


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one message, and the ids that it mentions."""

    text: str
    mentioned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """Text with its mentions written out, and the ids that they mention."""

    text: str = ""
    mentioned: tuple[tuple[int, str], ...] = ()
    """Position in `text` and id (or `all`) of every mention."""

    def joined(self, text: str, user: str = "") -> Words:
        """Return these words with `text` behind them, which mentions `user` if given."""
        return Words(self.text + text, (*self.mentioned, (len(self.text), user)) if user else self.mentioned)

    def prefixed(self, text: str) -> Words:
        """Return these words with `text` in front."""
        return replace(
            self, text=text + self.text, mentioned=tuple((at + len(text), user) for at, user in self.mentioned)
        )

    def pieces(self, max_chars: int = 0, max_bytes: int = 0, whole: re.Pattern[str] | None = None) -> list[Piece]:
        """Split into messages of limited size (0: no limit). `whole` matches text that is not cut, such as mentions."""
        cuts = list(spans(self.text, max_chars, max_bytes, whole=whole))
        # A mention may be written as nothing; one between two pieces, or at the end, belongs to the piece before it.
        ends = [start for start, _ in cuts[1:]] + [len(self.text) + 1]
        begins = [0, *ends]
        return [
            Piece(self.text[start:stop], tuple(user for at, user in self.mentioned if begin <= at < end))
            for (start, stop), begin, end in zip(cuts, begins, ends, strict=False)
        ]


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
