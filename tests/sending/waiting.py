"""Waits for conditions of the durable path, and never for a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.model import Receipt
from yizhan.world import TurnableClock

TURNS = 50
"""Turns of the loop in a row in which a lane must rest; a lane that looks again and again never does."""


class StillClock(TurnableClock):
    """Time passes only where it is turned, however slow the machine."""

    def __init__(self) -> None:
        super().__init__()
        self._began = super().now()

    def now(self) -> float:
        return self._began + self.turned


async def rested(engine: Engine, account: str = "fake.me") -> None:
    """Have the account's lane look once more, begin every delivery that may begin, and wait until all of them end."""
    lane = engine.supervisor.worker.lanes[account]
    lane.wake()
    turns = 0
    async with asyncio.timeout(PATIENCE):
        while turns < TURNS:
            await asyncio.sleep(0)
            turns = turns + 1 if lane.resting and not lane.under_way else 0


async def waits(engine: Engine, receipt: Receipt) -> None:
    """Wait until the delivery has been tried and waits for a time."""

    async def waiting() -> bool:
        return (await engine.receipt(receipt.delivery)).due_at > 0

    await engine.supervisor.waiting.until(waiting, PATIENCE)


def answers_of(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Return a list of the results of the async method `name` of `owner` from now on."""
    method, answers = getattr(owner, name), []

    async def noted(*args: Any, **kwargs: Any) -> Any:
        answers.append(await method(*args, **kwargs))
        return answers[-1]

    monkeypatch.setattr(owner, name, noted)
    return answers
