"""Everything that the runs of one account share: its adapter, its budget, and what earlier runs found out."""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from yizhan.accounts.registry import OpenAccount
from yizhan.accounts.status import AccountStatuses, Paused
from yizhan.errors import StorageError
from yizhan.media.uploads import HandleCache
from yizhan.model import Clock, State, Target
from yizhan.runtime.notifier import DeliveryChanged, Notifier
from yizhan.sending.decide import Policy
from yizhan.sending.delivery import Delivery, Progress, receipt_of
from yizhan.sending.fitting import MessageCache
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.pace import Paces
from yizhan.sending.quota import Budget, Reservation
from yizhan.sending.throttling import Throttles

T = TypeVar("T")

log = logging.getLogger(__name__)

STORE_PAUSE = 1.0
"""Seconds until a write is tried again that the store refused."""
REPEAT_SECONDS = 600.0
"""How long a wire is trusted to recognize a repeat when its rules do not say."""


@dataclass(slots=True)
class Sender:
    """The sending side of one open account."""

    account: OpenAccount
    outbox: Outbox
    handles: HandleCache
    budget: Budget
    clock: Clock
    messages: MessageCache
    notifier: Notifier
    statuses: AccountStatuses
    policy: Policy
    store_id: str
    paces: Paces = field(default_factory=Paces)
    chance: random.Random = field(default_factory=random.Random)
    throttles: Throttles = field(default_factory=Throttles)
    first_held: dict[Target, int] = field(default_factory=dict)
    """By target, the first delivery that is held until the other side writes. Later ones must not overtake it."""
    reservations: dict[int, Reservation] = field(default_factory=dict)
    """Room in the budget that half-sent deliveries keep for the rest of their parts, by number."""

    @property
    def repeat_seconds(self) -> float:
        return float(self.account.context.rules.get("send.repeat_seconds", REPEAT_SECONDS))

    def session(self) -> str:
        """Return a digest of account, address and login session: a key is recognized only within the same three."""
        return _digest(f"{self.account.identity}\n{self.account.adapter.session()}")

    def token(self, seq: int, part: int) -> int:
        """Return the key of one part: the same at every attempt and after a restart, different in every store."""
        digest = hashlib.blake2b(f"{self.store_id}:{seq}:{part}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 11

    def pause(self, why: str) -> None:
        """Begin nothing more on this account until it logs in."""
        self.statuses.set(self.account.name, Paused(why))

    def announce(self, delivery: Delivery, progress: Progress) -> None:
        """Announce that a delivery ended or waits."""
        receipt = receipt_of(delivery, progress)
        self.notifier.delivery_changed.send(DeliveryChanged(delivery.seq, delivery.target, progress.state, receipt))

    def announce_lost(self, delivery: Delivery) -> None:
        """Announce that a delivery ended by another hand, which the store knows."""
        self.forget(delivery)
        self.notifier.delivery_changed.send(DeliveryChanged(delivery.seq, delivery.target, State.UNKNOWN))

    def forget(self, delivery: Delivery) -> None:
        """Drop what is remembered about a delivery that ended."""
        self.throttles.forget(delivery.seq)
        self.release(delivery)

    def release(self, delivery: Delivery) -> None:
        """Give back the room that a delivery reserved and did not use."""
        if reservation := self.reservations.pop(delivery.seq, None):
            reservation.release()

    async def give_up(self, delivery: Delivery) -> None:
        """Settle a delivery as after a crash: an error of our own interrupted it."""
        self.forget(delivery)
        await self.stored(lambda: self.outbox.recover(seq=delivery.seq))
        self.announce_lost(delivery)

    async def stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, again and again while the store cannot: what happened at the platform must not be forgotten."""
        while True:
            try:
                return await write()
            except StorageError as error:
                log.warning("the store cannot be written; trying again", extra={"reason": str(error)})
                await self.clock.sleep(STORE_PAUSE)


@lru_cache(maxsize=64)
def _digest(words: str) -> str:
    return hashlib.blake2b(words.encode(), digest_size=12).hexdigest()
