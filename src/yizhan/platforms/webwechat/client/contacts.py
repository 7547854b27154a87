"""The address book of the current login: read when it is needed, and again for unknown names."""

from __future__ import annotations

import logging
from collections.abc import Collection

from yizhan.errors import LoginNeeded, PlatformError, Unavailable
from yizhan.model import Target
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.runtime.single_flight import SingleFlight

log = logging.getLogger(__name__)

MAX_FRUITLESS_REFRESHES = 3
"""An unknown name makes the address book be read again; after so many in a row that found nothing, only every
`REFRESH_SECONDS`."""
REFRESH_SECONDS = 30.0
BATCH_SIZE = 50
"""Contacts that one webwxbatchgetcontact may ask for."""


class Contacts:
    """Resolves targets to UserNames of the current login."""

    def __init__(self, webwx: WebWx) -> None:
        self.book = AddressBook()
        self._webwx = webwx
        self._refreshed_at = float("-inf")
        self._fruitless_refreshes = 0
        self._single_flight: SingleFlight[None] = SingleFlight()
        self._asked: set[str] = set()

    def forget(self) -> None:
        """Drop all contacts: a new login has other UserNames."""
        self.book = AddressBook()
        self._refreshed_at = float("-inf")
        self._asked.clear()

    async def user_name(self, target: Target) -> str:
        """Return the UserName of `target`.

        Raises:
            UnknownTarget: several contacts have that name.
            TargetGone: no contact has that name.
            Unavailable: a new login began meanwhile, so the name must be looked up again.
        """
        book = self.book
        found = book.find(target.kind, target.id)
        if found is None and self._may_refresh():
            await self.refresh()
            if self.book is not book:
                raise Unavailable(f"{self._webwx.account}: a new login began before {target} was found; try again.")
            found = book.find(target.kind, target.id)
            self._fruitless_refreshes = 0 if found is not None else self._fruitless_refreshes + 1
        if found is None:
            raise book.not_found(self._webwx.account, target.kind, target.id)
        return found

    def _may_refresh(self) -> bool:
        since = self._webwx.clock.now() - self._refreshed_at
        return self._fruitless_refreshes < MAX_FRUITLESS_REFRESHES or since > REFRESH_SECONDS

    async def refresh(self) -> None:
        """Read the whole address book; concurrent callers share one read."""
        await self._single_flight.do(self._webwx.ready.sid, self._read)

    async def _read(self) -> None:
        book = self.book
        if not book.complete:
            # Rooms that are not saved to the address book appear in webwxinit only.
            book.add((await self._webwx.webwxinit()).ContactList)
        book.add(await self._webwx.webwxgetcontact())
        book.complete = True
        self._refreshed_at = self._webwx.clock.now()

    async def read_members(self, room: str) -> None:
        """Read the members of a room, unless they are known."""
        if self.book.lacks(room):
            self.book.add(await self._webwx.webwxbatchgetcontact([room]))

    async def read_strangers(self, user_names: Collection[str]) -> None:
        """Read the contacts that the address book lacks; each is asked for once."""
        unknown = [name for name in user_names if name not in self._asked and self.book.lacks(name)]
        self._asked.update(unknown)
        for start in range(0, len(unknown), BATCH_SIZE):
            try:
                self.book.add(await self._webwx.webwxbatchgetcontact(unknown[start : start + BATCH_SIZE]))
            except LoginNeeded:
                raise
            except PlatformError as error:
                # A message without its sender's name is better than no message.
                log.warning("contacts not read", extra={"account": self._webwx.account, "error": str(error)})
