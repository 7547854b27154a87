"""Waits for deliveries to end or to be held, woken by the notifier."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from yizhan.errors import DeliveryFailed, Refused, YizhanError
from yizhan.model import Clock, Receipt, State, Target
from yizhan.runtime.deadline import Deadline
from yizhan.runtime.notifier import Notifier
from yizhan.sending.delivery import Submitted, delivery_id, delivery_seq
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.worker import Worker

PACE = 60.0
"""Seconds. A delivery that is held for no longer waits for a platform's pace; it is waited for like a queued one."""
FEW = 64
"""Deliveries whose every change is worth a look at the store; more are looked at in intervals."""
INTERVAL = 0.1
"""Most seconds of real time between two looks at many deliveries."""
SHARE = 10
"""A look at many deliveries is made again after so many times the time that it took."""


class Waiting:
    """The one way to wait for deliveries."""

    def __init__(self, notifier: Notifier, records: Records, worker: Worker, clock: Clock) -> None:
        self._notifier = notifier
        self._records = records
        self._worker = worker
        self._clock = clock

    async def for_one(self, submitted: Submitted, target: Target, timeout: float | None) -> Receipt | None:
        """Hand a new delivery to its lane and return its receipt once it ends or is held.

        None where only the store knows its state: another process sends it, it was cancelled, or `timeout` is over.

        Raises:
            LoginNeeded: the account must log in before it can go on.
        """
        (seq,), deadline = submitted.seqs, Deadline(timeout)
        with self._notifier.watch_deliveries([seq]) as watch:
            await self._worker.start(submitted, [target])
            while submitted.deliveries and not self._notifier.closed and not deadline.over:
                change = watch.last
                if change is not None and (change.state.final or change.state is State.HELD):
                    return change.receipt
                if not self._worker.under_way(target.account, seq):
                    if target.account not in self._worker.lanes:
                        return None
                    if error := self._worker.error(target.account):
                        raise error
                await watch.changed(deadline.left())
        return None

    async def for_all(self, seqs: Sequence[int], timeout: float | None, *, until_held: bool = True) -> list[Receipt]:
        """Wait until the deliveries have ended (or are held, with `until_held`) and return their receipts.

        Raises:
            Refused: there is no such delivery.
            LoginNeeded: an account must log in before they can be sent.
            UnknownAccount, ConfigError: the account cannot be opened.
        """
        receipts: list[Receipt] = []

        async def finished() -> bool:
            nonlocal receipts
            receipts = await self._read(seqs)
            while error := self._why_all_stopped(self._going(receipts, until_held)):
                # Read again: they may have ended since, which changes a receipt.
                before, receipts = receipts, await self._read(seqs)
                if receipts == before:
                    raise error
            return not self._going(receipts, until_held)

        await self.until(finished, timeout, seqs)
        return receipts

    async def _read(self, seqs: Sequence[int]) -> list[Receipt]:
        receipts = await self._records.receipts(seqs, limit=len(seqs))
        if len(receipts) < len(set(seqs)):
            known = {receipt.delivery for receipt in receipts}
            missing = [delivery_id(seq) for seq in seqs if delivery_id(seq) not in known]
            raise Refused(f"There is no delivery {', '.join(missing)}.")
        return receipts

    async def until(
        self, finished: Callable[[], Awaitable[bool]], timeout: float | None, seqs: Sequence[int] | None = None
    ) -> None:
        """Ask `finished` again after changes of `seqs` (None: of any delivery) and of accounts.

        Until it is true, `timeout` seconds of real time are over, or this process's engine closes.
        """
        deadline, many, pause = Deadline(timeout), seqs is None or len(seqs) > FEW, 0.0

        async def look() -> bool:
            nonlocal pause
            began = time.monotonic()
            found = await finished()
            pause = min(INTERVAL, SHARE * (time.monotonic() - began)) if many else 0.0
            return found

        # Watched before asking, so that a change in between is not missed.
        with self._notifier.watch_deliveries(seqs) as watch:
            while not await look() and not self._notifier.closed and not deadline.over:
                await watch.changed(deadline.left())
                if many:
                    left = deadline.left()
                    await asyncio.sleep(pause if left is None else min(pause, left))

    def _going(self, receipts: Sequence[Receipt], until_held: bool) -> list[Receipt]:
        """Return those of `receipts` that have not ended (nor are held for long, with `until_held`)."""
        soon = self._clock.now() + PACE

        def goes_on(receipt: Receipt) -> bool:
            held_long = receipt.state is State.HELD and not 0 < receipt.due_at <= soon
            return not receipt.state.final and not (until_held and held_long)

        return [receipt for receipt in receipts if goes_on(receipt)]

    def _why_all_stopped(self, going: Sequence[Receipt]) -> YizhanError | None:
        """Return why nothing becomes of any of these deliveries until an operator acts; None if one may go on."""
        errors = [self._why_stopped(receipt) for receipt in going]
        return errors[0] if errors and all(errors) else None

    def _why_stopped(self, receipt: Receipt) -> YizhanError | None:
        account = Target.parse(receipt.target).account
        if self._worker.under_way(account, delivery_seq(receipt.delivery)):
            return None
        return self._worker.error(account)


def raise_if_failed(receipts: Sequence[Receipt]) -> None:
    """Raise DeliveryFailed where one of `receipts` failed, expired, was cancelled or is unknown."""
    bad = [receipt for receipt in receipts if receipt.state.final and not receipt.ok]
    if not bad:
        return
    first = bad[0]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    raise DeliveryFailed(
        f"{first.delivery} to {first.target} is {first.state.value}: {first.detail or first.error}{more}", receipts
    )
