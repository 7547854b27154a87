"""What may still be sent, and when: counts of past sends held against the limits that a platform's rules give.

Counts live in memory and are brought back from the stored deliveries when an account is opened.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from yizhan.model import Reply, Target
from yizhan.platforms.base import Limit


@dataclass(frozen=True, slots=True)
class Closed:
    """A send is not allowed now. `opens_at`: when it will be, None if only the other side can open it."""

    limit: Limit
    opens_at: float | None


class Budget:
    """The counts of one account."""

    def __init__(self) -> None:
        self._spent: defaultdict[tuple[str, str, str], deque[float]] = defaultdict(deque)
        self._next_slot: dict[tuple[str, str, str], float] = {}

    def check(self, limits: Sequence[Limit], target: Target, reply: Reply | None, now: float) -> Closed | None:
        """Return why a send must wait, the latest opening first; None if it may go now."""
        worst: Closed | None = None
        for limit in limits:
            closed = self._check(limit, target, reply, now)
            if closed is None:
                continue
            if closed.opens_at is None:
                return closed
            if worst is None or worst.opens_at is None or closed.opens_at > worst.opens_at:
                worst = closed
        if worst is None or worst.opens_at is None:
            return worst
        return self._in_line(worst, worst.opens_at, target, reply)

    def _in_line(self, closed: Closed, opens_at: float, target: Target, reply: Reply | None) -> Closed:
        """Give whoever waits a slot of their own, so that a thousand do not all come back at the same moment."""
        key = _key(closed.limit, target, reply)
        slot = max(opens_at, self._next_slot.get(key, 0.0))
        self._next_slot[key] = slot + (closed.limit.per_seconds or 0.0) / closed.limit.count
        return Closed(closed.limit, slot)

    def _check(self, limit: Limit, target: Target, reply: Reply | None, now: float) -> Closed | None:
        if limit.until is not None and now >= limit.until:
            return Closed(limit, None)
        spent = self._spent.get(_key(limit, target, reply))
        if spent is None:
            return Closed(limit, None) if limit.count <= 0 else None
        if limit.per_seconds is None:
            used = sum(1 for at in spent if at >= limit.since) if limit.since else len(spent)
            return Closed(limit, None) if used >= limit.count else None
        if len(spent) < limit.count or (oldest := spent[-limit.count]) <= now - limit.per_seconds:
            return None
        return Closed(limit, oldest + limit.per_seconds)

    def spend(self, limits: Sequence[Limit], target: Target, reply: Reply | None, now: float) -> str:
        """Count one send against `limits`; returns the note by which it is counted again after a restart."""
        notes = []
        for key in {_key(limit, target, reply) for limit in limits}:
            self._spent[key].append(now)
            notes.append(f"{key[0]}|{key[1]}")
        return ",".join(sorted(notes))

    def refund(self, limits: Sequence[Limit], target: Target, reply: Reply | None, at: float) -> None:
        """Take the send that was counted `at` back: it reached nobody."""
        for key in {_key(limit, target, reply) for limit in limits}:
            with suppress(ValueError):
                self._spent.get(key, deque()).remove(at)

    def restore(self, rows: Iterable[tuple[str, str, str | None, str, float, int]]) -> None:
        """Count stored sends: (kind, target id, reply id, note, time, parts) in order of time."""
        for kind, target, reply, note, at, parts in rows:
            for one in filter(None, note.split(",")):
                scope, _, group = one.partition("|")
                whom = {"account": "", "target": f"{kind}/{target}", "reply": reply or ""}[scope]
                self._spent[scope, group, whom].extend([at] * max(1, parts))

    def forget(self, before: float) -> None:
        """Drop counts older than `before`, so that memory stays flat."""
        for key in list(self._spent):
            spent = self._spent[key]
            while spent and spent[0] < before:
                spent.popleft()
            if not spent:
                del self._spent[key]


def _key(limit: Limit, target: Target, reply: Reply | None) -> tuple[str, str, str]:
    match limit.scope:
        case "account":
            return "account", limit.group, ""
        case "target":
            return "target", limit.group, f"{target.kind}/{target.id}"
        case "reply":
            return "reply", limit.group, reply.id if reply else ""
