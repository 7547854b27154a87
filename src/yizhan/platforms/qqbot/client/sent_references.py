"""Messages that this bot sent lately, by which a quote of one is recognized."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator

MAX_KEPT = 20_000


class SentReferences(Collection[str]):
    """The newest ids and reference indexes; the oldest go first. It begins empty with every program."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, None] = OrderedDict()

    def add(self, *references: str) -> None:
        for reference in filter(None, references):
            self._kept[reference] = None
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def __contains__(self, reference: object) -> bool:
        return reference in self._kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
