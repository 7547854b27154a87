"""Announces changes within this process, so that waiting code does not ask the store in a loop.

Deliveries, accounts, stored events and the store's revision each have a signal. The tasks that follow other processes
send the same signals; a database that announces changes would be one more source.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from yizhan.model import Receipt, State, Target

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeliveryChanged:
    """A delivery ended, or waits for a time or for the other side."""

    seq: int
    target: Target
    state: State
    receipt: Receipt | None = None
    """None where only the store knows it."""


class Signal(Generic[T]):
    """One kind of change."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], None]] = []

    def subscribe(self, listener: Callable[[T], None]) -> Callable[[], None]:
        """Call `listener` with every change from now on; returns the function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def send(self, change: T) -> None:
        """Call every listener with `change`. A listener that fails is logged and disturbs no other."""
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception:
                log.exception("a listener failed", extra={"change": repr(change)})

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Watch for any change of this kind within the block."""
        watch = Watch()
        end = self.subscribe(lambda _change: watch.wake())
        try:
            yield watch
        finally:
            end()


class Watch:
    """Wakes its owner after a change. A change before the call of `changed` is not lost."""

    def __init__(self) -> None:
        self.last: DeliveryChanged | None = None
        """The last change of a watched delivery."""
        self._awake = asyncio.Event()

    def wake(self, change: DeliveryChanged | None = None) -> None:
        if change is not None:
            self.last = change
        self._awake.set()

    async def changed(self, timeout: float | None = None) -> None:
        """Wait for a change since the last call, for `timeout` seconds of real time at most."""
        # Not wait_for: on Python 3.11 it can swallow a cancellation that comes at the same moment.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._awake.wait()
        self._awake.clear()


class Notifier:
    """The signals of one store's process."""

    def __init__(self) -> None:
        self.delivery_changed: Signal[DeliveryChanged] = Signal()
        self.account_changed: Signal[str] = Signal()
        """The account whose status changed, or whose last send under way ended while it is paused."""
        self.lane_opened: Signal[str] = Signal()
        """The account whose deliveries this process has begun to send."""
        self.broadcast_changed: Signal[int] = Signal()
        """The number of the broadcast whose state changed."""
        self.event_stored: Signal[int] = Signal()
        """The number of the event."""
        self.revision_bumped: Signal[int] = Signal()
        """Another process logged in, changed an account or a broadcast, or made room for waiting deliveries.

        Also when this process takes over the sending.
        """
        self._watches: set[Watch] = set()
        self._by_delivery: dict[int, list[Watch]] = {}
        self._of_all: list[Watch] = []
        self.closed = False
        self.delivery_changed.subscribe(self._wake_watches)
        self.account_changed.subscribe(lambda _account: self.wake_all())

    @contextmanager
    def watch_deliveries(self, seqs: Iterable[int] | None = None) -> Iterator[Watch]:
        """Watch deliveries (None: all of them), and all accounts, within the block."""
        watch, watched = Watch(), None if seqs is None else set(seqs)
        self._watches.add(watch)
        if watched is None:
            self._of_all.append(watch)
        for seq in watched or ():
            self._by_delivery.setdefault(seq, []).append(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            if watched is None:
                self._of_all.remove(watch)
            for seq in watched or ():
                self._by_delivery[seq].remove(watch)
                if not self._by_delivery[seq]:
                    del self._by_delivery[seq]

    @contextmanager
    def watch_broadcasts(self) -> Iterator[Watch]:
        """Watch the states of broadcasts within the block, by whichever process they change."""
        watch = Watch()
        ends = [
            self.broadcast_changed.subscribe(lambda _number: watch.wake()),
            self.revision_bumped.subscribe(lambda _revision: watch.wake()),
        ]
        try:
            yield watch
        finally:
            for end in ends:
                end()

    def wake_all(self) -> None:
        """Wake every watch of deliveries: something changed that no single delivery tells."""
        for watch in self._watches:
            watch.wake()

    def close(self) -> None:
        """Wake every watch for good: this process announces nothing more."""
        self.closed = True
        self.wake_all()

    def _wake_watches(self, change: DeliveryChanged) -> None:
        for watch in (*self._by_delivery.get(change.seq, ()), *self._of_all):
            watch.wake(change)
