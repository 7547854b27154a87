"""A clock that tests and the sandbox turn by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any


class TurnableClock:
    """Real time plus an offset that tests and the sandbox turn; sleeps end when the clock is turned past their end."""

    def __init__(self, offset: float = 0.0) -> None:
        self._offset = offset
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        return time.time() + self._offset

    @property
    def turned(self) -> float:
        """Seconds by which it differs from the machine's clock."""
        return self._offset

    def sleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Sleep from this call on, also if the clock is turned before the returned coroutine is awaited."""
        return self._sleep_until(self.now() + seconds)

    async def _sleep_until(self, until: float) -> None:
        while True:
            turned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # Before the time is read: another thread may turn the clock at any moment.
            self._sleepers.add(turned)
            try:
                if (left := until - self.now()) <= 0:
                    break
                # Not wait_for: on Python 3.11 it can swallow a cancellation that comes with the turn.
                async with asyncio.timeout(left):
                    await turned
            except TimeoutError:
                continue
            finally:
                self._sleepers.discard(turned)
        # Let other tasks run even if there was nothing to wait for.
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Turn the clock by `seconds` (negative turns it back) and wake sleepers that may be due."""
        self._offset += seconds
        for sleeper in list(self._sleepers):
            loop = sleeper.get_loop()
            loop.call_soon_threadsafe(_wake, sleeper)

    def reset(self) -> None:
        """Back to the machine's own time."""
        self.advance(-self._offset)

    def set(self, at: float) -> None:
        """Turn the clock to `at`, seconds since the epoch."""
        self.advance(at - self.now())


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
