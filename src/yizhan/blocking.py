"""The blocking facade: the engine's own coroutines, run on a loop in a thread. No logic of its own."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from yizhan.broadcasts.broadcast import Broadcast
from yizhan.engine import Engine
from yizhan.errors import StorageError
from yizhan.runtime.event_loop import LoopThread

if TYPE_CHECKING:
    from yizhan.model import Event, Media, Receipt, State

T = TypeVar("T")


class Runner(Protocol):
    """Runs a coroutine on the loop and waits for it."""

    def __call__(self, work: Coroutine[Any, Any, T]) -> T: ...


class Blocking:
    """Every method of `Engine` and its parts (`library`, `contacts` …), under the same name, waiting for its result."""

    def __init__(self, path: str | Path = "yizhan-data") -> None:
        self._closed = False
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
        if not self._closed:
            self._closed = True
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

    def broadcast(self, to: Any, *content: Any, **more: Any) -> BlockingBroadcast:
        return BlockingBroadcast(self._run, self._run(self._engine.broadcast(to, *content, **more)))

    def events(self, accounts: Any = None, **more: Any) -> Iterator[Event]:
        """Yield what comes in from this call on; blocks until the next event."""
        return self._each(self._engine.events(accounts, **more))

    def adapter(self, account: str) -> BlockingPart:
        """Return the account's adapter, with the platform's raw calls, which wait as well."""
        return BlockingPart(self._run, self._run(self._engine.adapter(account)))

    def _each(self, events: AsyncIterator[Event]) -> Iterator[Event]:
        while True:
            yield self._run(_next(events))

    def __getattr__(self, name: str) -> Any:
        return _blocking(self._run, getattr(self._engine, name))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise StorageError("This store is closed; use it within its `with` block, or before close().")
        return self._loop.run(work)


class BlockingPart:
    """A part of the engine, waiting for its results."""

    def __init__(self, run: Runner, part: Any) -> None:
        self._run = run
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return _blocking(self._run, getattr(self._part, name))


class BlockingBroadcast:
    """`Broadcast`, waiting for its results."""

    def __init__(self, run: Runner, broadcast: Broadcast) -> None:
        self._run = run
        self._broadcast = broadcast
        self.id = broadcast.id
        self.total = broadcast.total

    def counts(self) -> dict[State, int]:
        return self._run(self._broadcast.counts())

    def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        return self._run(self._broadcast.wait(timeout, until_held=until_held))

    def receipts(self) -> list[Receipt]:
        return self._run(self._broadcast.receipts())


async def _next(source: AsyncIterator[Event]) -> Event:
    return await anext(source)


def _blocking(run: Runner, value: Any) -> Any:
    """Return a method that waits for its result, a part whose methods do, or a value as it is."""
    if callable(value):

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            return run(_called(value, args, kwargs))

        return call
    return BlockingPart(run, value) if type(value).__module__.startswith("yizhan.") else value


async def _called(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = method(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result
