"""The clock that engines run on unless they are given another."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
