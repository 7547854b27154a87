"""Changes to stored deliveries that an operator asks for: cancel, recall, settle an unknown one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from yizhan.accounts.registry import Accounts
from yizhan.errors import Refused, YizhanError
from yizhan.model import Clock, PlatformId, Receipt, State, Target, load_message
from yizhan.runtime.notifier import DeliveryChanged, Notifier
from yizhan.sending.accept import Acceptance
from yizhan.sending.budgets import Budgets
from yizhan.sending.delivery import delivery_id
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.worker import Worker


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

    async def settle_unknown(self, seq: int, *, arrived: bool | None) -> Receipt:
        """Settle the part in doubt of an unknown delivery: it arrived, it did not, or (None) it is to be sent again.

        Parts that were sent before it stay sent. Once it is known to have arrived, the parts behind it follow.

        Raises:
            Refused: the delivery is not unknown.
        """
        state, ids = State.QUEUED if arrived is None else State.FAILED, None
        if arrived:
            state, ids = await self._arrived(seq)
        if not await self._outbox.settle_unknown(seq, state, "settled by hand", ids):
            raise Refused(f"{delivery_id(seq)} is not unknown; there is nothing to settle.")
        receipt = await self._records.receipt(seq)
        await self._worker.wake(Target.parse(receipt.target).account)
        return receipt

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
