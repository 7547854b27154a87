"""Recalls the messages of a broadcast: account by account, the oldest first, as long as the platform allows it."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from yizhan.accounts.registry import Accounts
from yizhan.broadcasts.states import BroadcastState
from yizhan.broadcasts.table import BroadcastTable
from yizhan.errors import LoginNeeded, PlatformError, Refused, Throttled, Unavailable, Unsupported, YizhanError
from yizhan.model import Clock, Target
from yizhan.runtime.notifier import Notifier
from yizhan.sending.operations import Operations

log = logging.getLogger(__name__)

PORTION = 500
AT_ONCE = 4
"""Recalls of one account at once."""
TOO_LATE = "too_late"
UNSUPPORTED = "unsupported"
CANCEL_AT_ONCE = 500
RETRY_SECONDS = 5.0


class Recaller:
    """Takes back what a broadcast sent. What cannot be taken back keeps the reason."""

    def __init__(
        self, table: BroadcastTable, operations: Operations, accounts: Accounts, notifier: Notifier, clock: Clock
    ) -> None:
        self._notifier = notifier
        self._table = table
        self._operations = operations
        self._accounts = accounts
        self._clock = clock

    async def cancel_open(self, id: int) -> None:
        """Cancel the deliveries that have sent nothing yet, in portions."""
        after = 0
        while seqs := await self._table.open_deliveries(id, after, CANCEL_AT_ONCE):
            await self._operations.cancel(seqs)
            after = seqs[-1]

    async def recall(self, id: int) -> None:
        """Cancel what is open and recall what is sent, until nothing of it is left; then the broadcast is recalled.

        An end in between loses nothing: each recall is recorded by itself, and the rest is taken up again.
        """
        with self._notifier.watch_deliveries() as watch:
            while True:
                await self.cancel_open(id)
                rows, is_open = await self._table.to_recall(id, PORTION)
                if rows:
                    if not await self._recall_some(id, rows):
                        await self._clock.sleep(RETRY_SECONDS)
                elif is_open:
                    # What is on the wire, and the rest of half-sent messages, ends first.
                    await watch.changed(RETRY_SECONDS)
                else:
                    break
        row = await self._table.get(id)
        if row.state is BroadcastState.RECALLING:
            await self._table.ledger.write(
                lambda connection: self._table.set_on(connection, row, BroadcastState.RECALLED)
            )

    async def _recall_some(self, id: int, rows: list[tuple[int, int, Target, float]]) -> bool:
        """Recall deliveries account by account; False if none could be tried, because of a login or the network."""
        by_account: dict[str, list[tuple[int, int, Target, float]]] = defaultdict(list)
        for row in rows:
            by_account[row[2].account].append(row)
        return any(await asyncio.gather(*(self._recall_of(id, account, some) for account, some in by_account.items())))

    async def _recall_of(self, id: int, account: str, rows: list[tuple[int, int, Target, float]]) -> bool:
        """Recall deliveries of one account; whether at least one of them is settled."""
        limit, settled = asyncio.Semaphore(AT_ONCE), False
        seconds = await recall_seconds(self._accounts, account)

        async def one(seq: int, ord: int, at: float) -> None:
            nonlocal settled
            async with limit:
                why = await self._recall_one(seq, seconds is not None and self._clock.now() - at > seconds)
                if why is None:
                    return
                settled = True
                if why:
                    await self._table.record_recall_failed(id, ord, why)

        await asyncio.gather(*(one(seq, ord, at) for seq, ord, _, at in rows))
        return settled

    async def _recall_one(self, seq: int, late: bool) -> str | None:
        """Recall one delivery: empty when it is done, a reason when it never will be, None to try again."""
        if late:
            return TOO_LATE
        try:
            await self._operations.recall(seq)
        except Unsupported:
            return UNSUPPORTED
        except (Unavailable, Throttled, LoginNeeded):
            return None
        except (Refused, PlatformError) as error:
            return str(error)
        return ""


async def recall_seconds(accounts: Accounts, account: str) -> float | None:
    """Return for how long the account's platform takes a message back; None if its rules do not say."""
    try:
        rules = (await accounts.use(account)).context.rules
    except YizhanError:
        return None
    seconds = rules.get("recall.seconds")
    return None if seconds is None else float(seconds)
