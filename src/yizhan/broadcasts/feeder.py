"""Runs the broadcasts of a store: feeds recipients to the outbox ahead of the lanes, starts, pauses and ends them.

One process does this, the one that sends. Everything that it decides is in the store, so that another process goes on
where it ended.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from yizhan.broadcasts.placeholders import filled, names_in
from yizhan.broadcasts.recall import Recaller
from yizhan.broadcasts.rows import BroadcastRow, Recipient, Tally, broadcast_name
from yizhan.broadcasts.states import BroadcastState, PauseReason
from yizhan.broadcasts.table import BroadcastTable
from yizhan.errors import YizhanError
from yizhan.model import Clock, Message, State, dump_message
from yizhan.runtime.notifier import Notifier, Watch
from yizhan.sending.delivery import BROADCAST, Submission, Submitted, delivery_id
from yizhan.sending.outbox.insert import NewDeliveries, known_of, parts_of, store, store_message
from yizhan.sending.pace import Paces
from yizhan.sending.worker import Worker
from yizhan.storage.driver import Connection

log = logging.getLogger(__name__)

PORTION = 2000
"""Recipients that are fed to one account at once."""
LOW = 1000
"""Queued deliveries of a broadcast and account below which the next portion is fed."""
INTERVAL = 0.05
"""Most seconds of real time between two looks while deliveries end."""
SHARE = 10
"""A look is made again after so many times the time that it took."""
LONGEST_WAIT = 30.0
"""Seconds after which the clock is looked at again."""


class Feeder:
    def __init__(
        self,
        table: BroadcastTable,
        worker: Worker,
        paces: Paces,
        recaller: Recaller,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._table = table
        self._worker = worker
        self._paces = paces
        self._recaller = recaller
        self._notifier = notifier
        self._clock = clock
        self._recalling: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run the broadcasts until cancelled."""
        try:
            with self._notifier.watch_deliveries() as deliveries, self._notifier.watch_broadcasts() as broadcasts:
                while True:
                    began = time.monotonic()
                    running, at = True, self._clock.now() + 1.0
                    try:
                        running, at = await self._turn() if self._worker.leading else (False, math.inf)
                    except Exception:
                        log.exception("running the broadcasts failed")
                    pause = min(INTERVAL, SHARE * (time.monotonic() - began))
                    # Deliveries matter to a broadcast that runs; without one, nothing is read however many are sent.
                    await self._until(at, deliveries if running else broadcasts)
                    await asyncio.sleep(pause)
        finally:
            for task in self._recalling.values():
                task.cancel()
            await asyncio.gather(*self._recalling.values(), return_exceptions=True)

    async def _until(self, at: float, watch: Watch) -> None:
        """Wait for a change, or for the clock to reach `at`."""
        seconds = min(LONGEST_WAIT, max(0.0, at - self._clock.now()))
        tasks = {asyncio.ensure_future(watch.changed()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self) -> tuple[bool, float]:
        """Bring every broadcast that is under way forward.

        Returns whether one of them runs, and when the next is due to start, pause or resume.
        """
        times, running = [math.inf], False
        for row in await self._table.in_states(
            BroadcastState.SCHEDULED, BroadcastState.RUNNING, BroadcastState.PAUSED, BroadcastState.RECALLING
        ):
            running = running or row.state is BroadcastState.RUNNING
            try:
                times.append(await self._carry_on(row))
            except YizhanError as error:
                log.warning("broadcast not carried on", extra={"broadcast": row.id, "reason": str(error)})
        return running, min(times)

    async def _carry_on(self, row: BroadcastRow) -> float:
        """Return when it is due to start, pause or resume by itself, in seconds since the epoch."""
        now = self._clock.now()
        match row.state:
            case BroadcastState.SCHEDULED:
                return await self._start_on_time(row, now)
            case BroadcastState.RUNNING:
                return await self._go_on(row, now)
            case BroadcastState.PAUSED if row.reason is PauseReason.QUIET_HOURS:
                return await self._resume_after_quiet_hours(row, now)
            case BroadcastState.RECALLING:
                self._recall(row.id)
        return math.inf

    async def _start_on_time(self, row: BroadcastRow, now: float) -> float:
        if now < row.start_at:
            return row.start_at
        if row.options.too_late(row.start_at, now):
            why = f"It was to start {now - row.start_at:,.0f} seconds ago; resume or cancel it."
            await self._set(row, BroadcastState.PAUSED, PauseReason.LATE, why)
        else:
            await self._set(row, BroadcastState.RUNNING)
        return now

    async def _resume_after_quiet_hours(self, row: BroadcastRow, now: float) -> float:
        until = row.options.quiet.until(now) if row.options.quiet else None
        if until is not None:
            return until
        await self._set(row, BroadcastState.RUNNING)
        await self._wake(row.id)
        return now

    async def _go_on(self, row: BroadcastRow, now: float) -> float:
        quiet = row.options.quiet.until(now) if row.options.quiet else None
        if quiet is not None:
            await self.pause(row, PauseReason.QUIET_HOURS, "It goes on by itself when the quiet hours end.")
            return quiet
        self._paces.set(row.id, row.options.per_minute)
        _, tally = await self._table.tally(row.id)
        if why := await self._too_many_errors(row, tally):
            await self.pause(row, PauseReason.ERRORS, f"{why}. Look at the errors, then resume or cancel it.")
            return math.inf
        await self._feed(row)
        if not tally.waiting and not tally.open:
            await self._end(row)
        return math.inf

    async def _too_many_errors(self, row: BroadcastRow, tally: Tally) -> str:
        limits = row.options.pause_after
        if limits is None or not tally.failed:
            return ""
        ended, failed = tally.ended - row.ended_seen, tally.failed - row.failed_seen
        newest = await self._table.newest_ended(row.id, min(limits.in_a_row, ended)) if failed else []
        in_a_row = next((n for n, state in enumerate(newest) if not _is_failure(state)), len(newest))
        return limits.reached(failed, ended, in_a_row)

    async def drop_paused(self) -> None:
        """Drop what the lanes have of broadcasts that another process paused."""
        for row in await self._table.in_states(BroadcastState.PAUSED):
            self._worker.drop_broadcast(row.id)

    async def pause(self, row: BroadcastRow, reason: PauseReason, detail: str) -> None:
        """Feed no more of it and drop what the lanes have in memory; what is on the wire finishes."""
        await self._set(row, BroadcastState.PAUSED, reason, detail)
        self._worker.drop_broadcast(row.id)

    async def _end(self, row: BroadcastRow) -> None:
        self._paces.set(row.id, None)
        await self._set(row, BroadcastState.DONE)

    async def _set(
        self, row: BroadcastRow, state: BroadcastState, reason: PauseReason | None = None, detail: str = ""
    ) -> None:
        changed = await self._table.ledger.write(
            lambda connection: self._table.set_on(connection, row, state, reason=reason, detail=detail)
        )
        if changed:
            log.info("broadcast is %s", state.value, extra={"broadcast": row.id, "reason": detail})
            self._notifier.broadcast_changed.send(row.id)
            self._notifier.wake_all()

    # --- feeding ---

    async def _feed(self, row: BroadcastRow) -> None:
        """Feed every account of the broadcast whose deliveries are running low."""
        feeds = await self._table.feeds(row.id)
        if not feeds:
            return
        tallies = await self._table.tallies(row)
        for account, fed_to in feeds:
            if tallies.get(account, {}).get(State.QUEUED, 0) < LOW:
                await self._table.ledger.write(partial(self.feed_on, row=row, account=account, fed_to=fed_to))
                await self._worker.wake(account)

    def feed_first_on(self, connection: Connection, row: BroadcastRow) -> dict[str, Submitted]:
        """Store the first portion of every account of a broadcast that was just started; returns it by account.

        A broadcast with hours or a pace of its own is fed by the process that sends, which keeps them.
        """
        if not row.options.unrestricted:
            return {}
        feeds = self._table.feeds_on(connection, row.id)
        fed = {account: self.feed_on(connection, row, account, fed_to) for account, fed_to in feeds}
        return {account: submitted for account, submitted in fed.items() if submitted is not None}

    def feed_on(self, connection: Connection, row: BroadcastRow, account: str, fed_to: int) -> Submitted | None:
        """Store the next portion of deliveries and move the cursor; None if it moved meanwhile, or nothing is left."""
        recipients = self._table.next_on(connection, row.id, account, fed_to, PORTION)
        last = recipients[-1].ord if len(recipients) == PORTION else None
        if not self._table.moved_on(connection, row.id, account, fed_to, last):
            return None
        if row.key is not None:
            recipients = self._without_known(connection, row, row.key, recipients)
        if not recipients:
            return None
        now, message = self._clock.now(), self._table.message_on(connection, row.message)
        new = NewDeliveries(
            message,
            _submissions(connection, message, recipients, now),
            BROADCAST,
            row.key,
            row.options.stop_at,
            0.0,
            row.note,
            now,
            row.id,
            row.message,
        )
        return store(connection, new)

    def _without_known(
        self, connection: Connection, row: BroadcastRow, key: str, recipients: Sequence[Recipient]
    ) -> list[Recipient]:
        """Return the recipients that have nothing under the broadcast's key yet; the others are refused."""
        known = known_of(connection, key, [one.target for one in recipients])
        refused = [
            replace(one, refused=f"It has this message under the key '{key}' already: {delivery_id(seq)}.")
            for one in recipients
            if (seq := known.get(one.target)) is not None
        ]
        self._table.refuse_on(connection, row.id, refused)
        return [one for one in recipients if one.target not in known]

    async def _wake(self, id: int) -> None:
        for account in await self._table.tallies(await self._table.get(id)):
            await self._worker.wake(account)

    # --- recalling ---

    def _recall(self, id: int) -> None:
        task = self._recalling.get(id)
        if task is None or task.done():
            self._recalling[id] = asyncio.create_task(self._recall_to_its_end(id), name=f"recall {broadcast_name(id)}")

    async def _recall_to_its_end(self, id: int) -> None:
        await self._recaller.recall(id)
        self._notifier.wake_all()


def _submissions(
    connection: Connection, message: Message, recipients: Sequence[Recipient], now: float
) -> list[Submission]:
    """Return what the outbox stores for `recipients`; a message with placeholders is stored for each of them."""
    personal = bool(names_in(message))
    sent = parts_of(connection, [one.retry_of for one in recipients if one.retry_of is not None])
    found = []
    for one in recipients:
        own = 0
        if personal and one.values:
            text = filled(message, one.values)
            own = store_message(connection, text, dump_message(text), now)
        ids = sent.get(one.retry_of, ()) if one.retry_of is not None else ()
        found.append(Submission(one.target, one.parts, one.ord, own, one.retry_of, ids))
    return found


def _is_failure(state: State) -> bool:
    return state in (State.FAILED, State.UNKNOWN)
