"""Makes the sender of an open account from the rooms that all accounts share."""

from __future__ import annotations

from dataclasses import dataclass

from yizhan.accounts.registry import OpenAccount
from yizhan.accounts.status import AccountStatuses
from yizhan.media.uploads import HandleCache
from yizhan.model import Clock
from yizhan.runtime.notifier import Notifier
from yizhan.sending.budgets import Budgets
from yizhan.sending.decide import Policy
from yizhan.sending.fitting import MessageCache
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.pace import Paces
from yizhan.sending.sender import Sender


@dataclass(slots=True)
class Senders:
    outbox: Outbox
    handles: HandleCache
    budgets: Budgets
    messages: MessageCache
    notifier: Notifier
    statuses: AccountStatuses
    clock: Clock
    policy: Policy
    store_id: str
    paces: Paces

    async def of(self, account: OpenAccount) -> Sender:
        """Return a sender for `account`, its budget read from the store."""
        return Sender(
            account,
            self.outbox,
            self.handles,
            await self.budgets.of(account),
            self.clock,
            self.messages,
            self.notifier,
            self.statuses,
            self.policy,
            self.store_id,
            self.paces,
        )
