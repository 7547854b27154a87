"""How a program gets an engine: `open` for asynchronous code, `open_blocking` for everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from yizhan.engine import Engine

if TYPE_CHECKING:
    from yizhan.blocking import Blocking
    from yizhan.model import Clock
    from yizhan.sending.decide import Policy


@asynccontextmanager
async def open(
    path: str | Path = "yizhan-data",
    *,
    clock: Clock | None = None,
    policy: Policy | None = None,
    concurrency: int = 32,
) -> AsyncIterator[Engine]:
    """Open the store in the folder `path`: `async with yizhan.open("data") as yz:`.

    Deliveries that were queued when the program last ended are sent at once.

    Raises:
        StorageError: the folder cannot be used, or was written by a newer version.
    """
    engine = await Engine.open(path, clock=clock, policy=policy, concurrency=concurrency)
    try:
        yield engine
    finally:
        await engine.close()


def open_blocking(path: str | Path = "yizhan-data") -> Blocking:
    """Open the store for code without `async`: `with yizhan.open_blocking("data") as yz:`."""
    from yizhan.blocking import Blocking

    return Blocking(path)
