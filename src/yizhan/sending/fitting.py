"""Stored messages for the lanes: read once for thousands of deliveries, and fitted once per kind of target."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from yizhan.model import Media, MediaSegment, Message, Target, load_message
from yizhan.platforms.adapter import Adapter
from yizhan.runtime.single_flight import SingleFlight
from yizhan.sending.outbox.receipts import Records

if TYPE_CHECKING:
    from yizhan.media.variants import Variants

MESSAGES_KEPT = 256

Fitted: TypeAlias = tuple[Message, tuple[str, ...]]
"""A message as its platform takes it, with the notes for the receipt."""
_Key: TypeAlias = tuple[int, str, str]
"""Message, account and kind of target: fitting depends on nothing else."""


class MessageCache:
    """The recently used messages, in memory."""

    def __init__(self, records: Records, prepare: Variants) -> None:
        self._records = records
        self._prepare = prepare
        self._kept: OrderedDict[int, Message] = OrderedDict()
        self._fitted: OrderedDict[_Key, Fitted] = OrderedDict()
        self._flights: SingleFlight[Fitted] = SingleFlight()

    def put(self, message_id: int, message: Message, fits: Mapping[tuple[str, str], Fitted] | None = None) -> None:
        """Keep a message that was just stored, so that it is not read back. `fits`: by account and kind of target."""
        self._kept[message_id] = message
        if len(self._kept) > MESSAGES_KEPT:
            self._kept.popitem(last=False)
        for (account, kind), fitted in (fits or {}).items():
            self._put_fitted((message_id, account, kind), fitted)

    def _put_fitted(self, key: _Key, fitted: Fitted) -> None:
        self._fitted[key] = fitted
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
            self.put(message_id, message)
        return message

    async def fitted(self, message_id: int, target: Target, adapter: Adapter) -> Fitted:
        """Return the message as the platform of `adapter` takes it, fitted for the first target of a kind alone.

        Raises:
            MediaFormat, MediaTooLarge: something in it cannot be made to fit.
        """
        message = await self.get(message_id)
        if not has_media(message):
            return message, ()
        key = message_id, target.account, target.kind
        found = self._fitted.get(key)
        if found is None:
            # Stored before the flight ends, so that a caller at that very moment finds the one or the other.
            found = await self._flights.do(key, lambda: self._fit_and_put(key, message, target, adapter))
        return found

    async def _fit_and_put(self, key: _Key, message: Message, target: Target, adapter: Adapter) -> Fitted:
        fitted = await self.fit(message, target, adapter)
        self._put_fitted(key, fitted)
        return fitted

    async def fit(self, message: Message, target: Target, adapter: Adapter) -> Fitted:
        """Return `message` with its media as the platform of `target` takes them, and notes for the receipt.

        The stored message stays as it was given, since several platforms may fit it differently.

        Raises:
            MediaFormat, MediaTooLarge: something in it cannot be made to fit.
        """
        return await self._prepare.fitted(message, lambda segment: adapter.media_rule(segment, target))


def has_media(message: Message) -> bool:
    """Return whether the message holds media, which may have to be fitted."""
    return any(isinstance(s, MediaSegment) and isinstance(s.media, Media) for s in message.segments)
