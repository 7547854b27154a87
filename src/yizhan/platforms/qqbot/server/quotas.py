"""Counts of sent messages in sliding windows, and rates of calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire.faults import CALLED_TOO_OFTEN
from yizhan.platforms.qqbot.wire.quotas import PERIODS
from yizhan.wire import Endpoint, Fault

GATEWAY_CALLS = (wire.GET_GATEWAY, wire.GET_GATEWAY_BOT)
RATED_AS = {scene.upload_and_send.name: scene.upload.name for scene in wire.SCENES.values()}
"""Two calls of one path share its rate."""


class Quotas:
    """Sent messages by quota group and target. Checked before a message is accepted, counted after."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self._times: dict[tuple[str, str], deque[float]] = {}

    def reset(self) -> None:
        self._times.clear()

    def exceeded(self, groups: Sequence[str], target: str) -> str | None:
        """Return the name of the rule that one more message of `groups` to `target` would break, if any."""
        rules = self.state.rules
        if not rules.limited:
            return None
        now = self.state.now()
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
        if not self.state.rules.limited:
            return
        now = self.state.now()
        longest = PERIODS[-1][1]
        for key in [(group, counted) for group in groups for counted in ("", target)]:
            times = self._times.setdefault(key, deque())
            times.append(now)
            while times[0] <= now - longest:
                times.popleft()

    def targets(self, group: str, seconds: float) -> set[str]:
        """Return the targets of messages of `group` during the last `seconds`."""
        since = self.state.now() - seconds
        return {key for (name, key), times in self._times.items() if name == group and key and times[-1] > since}


class Rates:
    """Rates of calls, as token buckets by method and path."""

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self._left: dict[tuple[str, str], tuple[float, float]] = {}
        """By method and path: the calls left, and the time of that count."""

    def reset(self) -> None:
        self._left.clear()

    def take(self, endpoint: Endpoint[Any, Any]) -> None:
        """Count a call.

        Raises:
            Fault: its bucket is empty.
        """
        burst, per_second = self._allowed(endpoint)
        if not burst:
            return
        key, now = (endpoint.method, endpoint.path), self.state.now()
        left, at = self._left.get(key, (burst, now))
        left = min(burst, left + max(0.0, now - at) * per_second)
        if left < 1:
            raise Fault(CALLED_TOO_OFTEN)
        self._left[key] = left - 1, now

    def _allowed(self, endpoint: Endpoint[Any, Any]) -> tuple[float, float]:
        rules = self.state.rules
        if not rules.limited:
            return 0, 0
        if endpoint in GATEWAY_CALLS:
            return rules.number("gateway.calls_burst"), rules.number("gateway.calls_per_minute") / 60
        rate = rules.get(f"rates.{RATED_AS.get(endpoint.name, endpoint.name)}", 0)
        return rate, rate
