"""The lane: order and pace of one account's sends. What is most urgent goes first; one unit per conversation."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from yizhan.errors import StorageError
from yizhan.model import Clock, Target
from yizhan.sending.concurrency import Width
from yizhan.sending.delivery import BROADCAST, Delivery
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.run import Later, Runner

log = logging.getLogger(__name__)

WINDOW = 256
"""Deliveries kept in memory per lane; the rest stay in the store."""
OVERTAKE = 4
"""Sends at once that a broadcast leaves free for what is more urgent; a quarter of all where those are few."""
BESIDE_URGENT = 4
"""Sends of a broadcast that may be under way beside something more urgent, however crowded the road is."""
AFTER_URGENT = 1.0
"""Seconds after something urgent for which a broadcast goes on making room for it."""
GRACE = 5.0
"""Seconds that a lane gives to what is under way when it is closed."""
SET_BACK = 2.0
"""Seconds by which the clock must have gone back to be believed."""
LONGEST_SLEEP = 30.0
"""Seconds after which a waiting lane looks at the clock again: it may have been set, or the machine slept."""


class Lane:
    """Runs the deliveries of one account until it is closed."""

    def __init__(
        self,
        account: str,
        runner: Runner,
        outbox: Outbox,
        clock: Clock,
        *,
        concurrency: int = 32,
        on_paused: Callable[[str, str], None] | None = None,
        on_expired: Callable[[Sequence[tuple[int, Target]]], None] | None = None,
    ) -> None:
        self.account = account
        self.paused = ""
        """Why it does not send; empty when it does."""
        self._runner = runner
        self._outbox = outbox
        self._clock = clock
        self._concurrency = concurrency
        self._on_paused = on_paused
        self._on_expired = on_expired
        self._heap: list[tuple[int, int, Delivery]] = []
        self._held_in_memory: set[int] = set()
        self._ended_meanwhile: set[int] | None = None
        self._urgent = 0
        """How many sends that are more urgent than a broadcast are on their way, from being stored to their end."""
        self._shared_until = 0.0
        self.width = Width(min(BESIDE_URGENT, concurrency), concurrency)
        """How many sends of a broadcast slow nobody down, while something urgent is on its way or just was."""
        self._cursor: tuple[int, int] | None = None
        self._busy: dict[Target, list[Delivery]] = {}
        self._reserved: dict[Target, int] = {}
        self._active: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._look = True
        self._more = False
        self._slow_until = 0.0
        self._next_look: float | None = 0.0
        self._last_turn = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._resting = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"lane {self.account}")

    def wake(self) -> None:
        """Something was submitted, released or turned: look into the store."""
        self._look = True
        self._changed.set()

    @contextmanager
    def making_way(self) -> Iterator[None]:
        """Something urgent is on its way here: a broadcast holds back meanwhile."""
        self._make_way()
        try:
            yield
        finally:
            self._urgent -= 1
            self._changed.set()

    def pause(self, why: str) -> None:
        """Begin nothing more until somebody logs in; what waits stays where it is."""
        self.paused = self.paused or why
        if self._on_paused is not None:
            self._on_paused(self.account, why)

    def resume(self) -> None:
        """Somebody logged in."""
        self.paused = ""
        self.wake()

    def drop(self, seqs: Collection[int]) -> None:
        """Forget what was cancelled or expired; what is under way finds that out before it leaves."""
        gone = set(seqs) - self._active.keys()
        self._heap = [entry for entry in self._heap if entry[1] not in gone]
        heapq.heapify(self._heap)
        for target, waiting in self._busy.items():
            self._busy[target] = [job for job in waiting if job.seq not in gone]
        for target in [target for target, seq in self._reserved.items() if seq in gone]:
            del self._reserved[target]
        self._held_in_memory -= gone

    @property
    def under_way(self) -> Collection[int]:
        """What has begun and not ended."""
        return self._active.keys()

    @property
    def resting(self) -> bool:
        """Whether everything that may begin now has begun, and it waits for a change or for a time."""
        return self._resting and not self._changed.is_set()

    async def close(self, grace: float | None = None) -> None:
        """Start nothing more, give what is under way `grace` seconds (GRACE if None), then stop."""
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
                    await self._reserve()
                    ready = True
                await self._turn()
            except Exception:
                log.exception("lane failed", extra={"account": self.account})
                self._look, self._next_look = True, 0.0
                await self._clock.sleep(1.0)

    async def _reserve(self) -> None:
        """Keep every target of which a message is half sent for the rest of it."""
        for seq, target in await self._outbox.half_sent(self.account, self._clock.now()):
            self._reserved.setdefault(target, seq)

    async def _turn(self) -> None:
        now = self._clock.now()
        if now < self._last_turn - SET_BACK:
            # What waits for a moment of the old time would wait too long.
            await self._outbox.requeue_waiting(self.account)
            self._slow_until, self._look = now, True
        self._last_turn = now
        if self._next_look is not None and now >= self._next_look:
            self._end_expired(await self._outbox.release_due(self.account, now))
            self._look = True
        if self._look:
            # Emptied first: what is learnt meanwhile must not be overwritten by what was read before.
            self._next_look = None
            if (due := await self._outbox.next_due(self.account, now)) is not None:
                self._look_at(due)
        if self._look or (self._more and len(self._heap) < WINDOW // 2):
            await self._fill(now)
        self._start_what_may(now)
        self._changed.clear()
        stuck = self._more and not self._heap and len(self._held_in_memory) < 4 * WINDOW
        if stuck or (self._look and len(self._heap) < WINDOW):
            # Everything in memory is for targets that are busy: there may be others behind.
            return
        self._resting = True
        try:
            await self._until_changed()
        finally:
            self._resting = False

    def _end_expired(self, expired: Sequence[tuple[int, Target]]) -> None:
        self.drop([seq for seq, _ in expired])
        if expired and self._on_expired is not None:
            self._on_expired(expired)

    def offer(self, jobs: Sequence[Delivery]) -> None:
        """Take what was just stored without reading it back."""
        for job in jobs:
            self._take(job)
            if job.expires_at is not None:
                self._look_at(job.expires_at)
        self._changed.set()

    async def _fill(self, now: float) -> None:
        """Bring in what may go now: all over again after a look was asked for, else what comes behind the last."""
        room = WINDOW - len(self._heap)
        full = room <= 0
        below = None
        if self._look:
            # With enough in memory, only what is more urgent than the rest is worth fetching.
            below = max(priority for priority, _, _ in self._heap) if full else None
            self._cursor = None
            room = len(self._held_in_memory) + (OVERTAKE * 16 if full else room)
        self._look = False
        self._ended_meanwhile = set()
        try:
            jobs = await self._outbox.due(self.account, now, room, after=self._cursor, below=below)
            ended = self._ended_meanwhile
        finally:
            self._ended_meanwhile = None
        self._more = full or len(jobs) >= room
        if jobs and not full:
            self._cursor = jobs[-1].priority, jobs[-1].seq
        for job in jobs:
            if job.seq in ended:
                # Read before it ended or was put back: what was read is no longer true.
                self._look = True
            else:
                self._take(job)

    def _take(self, job: Delivery) -> None:
        if job.seq not in self._held_in_memory:
            self._held_in_memory.add(job.seq)
            heapq.heappush(self._heap, (job.priority, job.seq, job))

    def _start_what_may(self, now: float) -> None:
        if self.paused or now < self._slow_until or self._closing:
            return
        while self._heap and len(self._active) < self._room(self._heap[0][0]):
            _, _, job = heapq.heappop(self._heap)
            if job.expires_at is not None and job.expires_at <= now and not job.progress.begun:
                # The store ends it when the lane looks, which is now.
                self._held_in_memory.discard(job.seq)
                self._look_at(now)
                continue
            if job.target in self._busy:
                self._busy[job.target].append(job)
                continue
            if self._reserved.get(job.target, job.seq) != job.seq:
                # Another message to this target is half sent; this one comes back with the next look.
                self._held_in_memory.discard(job.seq)
                continue
            self._busy[job.target] = []
            if job.urgent:
                self._make_way()
            self._active[job.seq] = asyncio.create_task(self._deliver(job))

    def _room(self, priority: int) -> int:
        """How many may be under way before one more of `priority` begins. What is urgent gets the road to itself.

        It comes in runs (a person talks), so for a while after it a broadcast takes no more than slows nobody down.
        """
        if priority < BROADCAST:
            return self._concurrency
        room = self._concurrency - min(OVERTAKE, self._concurrency // 4)
        return min(room, self.width.now) if self._shared else room

    @property
    def _shared(self) -> bool:
        return self._urgent > 0 or asyncio.get_running_loop().time() < self._shared_until

    def _make_way(self) -> None:
        """Something urgent is on its way."""
        if not self._shared:
            self.width.begin(asyncio.get_running_loop().time())
        self._urgent += 1

    async def _deliver(self, job: Delivery) -> None:
        began = asyncio.get_running_loop().time()
        later: Later | None = None
        try:
            later = await self._runner.deliver(job)
            self._after(job, later)
        except Exception:
            log.exception("delivery failed", extra={"delivery": job.seq})
            await self._settle_as_after_a_crash(job)
        finally:
            # Before the wake-up, or the lane would count this one as still under way.
            self._active.pop(job.seq, None)
            self.width.took(began, asyncio.get_running_loop().time())
            self._held_in_memory.discard(job.seq)
            if job.urgent:
                self._urgent -= 1
                self._shared_until = asyncio.get_running_loop().time() + AFTER_URGENT
            if self._ended_meanwhile is not None:
                self._ended_meanwhile.add(job.seq)
            for waiting in self._busy.pop(job.target, ()):
                heapq.heappush(self._heap, (waiting.priority, waiting.seq, waiting))
            if later is not None and (why := later.paused or self.paused):
                # Also where it was another that found out: whoever waits for this one is told as well.
                self.pause(why)
            self._changed.set()

    async def _settle_as_after_a_crash(self, job: Delivery) -> None:
        """Something failed that should not: go on with it as a new process would, after a while."""
        await self._runner.give_up(job)
        if self._reserved.get(job.target) == job.seq:
            del self._reserved[job.target]
        with suppress(StorageError):
            await self._reserve()
        self._slow_until = self._clock.now() + 1.0
        self._look_at(self._slow_until)

    def _after(self, job: Delivery, later: Later | None) -> None:
        if later is not None and later.begun:
            self._reserved[job.target] = job.seq
        elif self._reserved.get(job.target) == job.seq:
            del self._reserved[job.target]
            self._look = True
        if later is None:
            return
        if later.due_at is not None:
            self._look_at(later.due_at)
        if later.slow:
            self._slow_until = max(self._slow_until, self._clock.now() + later.slow)

    def _look_at(self, at: float) -> None:
        self._next_look = at if self._next_look is None else min(self._next_look, at)

    async def _until_changed(self) -> None:
        """Wait until something happens here, or the clock reaches what is due next."""
        now = self._clock.now()
        times = [] if self._next_look is None else [self._next_look]
        if self._heap and self._slow_until > self._last_turn:
            # By the turn's own clock: what it left for later may have come due since.
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
