"""The lane: order and pace of one account's sends, the most urgent first and one message at a time per target.

A delivery is in at most one of these places: in `_heap`, ready to begin; in a list of `_busy`, behind another delivery
to the same target; in `_active`, under way; or in the store alone. `_in_memory` holds the numbers of the first three,
so that a look into the store brings no delivery in twice.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from yizhan.errors import StorageError
from yizhan.model import State, Target
from yizhan.runtime.log_context import log_fields
from yizhan.runtime.notifier import DeliveryChanged
from yizhan.sending.concurrency import AdaptiveConcurrency
from yizhan.sending.delivery import BROADCAST, REPLY, Delivery
from yizhan.sending.run import Continue, Deferred, DeliveryRun, Ended
from yizhan.sending.sender import Sender

log = logging.getLogger(__name__)

WINDOW = 256
"""Deliveries kept in memory per lane; the rest stay in the store."""
OVERTAKE = 4
"""Concurrent sends that a broadcast leaves free for more urgent deliveries; a quarter where there are few."""
BESIDE_URGENT = 4
"""Sends of a broadcast that may be under way beside an urgent one at first."""
AFTER_URGENT = 1.0
"""Seconds after an urgent send for which broadcasts stay limited: people talk in runs."""
GRACE = 5.0
"""Seconds that a closing lane gives to what is under way."""
SET_BACK = 2.0
"""Seconds by which the clock must have gone back to be believed."""
LONGEST_SLEEP = 30.0
"""Seconds after which a waiting lane looks at the clock again: it may have been set, or the machine slept."""


class Lane:
    """Runs the deliveries of one account until it is closed."""

    def __init__(self, sender: Sender, *, concurrency: int = 32) -> None:
        self.account = sender.account.name
        self.concurrency = AdaptiveConcurrency(min(BESIDE_URGENT, concurrency), concurrency)
        """How many sends of a broadcast slow nothing down, while an urgent one is under way or just was."""
        self._sender = sender
        self._outbox = sender.outbox
        self._clock = sender.clock
        self._most_at_once = concurrency
        self._heap: list[tuple[int, int, Delivery]] = []
        self._in_memory: set[int] = set()
        self._busy: dict[Target, list[Delivery]] = {}
        """By target that a delivery is under way to, the deliveries behind it."""
        self._reserved: dict[Target, int] = {}
        """By target, the half-sent delivery whose rest goes before anything else to it."""
        self._active: dict[int, asyncio.Task[None]] = {}
        self._left_during_look: set[int] | None = None
        """During a look into the store, the deliveries that ended or were put back meanwhile; None at other times."""
        self._cursor: tuple[int, int] | None = None
        """Priority and number of the last delivery that was read; the next portion begins behind it."""
        self._urgent = 0
        """Urgent sends from being stored to their end."""
        self._limited_until = 0.0
        """Until when, by the loop's time, broadcasts stay limited after the last urgent send."""
        self._changed = asyncio.Event()
        self._look = True
        """Whether the store may have deliveries that go before those in memory."""
        self._more = False
        """Whether the store has further deliveries behind the cursor."""
        self._slow_until = 0.0
        self._next_look: float | None = 0.0
        """When something is due to be released, tried or expired; None while nothing waits for a time."""
        self._last_turn = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._resting = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"lane {self.account}")

    def wake(self) -> None:
        """Look into the store: a delivery was stored, released or requeued, or the account is active again."""
        self._look = True
        self._changed.set()

    def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries that were just stored, without reading them back."""
        for delivery in deliveries:
            self._take(delivery)
            if delivery.expires_at is not None:
                self._look_at(delivery.expires_at)
        self._changed.set()

    @contextmanager
    def urgent_send(self) -> Iterator[None]:
        """While this block runs, broadcasts on this account are limited."""
        self._begin_urgent()
        try:
            yield
        finally:
            self._urgent -= 1
            self._changed.set()

    def forget(self, seqs: Collection[int]) -> None:
        """Drop cancelled or expired deliveries; one that is under way finds out before it leaves."""
        gone = set(seqs) - self._active.keys()
        self._heap = [entry for entry in self._heap if entry[1] not in gone]
        heapq.heapify(self._heap)
        for target, waiting in self._busy.items():
            self._busy[target] = [delivery for delivery in waiting if delivery.seq not in gone]
        for target in [target for target, seq in self._reserved.items() if seq in gone]:
            del self._reserved[target]
        self._in_memory -= gone

    def drop_broadcast(self, broadcast: int) -> None:
        """Drop the deliveries of a paused broadcast that have not begun; the store has them."""

        def stays(delivery: Delivery) -> bool:
            return delivery.broadcast != broadcast or delivery.progress.begun

        waiting = [delivery for behind in self._busy.values() for delivery in behind]
        self.forget([one.seq for one in (*(entry[2] for entry in self._heap), *waiting) if not stays(one)])

    @property
    def paused(self) -> str:
        """Why the account sends nothing until it logs in; empty when it does not wait for a login."""
        return self._sender.statuses.why_paused(self.account)

    @property
    def under_way(self) -> Collection[int]:
        """The deliveries that have begun and not stopped."""
        return self._active.keys()

    @property
    def resting(self) -> bool:
        """Whether everything that may begin now has begun, so that the lane waits for a change or for a time."""
        return self._resting and not self._changed.is_set()

    async def close(self, grace: float | None = None) -> None:
        """Begin nothing more, give what is under way `grace` seconds (GRACE if None), then stop."""
        self._closing = True
        self._changed.set()
        if self._active:
            await asyncio.wait(set(self._active.values()), timeout=GRACE if grace is None else grace)
        left = [*self._active.values(), *([self._task] if self._task else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    # --- the loop ---

    async def _run(self) -> None:
        ready = False
        while not self._closing:
            try:
                if not ready:
                    await self._reserve_targets()
                    ready = True
                await self._turn()
            except Exception:
                log.exception("lane failed", extra={"account": self.account})
                self._look, self._next_look = True, 0.0
                await self._clock.sleep(1.0)

    async def _reserve_targets(self) -> None:
        """Reserve the target of every half-sent delivery for the rest of it."""
        for seq, target in await self._outbox.half_sent(self.account, self._clock.now()):
            self._reserved.setdefault(target, seq)

    async def _turn(self) -> None:
        now = self._clock.now()
        if now < self._last_turn - SET_BACK:
            # Times of the old clock lie too far ahead.
            await self._outbox.requeue_waiting(self.account)
            self._slow_until, self._look = now, True
        self._last_turn = now
        if self._next_look is not None and now >= self._next_look:
            self._announce_expired(await self._outbox.release_due(self.account, now))
            self._look = True
        if self._look:
            # Cleared first: a time that is set during the read must not be overwritten by the older answer.
            self._next_look = None
            if (due := await self._outbox.next_due(self.account, now)) is not None:
                self._look_at(due)
        if self._look or (self._more and len(self._heap) < WINDOW // 2):
            await self._fill(now)
        self._start_ready(now)
        self._changed.clear()
        stuck = self._more and not self._heap and len(self._in_memory) < 4 * WINDOW
        if stuck or (self._look and len(self._heap) < WINDOW):
            # Every delivery in memory is for a busy target; the store may have others behind them.
            return
        self._resting = True
        try:
            await self._until_changed()
        finally:
            self._resting = False

    def _announce_expired(self, expired: Sequence[tuple[int, Target]]) -> None:
        self.forget([seq for seq, _ in expired])
        for seq, target in expired:
            self._sender.notifier.delivery_changed.send(DeliveryChanged(seq, target, State.EXPIRED))

    async def _fill(self, now: float) -> None:
        """Read deliveries that may go now: from the beginning after a look was asked for, else behind the cursor."""
        room = WINDOW - len(self._heap)
        full = room <= 0
        below = None
        if self._look:
            # With enough in memory, only more urgent deliveries are worth reading.
            below = max(priority for priority, _, _ in self._heap) if full else None
            self._cursor = None
            room = len(self._in_memory) + (OVERTAKE * 16 if full else room)
        self._look = False
        self._left_during_look = set()
        try:
            deliveries = await self._outbox.due(self.account, now, room, after=self._cursor, below=below)
            left = self._left_during_look
        finally:
            self._left_during_look = None
        self._more = full or len(deliveries) >= room
        if deliveries and not full:
            self._cursor = deliveries[-1].priority, deliveries[-1].seq
        for delivery in deliveries:
            if delivery.seq in left:
                # It was read before it ended or was put back, so the row has changed since.
                self._look = True
            else:
                self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        if delivery.seq not in self._in_memory:
            self._in_memory.add(delivery.seq)
            self._push(delivery)

    def _push(self, delivery: Delivery) -> None:
        # The rest of a half-sent message goes before whole ones, after a restart as well.
        priority = REPLY if delivery.progress.begun else delivery.priority
        heapq.heappush(self._heap, (priority, delivery.seq, delivery))

    def _start_ready(self, now: float) -> None:
        """Begin the deliveries at the top of the heap as far as pace, urgency and their targets allow."""
        if self.paused or now < self._slow_until or self._closing:
            return
        while self._heap and len(self._active) < self._room(self._heap[0][0]):
            _, _, delivery = heapq.heappop(self._heap)
            if delivery.expires_at is not None and delivery.expires_at <= now and not delivery.progress.begun:
                # The store expires it at the next look, which is now.
                self._in_memory.discard(delivery.seq)
                self._look_at(now)
                continue
            if delivery.target in self._busy:
                self._busy[delivery.target].append(delivery)
                continue
            if self._reserved.get(delivery.target, delivery.seq) != delivery.seq:
                # Another message to this target is half sent; this one comes back with the next look.
                self._in_memory.discard(delivery.seq)
                continue
            self._busy[delivery.target] = []
            if delivery.urgent:
                self._begin_urgent()
            self._active[delivery.seq] = asyncio.create_task(self._deliver(delivery))

    def _room(self, priority: int) -> int:
        """Return how many sends may be under way before one more of `priority` begins."""
        if priority < BROADCAST:
            return self._most_at_once
        room = self._most_at_once - min(OVERTAKE, self._most_at_once // 4)
        return min(room, self.concurrency.now) if self._limited else room

    @property
    def _limited(self) -> bool:
        return self._urgent > 0 or asyncio.get_running_loop().time() < self._limited_until

    def _begin_urgent(self) -> None:
        if not self._limited:
            self.concurrency.restart(asyncio.get_running_loop().time())
        self._urgent += 1

    async def _deliver(self, delivery: Delivery) -> None:
        began = asyncio.get_running_loop().time()
        try:
            run = DeliveryRun(delivery, self._sender)
            with log_fields(account=self.account, delivery=delivery.seq):
                while isinstance(step := await run.carry_on(), Continue):
                    pass
            self._after(delivery, step)
        except Exception:
            log.exception("delivery failed", extra={"account": self.account, "delivery": delivery.seq})
            await self._recover(delivery)
        finally:
            self._finish(delivery, began)

    def _finish(self, delivery: Delivery, began: float) -> None:
        """Free the target and the place of a delivery that stopped, then look for the next."""
        now = asyncio.get_running_loop().time()
        self._active.pop(delivery.seq, None)
        self.concurrency.record(began, now)
        self._in_memory.discard(delivery.seq)
        if delivery.urgent:
            self._urgent -= 1
            self._limited_until = now + AFTER_URGENT
        if self._left_during_look is not None:
            self._left_during_look.add(delivery.seq)
        for waiting in self._busy.pop(delivery.target, ()):
            self._push(waiting)
        if self.paused:
            # A caller that waits for this delivery, which was under way when the account paused, is told now.
            self._sender.notifier.account_changed.send(self.account)
        self._changed.set()

    async def _recover(self, delivery: Delivery) -> None:
        """Go on after an error of our own as a new process would, a second later."""
        await self._sender.give_up(delivery)
        if self._reserved.get(delivery.target) == delivery.seq:
            del self._reserved[delivery.target]
        with suppress(StorageError):
            await self._reserve_targets()
        self._slow_until = self._clock.now() + 1.0
        self._look_at(self._slow_until)

    def _after(self, delivery: Delivery, step: Deferred | Ended) -> None:
        if isinstance(step, Deferred) and step.half_sent:
            self._reserved[delivery.target] = delivery.seq
        elif self._reserved.get(delivery.target) == delivery.seq:
            del self._reserved[delivery.target]
            self._look = True
        if isinstance(step, Ended):
            return
        if step.due_at is not None:
            self._look_at(step.due_at)
        if step.slow_seconds:
            self._slow_until = max(self._slow_until, self._clock.now() + step.slow_seconds)

    def _look_at(self, at: float) -> None:
        self._next_look = at if self._next_look is None else min(self._next_look, at)

    async def _until_changed(self) -> None:
        """Wait until something changes here, or the clock reaches what is due next."""
        now = self._clock.now()
        times = [] if self._next_look is None else [self._next_look]
        if self._heap and self._slow_until > self._last_turn:
            # By the turn's own clock: deliveries that it left for later may have come due since.
            times.append(self._slow_until)
        if not times:
            await self._changed.wait()
            return
        if min(times) <= now:
            return
        changed = asyncio.create_task(self._changed.wait())
        timer = asyncio.create_task(self._clock.sleep(min(min(times) - now, LONGEST_SLEEP)))
        try:
            await asyncio.wait((changed, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            timer.cancel()
