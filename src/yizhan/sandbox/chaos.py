"""Faults on demand, before or after the platform acts. Randomness comes from the world's seed."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from typing import Any

import msgspec

from yizhan.errors import did_you_mean
from yizhan.http.router import Cut, Exchange
from yizhan.sandbox.wire import ChaosRule, ChaosView
from yizhan.wire import Endpoint, Fault, FaultTable, HttpResponse

SOCKET = "socket"
"""The endpoint name that addresses the opening of a WebSocket."""


class ActiveRule:
    """A rule in force, with the number of times that it fired."""

    def __init__(self, number: int, rule: ChaosRule) -> None:
        self.number = number
        self.rule = rule
        self.fired = 0
        self._names = tuple(_glob(text) for text in (rule.platform, rule.endpoint, rule.target))

    def matches(self, exchange: Exchange) -> bool:
        given = exchange.platform, exchange.endpoint, exchange.target
        return all(glob is None or glob(name) is not None for glob, name in zip(self._names, given, strict=True))

    @property
    def exhausted(self) -> bool:
        return self.rule.times is not None and self.fired >= self.rule.times

    def view(self) -> ChaosView:
        return ChaosView(**msgspec.structs.asdict(self.rule), number=self.number, fired=self.fired)


class Chaos:
    """The rules in force. As an observer it sees every exchange and applies each rule that matches.

    `endpoints`: the served endpoints by platform; a rule that could never fire is refused.
    """

    def __init__(self, seed: int, endpoints: Callable[[], Iterable[tuple[str, Sequence[Endpoint[Any, Any]]]]]) -> None:
        self._seed = seed
        self._endpoints = endpoints
        self._active: list[ActiveRule] = []
        self._number = 0
        self._random = random.Random(f"chaos {seed}")

    def set(self, rules: Sequence[ChaosRule], *, replace: bool = False) -> None:
        """Add `rules`, or replace all others by them.

        Raises:
            ValueError: a rule has no effect, matches no call, or names a fault that its platforms do not have.
        """
        for rule in rules:
            self._check(rule)
        kept = [] if replace else self._active
        added = [ActiveRule(self._number + n, rule) for n, rule in enumerate(rules, 1)]
        self._number += len(added)
        self._active = [*kept, *added]

    def clear(self, number: int | None = None) -> None:
        """Remove the rule of that number, or all of them.

        Raises:
            LookupError: there is no rule of that number.
        """
        if number is not None and all(s.number != number for s in self._active):
            raise LookupError(f"there is no chaos rule {number}")
        self._active = [s for s in self._active if number not in (None, s.number)]

    def reset(self) -> None:
        """Remove all rules, and restart the same sequence of random numbers."""
        self._active = []
        self._number = 0
        self._random = random.Random(f"chaos {self._seed}")

    def views(self) -> list[ChaosView]:
        return [active.view() for active in self._active]

    async def before(self, exchange: Exchange) -> HttpResponse | None:
        """Apply the rules before the platform acts: raise Fault or Cut, or return a bare answer."""
        for active in self._active:
            rule = active.rule
            if active.exhausted or not active.matches(exchange) or self._random.random() >= rule.rate:
                continue
            row = None if rule.fault is None or exchange.table is None else exchange.table.faults.find(rule.fault)
            if rule.fault is not None and row is None:
                continue
            active.fired += 1
            exchange.note += f"{'; ' if exchange.note else ''}chaos {active.number}"
            if rule.delay:
                await asyncio.sleep(rule.delay)
            if rule.cut == "before":
                exchange.note += ": cut before"
                raise Cut
            if rule.cut == "after":
                exchange.extra["cut after"] = True
            if row is not None:
                exchange.note += f": fault {rule.fault}"
                raise Fault(row)
            if rule.status is not None:
                exchange.note += f": status {rule.status}"
                return _bare(rule.status)
        return None

    async def after(self, exchange: Exchange) -> None:
        """Cut the connection if `before` decided so."""
        if exchange.extra.pop("cut after", False):
            exchange.note += ": cut after"
            raise Cut

    def done(self, exchange: Exchange) -> None:
        """Do nothing; an observer has this method."""

    def _check(self, rule: ChaosRule) -> None:
        if rule.fault is None and rule.status is None and rule.cut is None and not rule.delay:
            raise ValueError("a rule needs at least one of fault, status, delay, cut")
        if rule.fault is not None and rule.status is not None:
            raise ValueError("a rule has a fault (in the platform's own words) or a bare status, not both")
        platform, endpoint = _glob(rule.platform), _glob(rule.endpoint)
        served = [(name, calls) for name, calls in self._endpoints() if platform is None or platform(name)]
        if not served:
            names = [name for name, _ in self._endpoints()]
            raise ValueError(f"no platform is called '{rule.platform}'.{did_you_mean(rule.platform, names)}")
        hit = [call for _, calls in served for call in calls if endpoint is None or endpoint(call.name)]
        if not hit and not (endpoint and endpoint(SOCKET)):
            names = [call.name for _, calls in served for call in calls]
            raise ValueError(f"no call is named '{rule.endpoint}'.{did_you_mean(rule.endpoint, names)}")
        tables = {id(call.envelope.faults): call.envelope.faults for call in hit}
        if rule.fault is not None and not any(table.find(rule.fault) for table in tables.values()):
            raise ValueError(f"no fault '{rule.fault}' there. Known: {_rows(tables.values())}")


def _glob(text: str) -> Callable[[str], Any] | None:
    return None if text == "*" else re.compile(translate(text)).match


def _rows(tables: Iterable[FaultTable]) -> str:
    rows = [(table.name_of(row), row.code) for table in tables for row in table.rows]
    shown = [f"{name} ({code})" if name else str(code) for name, code in rows]
    return ", ".join(shown[:40]) + (f" and {len(shown) - 40} more" if len(shown) > 40 else "") or "none"


def _bare(status: int) -> HttpResponse:
    # A gateway in front of a platform answers in HTML, not in the platform's envelope.
    body = f"<html><body><h1>{status}</h1></body></html>\n".encode()
    return HttpResponse(status, [("Content-Type", "text/html")], b"" if status in (204, 304) else body)
