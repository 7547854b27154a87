"""The calls of one chapter with their handlers, and refusals with a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from yizhan.http.router import Call
from yizhan.wire import Endpoint, Fault, FaultCode

Answerer: TypeAlias = Callable[[Call[Any]], Awaitable[Any]]
Calls: TypeAlias = list[tuple[Endpoint[Any, Any], Answerer]]


def refused(row: FaultCode, why: str) -> Fault:
    """Return the fault of a row, with the mistake behind the row's own words."""
    return Fault(row, f"{row.message}: {why}")
