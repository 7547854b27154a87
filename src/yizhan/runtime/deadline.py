"""A deadline in real time, by the event loop's clock."""

from __future__ import annotations

import asyncio


class Deadline:
    """`seconds` from now; None for no deadline."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else asyncio.get_running_loop().time() + seconds

    def left(self) -> float | None:
        """Return the seconds that are left, 0 when it is over; None without a deadline."""
        return None if self._at is None else max(0.0, self._at - asyncio.get_running_loop().time())

    @property
    def over(self) -> bool:
        return self.left() == 0
