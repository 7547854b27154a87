"""Budgets: counts of past sends against the limits that a platform's rules give.

Counts live in memory and are read back from the stored deliveries when an account is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from yizhan.model import Reply, Target
from yizhan.platforms.adapter import Limit

DAY = 86400.0
SPARE = 64
"""Counts that are kept beyond those of the largest limit: some may be refunded."""

_Key = tuple[str, str, str]
"""Scope, group, and the target or answered message that it concerns."""


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
        self,
        limits: Sequence[Limit],
        target: Target,
        reply: Reply | None,
        now: float,
        *,
        sends: int = 1,
        reserve_slot: bool = False,
    ) -> Closed | None:
        """Return why `sends` sends must wait, by the limit that opens last; None if all of them may go now.

        `reserve_slot`: the delivery lines up behind those that asked before it. A limit that allows fewer than `sends`
        at any time is open when it is unused.
        """
        last: Closed | None = None
        for limit in limits:
            closed = self._check(limit, target, reply, now, min(sends, limit.count))
            if closed is None:
                continue
            if closed.opens_at is None:
                return closed
            if last is None or last.opens_at is None or closed.opens_at > last.opens_at:
                last = closed
        if last is None or last.opens_at is None or not reserve_slot:
            return last
        return self._reserve_slot(last, last.opens_at, target, reply, sends)

    def _reserve_slot(self, closed: Closed, opens_at: float, target: Target, reply: Reply | None, sends: int) -> Closed:
        """Give each waiting delivery a slot of its own, so that a thousand do not come back at the same moment."""
        key = _key(closed.limit, target, reply)
        slot = max(opens_at, self._next_slot.get(key, 0.0))
        self._next_slot[key] = slot + sends * (closed.limit.per_seconds or 0.0) / closed.limit.count
        return Closed(closed.limit, slot)

    def copy(self) -> Budget:
        """Return a budget with the same counts, to try sends on."""
        copy = Budget(self.horizon)
        copy._spent = {key: list(spent) for key, spent in self._spent.items()}
        return copy

    def reset_slots(self) -> None:
        """Forget the slots, because some of the deliveries that reserved them are gone."""
        self._next_slot.clear()

    def _check(self, limit: Limit, target: Target, reply: Reply | None, now: float, sends: int) -> Closed | None:
        if limit.count <= 0 or (limit.until is not None and now >= limit.until):
            return Closed(limit, None)
        spent = self._spent.get(_key(limit, target, reply))
        if spent is None:
            return None
        if spent[-1] > now:
            # The clock was set back; no send lies ahead of it, and slots of the old time mean nothing.
            self.reset_slots()
            spent[:] = [min(at, now) for at in spent]
        if limit.per_seconds is None:
            used = sum(1 for at in spent if at >= limit.since) if limit.since else len(spent)
            return Closed(limit, None) if used + sends > limit.count else None
        # The window has room once its oldest counts have left it, all but `spare` of them.
        spare = limit.count - sends + 1
        if len(spent) < spare or (oldest := spent[-spare]) <= now - limit.per_seconds:
            return None
        return Closed(limit, oldest + limit.per_seconds)

    def reserve(
        self, limits: Sequence[Limit], target: Target, reply: Reply | None, now: float, sends: int
    ) -> Reservation:
        """Count `sends` sends ahead, so that no other delivery takes their room between two parts."""
        note = ""
        for _ in range(sends):
            note = self.spend(limits, target, reply, now)
        return Reservation(self, limits, target, reply, now, sends, note)

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
        """Take back the send that was counted `at`: it did not arrive."""
        for key in {_key(limit, target, reply) for limit in limits}:
            spent = self._spent.get(key, [])
            with suppress(ValueError):
                spent.remove(at)
            if not spent:
                self._spent.pop(key, None)

    def move(self, limits: Sequence[Limit], target: Target, reply: Reply | None, at: float, now: float) -> None:
        """Count the send of `at` as one of `now`: any of its attempts may be the one that arrived."""
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


@dataclass(slots=True)
class Reservation:
    """Room for the parts of one delivery, counted at one moment and used up or released."""

    budget: Budget
    limits: Sequence[Limit]
    target: Target
    reply: Reply | None
    at: float
    left: int
    note: str
    """As `Budget.spend` returns it."""

    def use(self, now: float) -> None:
        """Count one of the sends as one of `now`, for good."""
        self.budget.move(self.limits, self.target, self.reply, self.at, now)
        self.left -= 1

    def release(self) -> None:
        """Give back the room that was not used."""
        for _ in range(self.left):
            self.budget.refund(self.limits, self.target, self.reply, self.at)
        self.left = 0


def _key(limit: Limit, target: Target, reply: Reply | None) -> _Key:
    match limit.scope:
        case "account":
            return "account", limit.group, ""
        case "target":
            return "target", limit.group, f"{target.kind}/{target.id}"
        case "reply":
            return "reply", limit.group, reply.id if reply else ""
