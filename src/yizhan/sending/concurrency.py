"""How many sends at once are enough: where whoever answers is busy, more only wait behind each other. Pure."""

from __future__ import annotations

import math

SLOWED = 1.5
"""A send that took so many times what the quickest took has waited behind others."""


class Width:
    """Begins narrow, widens while that slows nobody down, and narrows where it does. Times in seconds, of any clock."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._now = float(least)
        self._since = -math.inf
        self._quickest = math.inf

    @property
    def now(self) -> int:
        return int(self._now)

    def begin(self, at: float) -> None:
        """Find out anew: what was sent before tells how things were when nobody was spared."""
        self._now = float(self._least)
        self._since = at
        self._quickest = math.inf

    def took(self, began: float, ended: float) -> None:
        """Learn from one send."""
        if began < self._since:
            return
        self._quickest = min(self._quickest, ended - began)
        if ended - began > SLOWED * self._quickest:
            self._now = max(self._least, self._now * 0.95)
        else:
            self._now = min(self._most, self._now + 1)
