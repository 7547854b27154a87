"""Stored messages as the lanes need them: read once for thousands of deliveries, and fitted once per kind of target."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from yizhan.delivery.records import Records
from yizhan.model import Media, MediaSegment, Message, Target, load_message
from yizhan.net.single import SingleFlight
from yizhan.platforms.base import Adapter

MESSAGES_KEPT = 256

Fitted: TypeAlias = tuple[Message, tuple[str, ...]]
"""A message as its platform takes it, and what the receipt must say about that."""
Fit: TypeAlias = Callable[[Adapter, Message, Target], Awaitable[Fitted]]
_Key: TypeAlias = tuple[int, str, str]
"""Message, account and kind of target: what a platform takes depends on nothing else."""


class Messages:
    """The recent ones in memory. `fit`: makes the media of a message into what a platform takes."""

    def __init__(self, records: Records, fit: Fit | None = None) -> None:
        self._records = records
        self._fit = fit
        self._kept: OrderedDict[int, Message] = OrderedDict()
        self._fitted: OrderedDict[_Key, Fitted] = OrderedDict()
        self._flights: SingleFlight[Fitted] = SingleFlight()

    def know(self, message_id: int, message: Message) -> None:
        """Keep what was just stored, so that it is not read back."""
        self._kept[message_id] = message
        if len(self._kept) > MESSAGES_KEPT:
            self._kept.popitem(last=False)

    def know_fitted(self, message_id: int, target: Target, fitted: Fitted) -> None:
        """Keep what was fitted for `target`; good for every target of its kind and account."""
        self._fitted[message_id, target.account, target.kind] = fitted
        if len(self._fitted) > MESSAGES_KEPT:
            self._fitted.popitem(last=False)

    def forget(self, account: str) -> None:
        """Fit anew for `account`: its rules may have changed."""
        for key in [key for key in self._fitted if key[1] == account]:
            del self._fitted[key]

    async def get(self, message_id: int) -> Message:
        message = self._kept.get(message_id)
        if message is None:
            message = load_message(await self._records.message(message_id))
            self.know(message_id, message)
        return message

    async def fitted(self, message_id: int, target: Target, adapter: Adapter) -> Fitted:
        """Return the message as the platform of `adapter` takes it; a look-up for all targets but the first of a kind.

        Raises:
            MediaFormat, MediaTooLarge: something in it cannot be made to fit.
        """
        message = await self.get(message_id)
        if self._fit is None or not has_media(message):
            return message, ()
        key = message_id, target.account, target.kind
        found = self._fitted.get(key)
        if found is None:
            fit = self._fit
            found = await self._flights.do(key, lambda: fit(adapter, message, target))
            self.know_fitted(message_id, target, found)
        return found


def has_media(message: Message) -> bool:
    """Whether there is something in it that may have to be fitted."""
    return any(isinstance(s, MediaSegment) and isinstance(s.media, Media) for s in message.segments)
