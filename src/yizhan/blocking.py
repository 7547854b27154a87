"""The blocking facade: the engine's own coroutines, run on a loop in a thread. No logic of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from yizhan.delivery.broadcast import Broadcast
from yizhan.engine import Engine
from yizhan.net.loop import LoopThread

if TYPE_CHECKING:
    from yizhan.model import Event, Media, Receipt, State


class Blocking:
    """Every method of `Engine` under the same name, waiting for its result."""

    def __init__(self, path: str | Path = "yizhan-data") -> None:
        self._loop = LoopThread()
        try:
            self._engine = self._loop.run(Engine.open(path))
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._loop.run(self._engine.close())
        self._loop.close()

    if TYPE_CHECKING:

        def add_account(self, name: str, **settings: Any) -> None: ...
        def upload(self, source: Any, name: str | None = None, **more: Any) -> Media: ...
        def send(self, to: Any, *content: Any, **more: Any) -> Receipt: ...
        def submit(self, to: Any, *content: Any, **more: Any) -> list[Receipt]: ...
        def wait(self, which: Any, **more: Any) -> list[Receipt]: ...
        def recall(self, which: Receipt | str) -> Receipt: ...
        def deliveries(self, **more: Any) -> list[Receipt]: ...
        def reply(self, event: Event, *content: Any, **more: Any) -> Receipt: ...

    def broadcast(self, message: Any, to: Any, **more: Any) -> BlockingBroadcast:
        return BlockingBroadcast(self._loop, self._loop.run(self._engine.broadcast(message, to, **more)))

    def events(self, accounts: Any = None, **more: Any) -> Iterator[Event]:
        """Yield what comes in from this call on; blocks until the next event."""
        return self._each(self._engine.events(accounts, **more))

    def _each(self, events: AsyncIterator[Event]) -> Iterator[Event]:
        while True:
            yield self._loop.run(_next(events))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._engine, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run(method(*args, **kwargs))

        return run


class BlockingBroadcast:
    """`Broadcast`, waiting for its results."""

    def __init__(self, loop: LoopThread, broadcast: Broadcast) -> None:
        self._loop = loop
        self._broadcast = broadcast
        self.id = broadcast.id
        self.total = broadcast.total

    def counts(self) -> dict[State, int]:
        return self._loop.run(self._broadcast.counts())

    def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        return self._loop.run(self._broadcast.wait(timeout, until_held=until_held))

    def receipts(self) -> list[Receipt]:
        return self._loop.run(self._broadcast.receipts())


async def _next(source: AsyncIterator[Event]) -> Event:
    return await anext(source)
