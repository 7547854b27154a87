"""Counting what was sent: sliding windows per name and key. Checked before, noted only once a message is accepted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from yizhan.platforms.qqbot.wire.quotas import PERIODS

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server


class Quotas:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._times: dict[tuple[str, str], deque[float]] = {}

    def reset(self) -> None:
        self._times.clear()

    def exceeded(self, group: str, target: str) -> str | None:
        """Return the name of the rule that one more message of `group` to `target` would break, if any."""
        rules = self.server.rules
        if not rules.limited:
            return None
        now = self.server.world.now()
        for scope, key in (("account", ""), ("target", target)):
            times = self._times.get((group, key))
            if times is None:
                continue
            for period, seconds in PERIODS:
                name = f"{group}.{scope}_{period}"
                count = rules.get(name, 0)
                if count and len(times) >= count and times[-count] > now - seconds:
                    return name
        return None

    def note(self, group: str, target: str) -> None:
        """Count one message that was accepted."""
        if not self.server.rules.limited:
            return
        now = self.server.world.now()
        longest = PERIODS[-1][1]
        for key in ("", target):
            times = self._times.setdefault((group, key), deque())
            times.append(now)
            while times[0] <= now - longest:
                times.popleft()
