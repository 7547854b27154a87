"""A killed process, played in the test's own: nothing more is written or announced, and the lock is free."""

from __future__ import annotations

import asyncio
import queue
from contextlib import suppress

from yizhan.engine import Engine


async def kill(engine: Engine) -> None:
    """End `engine` as a killed process ends: writes that the writer had not taken up are lost."""
    supervisor = engine.supervisor
    ledger, worker, listeners = supervisor.ledger, supervisor.worker, supervisor.listeners
    lanes = list(worker.lanes.values())
    tasks = [task for lane in lanes for task in (lane._task, *lane._active.values())]
    tasks += [*supervisor._tasks, listeners._following, *listeners._tasks.values(), *listeners._background]
    for lane in lanes:
        lane._closing = True
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    ledger._gathered.clear()
    with suppress(queue.Empty):
        while True:
            ledger._jobs.get_nowait()
    await asyncio.gather(*running, return_exceptions=True)
    await ledger.close()
    worker._lock.release()
