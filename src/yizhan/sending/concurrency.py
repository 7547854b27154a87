"""How many sends at once are enough: beyond that they only wait behind each other at a busy platform. Pure."""

from __future__ import annotations

import math

SLOWED = 1.5
"""A send that took this many times as long as the quickest one has waited behind others."""


class AdaptiveConcurrency:
    """Starts low, grows while that slows nothing down, and shrinks where it does. Times in seconds, of any clock."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._now = float(least)
        self._since = -math.inf
        self._quickest = math.inf

    @property
    def now(self) -> int:
        return int(self._now)

    def restart(self, at: float) -> None:
        """Measure anew: sends that began before `at` were not limited and tell nothing."""
        self._now = float(self._least)
        self._since = at
        self._quickest = math.inf

    def record(self, began: float, ended: float) -> None:
        """Learn from one send."""
        if began < self._since:
            return
        self._quickest = min(self._quickest, ended - began)
        if ended - began > SLOWED * self._quickest:
            self._now = max(self._least, self._now * 0.95)
        else:
            self._now = min(self._most, self._now + 1)
