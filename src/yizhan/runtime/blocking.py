"""The base of classes without async: an asynchronous object on an event loop of its own, in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from yizhan.errors import StorageError
from yizhan.runtime.event_loop import LoopThread

T = TypeVar("T")


class Closable(Protocol):
    """An object that is closed on its loop."""

    async def close(self) -> None:
        """Close it."""


Inner = TypeVar("Inner", bound=Closable)


class StoreLoop:
    """The event loop of one open store; each method blocks the caller until its work is done."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        self._closed = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`.

        Raises:
            StorageError: the store is closed.
        """
        if self._closed:
            work.close()
            raise StorageError("This store is closed; use it within its `with` block, or before close().")
        return self._thread.run(work)

    def call(self, method: Callable[[], T]) -> T:
        """Call a method that does not wait, on the loop."""

        async def once() -> T:
            return method()

        return self.run(once())

    def each(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yield the values one by one."""
        while True:
            try:
                yield self.run(_next(values))
            except StopAsyncIteration:
                return

    def end(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Run `last`, then end the loop; a second call does nothing."""
        if self._closed:
            if last is not None:
                last.close()
            return
        try:
            if last is not None:
                self.run(last)
        finally:
            self._closed = True
            self._thread.close()


async def _next(values: AsyncIterator[T]) -> T:
    return await anext(values)


class BlockingStore(Generic[Inner]):
    """An open store, used in a `with` block or closed by `close()`."""

    def __init__(self, opening: Coroutine[Any, Any, Inner]) -> None:
        self._loop = StoreLoop()
        try:
            self._inner = self._loop.run(opening)
        except BaseException:
            self._loop.end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way (a few seconds at most), then close everything. Waiting deliveries stay stored."""
        self._loop.end(self._inner.close())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine of this store, such as a raw call: `yz.run(yz.adapter("qqbot.main").call(…))`."""
        return self._loop.run(work)
