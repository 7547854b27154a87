"""What may still be sent, and when: counts of past sends held against the limits that a platform's rules give.

Counts live in memory and are brought back from the stored deliveries when an account is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from yizhan.model import Reply, Target
from yizhan.platforms.adapter import Limit

DAY = 86400.0
SPARE = 64
"""Counts that are kept beyond those that the largest limit asks for: some may be taken back."""

_Key = tuple[str, str, str]
"""Scope, group, and whom it concerns."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A send is not allowed now. `opens_at`: when it will be, None if only the other side can open it."""

    limit: Limit
    opens_at: float | None


class Budget:
    """The counts of one account. `horizon`: seconds after which a send counts against nothing any more."""

    def __init__(self, horizon: float = DAY) -> None:
        self.horizon = horizon
        self._spent: dict[_Key, list[float]] = {}
        self._next_slot: dict[_Key, float] = {}
        self._forget_at = 1000
        """Number of keys from which the old ones among them are looked for."""

    def check(
        self, limits: Sequence[Limit], target: Target, reply: Reply | None, now: float, *, in_line: bool = False
    ) -> Closed | None:
        """Return why a send must wait, the latest opening first; None if it may go now.

        `in_line`: it is one of many and waits behind those that asked before it.
        """
        worst: Closed | None = None
        for limit in limits:
            closed = self._check(limit, target, reply, now)
            if closed is None:
                continue
            if closed.opens_at is None:
                return closed
            if worst is None or worst.opens_at is None or closed.opens_at > worst.opens_at:
                worst = closed
        if worst is None or worst.opens_at is None or not in_line:
            return worst
        return self._in_line(worst, worst.opens_at, target, reply)

    def _in_line(self, closed: Closed, opens_at: float, target: Target, reply: Reply | None) -> Closed:
        """Give whoever waits a slot of their own, so that a thousand do not all come back at the same moment."""
        key = _key(closed.limit, target, reply)
        slot = max(opens_at, self._next_slot.get(key, 0.0))
        self._next_slot[key] = slot + (closed.limit.per_seconds or 0.0) / closed.limit.count
        return Closed(closed.limit, slot)

    def break_up_lines(self) -> None:
        """Some of those who waited are gone; the next to ask begins a new line."""
        self._next_slot.clear()

    def _check(self, limit: Limit, target: Target, reply: Reply | None, now: float) -> Closed | None:
        if limit.count <= 0 or (limit.until is not None and now >= limit.until):
            return Closed(limit, None)
        spent = self._spent.get(_key(limit, target, reply))
        if spent is None:
            return None
        if spent[-1] > now:
            # The clock was set back; what was sent cannot lie ahead, and who waits needs no slot of the old time.
            self.break_up_lines()
            spent[:] = [min(at, now) for at in spent]
        if limit.per_seconds is None:
            used = sum(1 for at in spent if at >= limit.since) if limit.since else len(spent)
            return Closed(limit, None) if used >= limit.count else None
        if len(spent) < limit.count or (oldest := spent[-limit.count]) <= now - limit.per_seconds:
            return None
        return Closed(limit, oldest + limit.per_seconds)

    def spend(self, limits: Sequence[Limit], target: Target, reply: Reply | None, now: float) -> str:
        """Count one send against `limits`; returns the note by which it is counted again after a restart."""
        counts: dict[_Key, int] = {}
        for limit in limits:
            key = _key(limit, target, reply)
            counts[key] = max(limit.count, counts.get(key, 0))
        for key, most in counts.items():
            spent = self._spent.setdefault(key, [])
            spent.append(now)
            if len(spent) > most + SPARE:
                del spent[:-most]
        if len(self._spent) > self._forget_at:
            self.forget(now - self.horizon)
            self._forget_at = max(1000, 2 * len(self._spent))
        return ",".join(sorted(f"{scope}|{group}" for scope, group, _ in counts))

    def refund(self, limits: Sequence[Limit], target: Target, reply: Reply | None, at: float) -> None:
        """Take the send that was counted `at` back: it reached nobody."""
        for key in {_key(limit, target, reply) for limit in limits}:
            spent = self._spent.get(key, [])
            with suppress(ValueError):
                spent.remove(at)
            if not spent:
                self._spent.pop(key, None)

    def move(self, limits: Sequence[Limit], target: Target, reply: Reply | None, at: float, now: float) -> None:
        """Count the send that was counted `at` as one of now: it is not known which of its tries arrived."""
        for key in {_key(limit, target, reply) for limit in limits}:
            spent = self._spent.get(key, [])
            if at in spent:
                spent.remove(at)
                spent.append(now)

    def restore(self, rows: Iterable[tuple[str, str, str | None, str, float, int]]) -> None:
        """Count stored sends: (kind, target id, reply id, note, time, parts) in order of time."""
        for kind, target, reply, note, at, parts in rows:
            for one in filter(None, note.split(",")):
                scope, _, group = one.partition("|")
                whom = {"account": "", "target": f"{kind}/{target}", "reply": reply or ""}[scope]
                self._spent.setdefault((scope, group, whom), []).extend([at] * parts)

    def forget(self, before: float) -> None:
        """Drop counts older than `before`, so that memory stays flat."""
        for key, spent in list(self._spent.items()):
            if spent[-1] < before:
                del self._spent[key]
        for key, slot in list(self._next_slot.items()):
            if slot < before:
                del self._next_slot[key]


def _key(limit: Limit, target: Target, reply: Reply | None) -> _Key:
    match limit.scope:
        case "account":
            return "account", limit.group, ""
        case "target":
            return "target", limit.group, f"{target.kind}/{target.id}"
        case "reply":
            return "reply", limit.group, reply.id if reply else ""
