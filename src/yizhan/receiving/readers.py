"""Readers of the event log: each follows it from its own place, whichever process stored the events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection

from yizhan.errors import Refused
from yizhan.model import Event
from yizhan.receiving.event_log import EventTable
from yizhan.receiving.listener import Listeners
from yizhan.runtime.notifier import Notifier

LOOK_SECONDS = 0.5
"""Seconds after which a reader looks for events of another process."""
LONGEST_NAME = 30


class EventReaders:
    """Yields stored events to readers."""

    def __init__(self, table: EventTable, listeners: Listeners, notifier: Notifier) -> None:
        self._table = table
        self._listeners = listeners
        self._notifier = notifier

    async def read(
        self, accounts: Collection[str] | None, since: int, reader: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Listen to `accounts` (None: to all) and yield their events behind number `since`.

        `reader`: begin behind the last event that the reader of that name finished, where it has read before.
        """
        with self._notifier.event_stored.watch() as watch:
            seen = await self._begin(since, reader)
            await self._listeners.listen_to(accounts)
            while True:
                found = await self._table.after(seen)
                for seq, event in found:
                    seen = seq
                    if accounts is None or event.account in accounts:
                        yield event
                        # The caller asked for the next event, so it is done with this one.
                        if reader is not None:
                            await self._table.move(reader, seq)
                if reader is not None and found and accounts is not None and found[-1][1].account not in accounts:
                    # Past events of other accounts, too, or they would be kept for this reader.
                    await self._table.move(reader, seen)
                if not found:
                    await watch.changed(LOOK_SECONDS)

    async def _begin(self, since: int, reader: str | None) -> int:
        if reader is None:
            return since
        place = await self._table.place(reader)
        if place is None:
            place = since
            await self._table.move(reader, since)
        return place


def checked_reader(name: str | None) -> str | None:
    """Return a reader's name.

    Raises:
        Refused: it is empty or too long.
    """
    if name is not None and not 0 < len(name) <= LONGEST_NAME:
        raise Refused(
            f"A reader's name has 1 to {LONGEST_NAME} characters, '{name}' has {len(name)}. Choose a shorter one."
        )
    return name
