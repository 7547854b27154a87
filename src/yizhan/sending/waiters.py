"""Whoever waits for deliveries in this process: told when they end or rest, so that nobody asks the store in a loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from yizhan.errors import LoginNeeded
from yizhan.model import Receipt, State, Target
from yizhan.sending.delivery import Delivery, Progress, receipt_of

log = logging.getLogger(__name__)

SettledListener = Callable[[Target, State], None]

WATCHED = 64
"""Deliveries of one wait whose changes wake it; it looks by itself now and then as well."""


class Waiters:
    def __init__(self) -> None:
        self._listeners: list[SettledListener] = []
        self._watching: dict[int, list[asyncio.Future[None]]] = {}
        self._awaited: dict[int, tuple[str, asyncio.Future[Receipt | None]]] = {}

    def listen(self, listener: SettledListener) -> Callable[[], None]:
        """Call `listener` from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def awaiting(self, seq: int, account: str) -> Iterator[asyncio.Future[Receipt | None]]:
        """The receipt of one delivery once it ends or is held; None: the store knows how it stands.

        LoginNeeded instead when its account pauses.
        """
        ended: asyncio.Future[Receipt | None] = asyncio.get_running_loop().create_future()
        self._awaited[seq] = account, ended
        try:
            yield ended
        finally:
            self._awaited.pop(seq, None)
            if ended.done() and not ended.cancelled():
                ended.exception()

    @contextmanager
    def watching(self, seqs: Sequence[int]) -> Iterator[asyncio.Future[None]]:
        """Something that is done once one of the first few of `seqs` changes."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watched = list(seqs[:WATCHED])
        for seq in watched:
            self._watching.setdefault(seq, []).append(changed)
        try:
            yield changed
        finally:
            for seq in watched:
                waiters = self._watching.get(seq, [])
                if changed in waiters:
                    waiters.remove(changed)
                if not waiters:
                    self._watching.pop(seq, None)

    def settled(self, job: Delivery, end: Progress) -> None:
        """The runner settled it: it ended, or it waits."""
        self._tell(job.seq, job.target, end.state)
        if end.state.final or end.state is State.HELD:
            self._answer(job.seq, receipt_of(job, end))

    def changed(self, places: Iterable[tuple[int, Target]], state: State) -> None:
        """Deliveries ended otherwise: they were cancelled, or their time ran out."""
        for seq, target in places:
            self._tell(seq, target, state)
            self._answer(seq, None)

    def gone(self, job: Delivery) -> None:
        """The runner found that it had ended otherwise, or gave it up."""
        self._wake(self._watching.pop(job.seq, ()))
        self._answer(job.seq, None)

    def left(self, account: str) -> None:
        """Nobody drives `account` any more for now; how its deliveries stand is known to the store."""
        for seq, (of_account, _) in list(self._awaited.items()):
            if of_account == account:
                self._answer(seq, None)

    def paused(self, account: str, reason: str, under_way: Iterable[int] = ()) -> None:
        """Nothing of `account` begins any more until somebody logs in; what is `under_way` may still arrive."""
        spared = set(under_way)
        for seq, (of_account, ended) in self._awaited.items():
            if of_account == account and seq not in spared and not ended.done():
                ended.set_exception(LoginNeeded(f"{reason} The delivery waits; log in and it goes on."))
        for waiters in self._watching.values():
            self._wake(waiters)

    def close(self) -> None:
        """Nothing more will be told."""
        for seq in list(self._awaited):
            self._answer(seq, None)
        for waiters in self._watching.values():
            self._wake(waiters)

    def _tell(self, seq: int, target: Target, state: State) -> None:
        for listener in list(self._listeners):
            try:
                listener(target, state)
            except Exception:
                log.exception("a listener failed", extra={"target": str(target), "state": state.value})
        self._wake(self._watching.pop(seq, ()))

    def _wake(self, waiters: Iterable[asyncio.Future[None]]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _answer(self, seq: int, receipt: Receipt | None) -> None:
        awaited = self._awaited.get(seq)
        if awaited is not None and not awaited[1].done():
            awaited[1].set_result(receipt)
