"""Foretells when the sends of one account begin, one after another, on a copy of its budget. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yizhan.model import Reply, Target
from yizhan.platforms.adapter import Limit
from yizhan.sending.quota import Budget

EXACT = 5000
"""Sends that are foretold one by one; what follows them goes on at the pace of the tightest limit."""
STEP = 0.001
"""Seconds that are added where rounding finds a window closed at the moment of its opening."""
MOST_STEPS = 1000
"""Windows that one send waits for, one after another, before the forecast gives up on it."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """When one message begins."""

    at: float | None
    """Seconds since the epoch; None if only the other side can open the window."""
    limit: Limit | None = None
    """The limit that it waits for last; None if it waits for none."""


class Forecast:
    """Foretells sends in the order in which they are asked about. `hours`: returns the earliest time from a time on."""

    def __init__(self, budget: Budget, now: float, hours: Callable[[float], float] = lambda at: at) -> None:
        self._budget = budget.copy()
        self._begin = now
        self._line = now
        """When the account has room for the next message: they go in order."""
        self._last: dict[Target, float] = {}
        """When the last message to a target began: counts are made in order of time."""
        self._hours = hours
        self._line_limit: Limit | None = None

    def next(self, limits: Sequence[Limit], target: Target, reply: Reply | None, parts: int) -> Foretold:
        """Return when a message of `parts` parts begins, and count it."""
        of_account = [limit for limit in limits if limit.scope == "account"]
        others = [limit for limit in limits if limit.scope != "account"]
        line = self._open(of_account, target, reply, parts, self._line)
        if line.at is None:
            return line
        # A message that waits for its own target keeps no other waiting.
        own = self._open(others, target, reply, parts, self._last.get(target, self._begin))
        if own.at is None:
            return own
        self._line, self._last[target] = line.at, own.at
        # Behind others that wait for a limit, a message waits for the same one.
        self._line_limit = line.limit or self._line_limit
        for _ in range(parts):
            self._budget.spend(of_account, target, reply, line.at)
            self._budget.spend(others, target, reply, own.at)
        return own if own.at > line.at else Foretold(line.at, self._line_limit)

    def pass_over(self, limits: Sequence[Limit], target: Target, parts: int) -> None:
        """Count `parts` sends that go before the next one; one by one at first, then by the pace of the limits."""
        of_account = [limit for limit in limits if limit.scope == "account"]
        for _ in range(min(parts, EXACT) if of_account else 0):
            if self.next(of_account, target, None, 1).at is None:
                return
        pace = max((limit.per_seconds / limit.count for limit in of_account if limit.per_seconds), default=0.0)
        self._line += max(0, parts - EXACT) * pace

    def _open(self, limits: Sequence[Limit], target: Target, reply: Reply | None, parts: int, begin: float) -> Foretold:
        """Return the first time from `begin` on at which `limits` have room for all parts."""
        at, last = self._hours(begin), None
        for _ in range(MOST_STEPS):
            closed = self._budget.check(limits, target, reply, at, sends=parts)
            if closed is None:
                return Foretold(at, last)
            last = closed.limit
            if closed.opens_at is None:
                break
            at = self._hours(closed.opens_at if closed.opens_at > at else at + STEP)
        return Foretold(None, last)


def in_words(limit: Limit) -> str:
    """Return `send allows 20 in 60 seconds`."""
    span = "" if limit.per_seconds is None else f" in {limit.per_seconds:g} seconds"
    return f"{limit.name} allows {limit.count}{span}"
