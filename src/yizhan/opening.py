"""How a program gets an engine: `open` for asynchronous code, `open_blocking` for everything else."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from yizhan.engine import Engine

if TYPE_CHECKING:
    from yizhan.blocking import Blocking
    from yizhan.model import Clock
    from yizhan.sending.decide import Policy


_HOW = (
    'yizhan.open() is opened by `async with yizhan.open("data") as yz:`. Without async, use '
    '`with yizhan.open_blocking("data") as yz:`.'
)


class OpeningStore:
    """The value of `open(…)`: the store is open within its `async with` block."""

    def __init__(self, path: str | Path, clock: Clock | None, policy: Policy | None, concurrency: int) -> None:
        self._path, self._clock, self._policy, self._concurrency = path, clock, policy, concurrency
        self._engine: Engine | None = None

    async def __aenter__(self) -> Engine:
        self._engine = await Engine.open(
            self._path, clock=self._clock, policy=self._policy, concurrency=self._concurrency
        )
        return self._engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None:
            await self._engine.close()

    def __await__(self) -> NoReturn:
        raise TypeError(_HOW)

    def __enter__(self) -> NoReturn:
        raise TypeError(_HOW)

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise TypeError(f"The store is not open, so it has no '{name}'. {_HOW}")


def open(
    path: str | Path = "yizhan-data",
    *,
    clock: Clock | None = None,
    policy: Policy | None = None,
    concurrency: int = 32,
) -> OpeningStore:
    """Open the store in the folder `path`: `async with yizhan.open("data") as yz:`.

    Deliveries that were queued when the program last ended are sent at once.

    Raises:
        StorageError: the folder cannot be used, or was written by a newer version.
    """
    return OpeningStore(path, clock, policy, concurrency)


def open_blocking(path: str | Path = "yizhan-data") -> Blocking:
    """Open the store for code without `async`: `with yizhan.open_blocking("data") as yz:`."""
    from yizhan.blocking import Blocking

    return Blocking(path)
