"""The budget of every account in use, with the counts of earlier sends read back from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from yizhan.accounts.registry import OpenAccount
from yizhan.model import Clock, Message, Target, Text
from yizhan.platforms.adapter import Adapter
from yizhan.platforms.spec import platform_named
from yizhan.runtime.notifier import Notifier
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.quota import DAY, Budget


class Budgets:
    """One budget for each open account; an account that is opened anew gets a new one."""

    def __init__(self, outbox: Outbox, clock: Clock, notifier: Notifier) -> None:
        self._outbox = outbox
        self._clock = clock
        self._budgets: dict[str, tuple[OpenAccount, Budget]] = {}
        self._reading = asyncio.Lock()
        notifier.revision_bumped.subscribe(lambda _revision: self.reset_slots())

    async def of(self, account: OpenAccount) -> Budget:
        """Return the budget of `account`, with its stored sends counted."""
        async with self._reading:
            known = self._budgets.get(account.name)
            if known is not None and known[0] is account:
                return known[1]
            kinds = platform_named(account.name.partition(".")[0]).capabilities
            budget = Budget(_horizon(account.adapter, account.name, kinds))
            budget.restore(await self._outbox.sends_since(account.name, self._clock.now() - budget.horizon))
            self._budgets[account.name] = account, budget
            return budget

    def reset_slots(self) -> None:
        """Let waiting deliveries line up anew: some of those that waited are gone."""
        for _, budget in self._budgets.values():
            budget.reset_slots()

    def forget(self, account: str) -> None:
        """Drop the budget of an account that was closed."""
        self._budgets.pop(account, None)


def _horizon(adapter: Adapter, account: str, kinds: Iterable[str]) -> float:
    """Return the length of the longest window that any send through `adapter` may count against."""
    targets = [Target(account, kind, "anyone") for kind in kinds]
    limits = [limit for target in targets for limit in adapter.limits(Message((Text("anything"),)), target)]
    return max([DAY, *(limit.per_seconds or 0.0 for limit in limits)])
