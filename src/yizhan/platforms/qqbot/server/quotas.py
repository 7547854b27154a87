"""Counting: what was sent, in sliding windows; and how often each call is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.wire.faults import CALLED_TOO_OFTEN
from yizhan.platforms.qqbot.wire.quotas import PERIODS
from yizhan.wire import Endpoint, Fault

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

GATEWAY_CALLS = (wire.GET_GATEWAY, wire.GET_GATEWAY_BOT)
RATED_AS = {scene.upload_and_send.name: scene.upload.name for scene in wire.SCENES.values()}
"""Two calls of one path share its rate."""


class Quotas:
    """Messages by group and target. Checked before, noted only once a message is accepted."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._times: dict[tuple[str, str], deque[float]] = {}

    def reset(self) -> None:
        self._times.clear()

    def exceeded(self, groups: Sequence[str], target: str) -> str | None:
        """Return the name of the rule that one more message of `groups` to `target` would break, if any."""
        rules = self.server.rules
        if not rules.limited:
            return None
        now = self.server.world.now()
        for group, scope, key in [(g, s, k) for g in groups for s, k in (("account", ""), ("target", target))]:
            times = self._times.get((group, key))
            if times is None:
                continue
            for period, seconds in PERIODS:
                name = f"{group}.{scope}_{period}"
                count = rules.get(name, 0)
                if count and len(times) >= count and times[-count] > now - seconds:
                    return name
        return None

    def note(self, groups: Sequence[str], target: str) -> None:
        """Count one message that was accepted."""
        if not self.server.rules.limited:
            return
        now = self.server.world.now()
        longest = PERIODS[-1][1]
        for key in [(group, whom) for group in groups for whom in ("", target)]:
            times = self._times.setdefault(key, deque())
            times.append(now)
            while times[0] <= now - longest:
                times.popleft()

    def targets(self, group: str, seconds: float) -> set[str]:
        """Return whom messages of `group` went to during the last `seconds`."""
        since = self.server.world.now() - seconds
        return {key for (name, key), times in self._times.items() if name == group and key and times[-1] > since}


class Rates:
    """How often a call may be made: so many at once, and as many again as time brings."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._left: dict[tuple[str, str], tuple[float, float]] = {}
        """Calls that are left and when that was counted, by method and path."""

    def reset(self) -> None:
        self._left.clear()

    def take(self, endpoint: Endpoint[Any, Any]) -> None:
        """Count a call.

        Raises:
            Fault: it comes too soon after the others.
        """
        burst, per_second = self._allowed(endpoint)
        if not burst:
            return
        key, now = (endpoint.method, endpoint.path), self.server.world.now()
        left, at = self._left.get(key, (burst, now))
        left = min(burst, left + max(0.0, now - at) * per_second)
        if left < 1:
            raise Fault(CALLED_TOO_OFTEN)
        self._left[key] = left - 1, now

    def _allowed(self, endpoint: Endpoint[Any, Any]) -> tuple[float, float]:
        rules = self.server.rules
        if not rules.limited:
            return 0, 0
        if endpoint in GATEWAY_CALLS:
            return rules.number("gateway.calls_burst"), rules.number("gateway.calls_per_minute") / 60
        rate = rules.get(f"rates.{RATED_AS.get(endpoint.name, endpoint.name)}", 0)
        return rate, rate
