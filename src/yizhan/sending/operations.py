"""Changes to stored deliveries that an operator asks for: cancel, recall, settle an unknown one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from msgspec.structs import replace

from yizhan.accounts.registry import Accounts
from yizhan.errors import Refused, YizhanError
from yizhan.model import Clock, PlatformId, Receipt, State, Target, load_message
from yizhan.runtime.notifier import DeliveryChanged, Notifier
from yizhan.sending.accept import Acceptance
from yizhan.sending.budgets import Budgets
from yizhan.sending.delivery import Delivery, delivery_id
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.outbox.retry import ENDED
from yizhan.sending.worker import Worker

Outcome = Literal["arrived", "lost", "again"]
"""The outcome of an unknown delivery, by an operator's word."""


RETRIES_AT_ONCE = 500
"""Deliveries of one commit."""


def checked_outcome(outcome: str) -> Outcome:
    """Return `outcome` if it is one.

    Raises:
        Refused: it is not.
    """
    for known in get_args(Outcome):
        if outcome == known:
            return known  # type: ignore[no-any-return]
    raise Refused(f'{outcome!r} is not an outcome. Expected as_="arrived", "lost" or "again".')


class Operations:
    """Carries the changes out, and tells the lanes and all callers that wait."""

    def __init__(
        self,
        accounts: Accounts,
        acceptance: Acceptance,
        outbox: Outbox,
        records: Records,
        worker: Worker,
        budgets: Budgets,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._acceptance = acceptance
        self._outbox = outbox
        self._records = records
        self._worker = worker
        self._budgets = budgets
        self._notifier = notifier
        self._clock = clock

    async def cancel(self, seqs: Sequence[int]) -> int:
        """Cancel those of the deliveries that have not begun; return how many."""
        cancelled = await self._outbox.cancel(seqs)
        self._budgets.reset_slots()
        self._worker.forget(cancelled)
        for seq, target in cancelled:
            self._notifier.delivery_changed.send(DeliveryChanged(seq, target, State.CANCELLED))
        return len(cancelled)

    async def recall(self, seq: int) -> Receipt:
        """Withdraw every part of a sent delivery and return its receipt.

        Raises:
            Refused: it is not sent, or the platform gave no id for a part; nothing was withdrawn.
            Rejected: the platform refuses, because its time for that is over, say. The text names the parts that are
                withdrawn and those that are not; another call tries only the latter.
        """
        receipt = await self._records.receipt(seq)
        if receipt.state is not State.SENT:
            raise Refused(f"{receipt.delivery} is {receipt.state.value}; only a sent message can be recalled.")
        if unknown := [number for number, part in enumerate(receipt.platform_ids, 1) if not part.id]:
            which = _numbered(unknown, receipt)
            raise Refused(f"{receipt.delivery} cannot be recalled: the platform's id of {which} is not known.")
        target, ids = Target.parse(receipt.target), list(receipt.platform_ids)
        adapter = (await self._accounts.use(target.account)).adapter
        for index, part in enumerate(ids):
            if part.recalled:
                continue
            try:
                await adapter.recall(part, target, receipt)
            except YizhanError as error:
                # The class stays, since it says what to do; the text says how far the recall came.
                error.args = (_half_recalled(receipt, ids, error),)
                raise
            ids[index] = replace(part, recalled=True)
            await self._outbox.record_recall(seq, ids)
        return await self._records.receipt(seq)

    async def settle(self, seq: int, outcome: Outcome) -> Receipt:
        """Settle the part in doubt of an unknown delivery: it arrived, it was lost, or it is to be sent again.

        Parts that were sent before it stay sent. Once it is known to have arrived, the parts behind it follow.

        Raises:
            Refused: the delivery is not unknown.
        """
        state, ids = State.QUEUED if outcome == "again" else State.FAILED, None
        if outcome == "arrived":
            state, ids = await self._arrived(seq)
        if not await self._outbox.settle_unknown(seq, state, "settled by hand", ids):
            raise Refused(f"{delivery_id(seq)} is not unknown; there is nothing to settle.")
        receipt = await self._records.receipt(seq)
        await self._worker.wake(Target.parse(receipt.target).account)
        return receipt

    async def retry(self, seqs: Sequence[int], states: Sequence[State] = ()) -> list[Receipt]:
        """Send again what ended without success: a new delivery for each, with the parts that are missing.

        A delivery that was retried already is not retried again; the receipt is that of its retry. `states`: also every
        delivery in one of them that has no retry.

        Raises:
            Refused: one of `seqs` is not there, has not ended, or was sent; or `states` names one that is not retried.
        """
        if wrong := [state for state in states if state not in ENDED]:
            hint = " Name the deliveries: they may have arrived." if State.UNKNOWN in wrong else ""
            raise Refused(f"Deliveries that are {wrong[0]} are not retried by their state.{hint}")
        new = list((await self._retry(seqs)).values()) if seqs else []
        after = 0
        while states and (some := await self._outbox.in_states(states, after, RETRIES_AT_ONCE)):
            new += (await self._retry(some)).values()
            after = some[-1]
        return await self._records.receipts(new, limit=len(new))

    async def _retry(self, seqs: Sequence[int]) -> Mapping[int, int]:
        retried = await self._outbox.retry(seqs)
        receipts = await self._records.receipts(list(retried.seqs.values()), limit=len(retried.seqs))
        by_account: dict[str, list[Delivery]] = {Target.parse(receipt.target).account: [] for receipt in receipts}
        for delivery in retried.deliveries:
            by_account[delivery.target.account].append(delivery)
        for account, deliveries in by_account.items():
            await self._worker.offer(account, deliveries)
            await self._worker.wake(account)
        return {seq: retried.seqs[seq] for seq in dict.fromkeys(seqs)}

    async def _arrived(self, seq: int) -> tuple[State, Sequence[PlatformId]]:
        """Return state and ids of a delivery once the part in doubt is known to have arrived."""
        receipt = await self._records.receipt(seq)
        message = load_message(await self._records.message_of(seq))
        parts = await self._acceptance.compose(message, Target.parse(receipt.target))
        ids = (*receipt.platform_ids, PlatformId("", self._clock.now(), {"arrived": True}))
        return (State.SENT if len(ids) >= len(parts) else State.QUEUED), ids


def _half_recalled(receipt: Receipt, ids: Sequence[PlatformId], error: YizhanError) -> str:
    """Return the words of `error` with the parts that are withdrawn and those that are not."""
    gone = [number for number, part in enumerate(ids, 1) if part.recalled]
    left = [number for number, part in enumerate(ids, 1) if not part.recalled]
    if not gone:
        return str(error)
    return (
        f"{receipt.delivery}: {_numbered(gone, receipt)} is withdrawn, {_numbered(left, receipt)} is not: {error} "
        "Recall it again for the rest."
    )


def _numbered(numbers: Sequence[int], receipt: Receipt) -> str:
    """Return `part 2 of 3`, or `part 1, 2 of 3`."""
    return f"part {', '.join(map(str, numbers))} of {len(receipt.platform_ids)}"
