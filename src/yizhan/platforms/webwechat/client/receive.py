"""What comes in, for as long as the account is open: synccheck, webwxsync, and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from yizhan.errors import LoginNeeded, PlatformError
from yizhan.model import Event, EventKind
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.saved import dump_saved
from yizhan.platforms.webwechat.convert import Reader, parse, recalled_id, target_of
from yizhan.platforms.webwechat.convert.book import Book
from yizhan.platforms.webwechat.wire.session import Changed, Keys, Synced

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Most contacts that one call may ask for."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Receiver:
    """The position in the stream, kept over restarts, and the loop that moves it."""

    def __init__(
        self, wx: WebWx, state_store: StateStore, book: Callable[[], Book], fill: Callable[[], Awaitable[None]]
    ) -> None:
        self._wx = wx
        self._keeper = state_store
        self._book = book
        self._fill = fill
        self._met: set[str] = set()
        self.logged_in = asyncio.Event()

    async def start_at(self, key: Keys) -> None:
        """Receive what happens after `key`; called once for every new login."""
        await self._keeper.put("sync", msgspec.json.encode(key))
        self.logged_in.set()

    def position(self) -> Keys | None:
        data = self._keeper.get("sync")
        try:
            return msgspec.json.decode(data, type=Keys) if data else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens; what was not taken before a stop comes again after it."""
        pause = FIRST_PAUSE
        while True:
            saved = self._wx.saved
            if saved is None:
                self.logged_in.clear()
                await self.logged_in.wait()
                continue
            try:
                async for event in self._one_round(await self._where()):
                    yield event
                pause = FIRST_PAUSE
            except LoginNeeded as error:
                if self._wx.saved is saved:
                    self.logged_in.clear()
                    yield self._lost(error)
                    await self.logged_in.wait()
            except PlatformError:
                await self._wx.clock.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    async def _where(self) -> Keys:
        """Return the position; if there is none, as after a stop in the middle of a login, begin with what is new."""
        if self.position() is None:
            await self.start_at((await self._wx.webwxinit()).SyncKey)
        return self.position() or Keys()

    async def _one_round(self, key: Keys) -> AsyncIterator[Event]:
        scope = self._wx.ready.scope
        if not self._book().complete:
            # Before anything is synced: who is new can be told from who is only not known yet.
            await self._fill()
        began = self._wx.clock.now()
        if await self._wx.synccheck(key) == "0":
            await self._wx.rest(began)
            return
        synced = await self._wx.webwxsync(key)
        for event in await self._understood(synced):
            yield event
        if self._wx.saved is not None and self._wx.saved.scope == scope:
            if self._wx.unkept:
                self._wx.unkept = False
                await self._keeper.put("session", dump_saved(self._wx.saved))
            next_key = synced.SyncKey if synced.SyncKey.List else synced.SyncCheckKey
            if next_key.List and next_key.List != key.List:
                # Only after the events were taken: what is lost between comes again.
                await self._keeper.put("sync", msgspec.json.encode(next_key))
            elif not synced.AddMsgList:
                await self._wx.clock.sleep(FIRST_PAUSE)

    async def _understood(self, synced: Synced) -> list[Event]:
        saved, book = self._wx.ready, self._book()
        reader = Reader(self._wx.account, saved.me, saved.scope, book)
        events = self._contacts(synced, reader)
        await self._meet_strangers(synced, book)
        for added in synced.AddMsgList:
            event = parse(added, reader)
            if event is not None and event.kind is EventKind.RECALL:
                event = msgspec.structs.replace(event, about=recalled_id(added))
            if event is not None:
                events.append(event)
        return events

    async def _meet_strangers(self, synced: Synced, book: Book) -> None:
        """Learn who is speaking and where, if the address book does not say. Everybody is asked about once."""
        names = {name for added in synced.AddMsgList for name in (added.FromUserName, added.ToUserName)}
        unknown = [name for name in names - self._met - {self._wx.ready.me, ""} if book.lacks(name)]
        self._met.update(unknown)
        for start in range(0, len(unknown), AT_ONCE):
            try:
                book.add(await self._wx.webwxbatchgetcontact(unknown[start : start + AT_ONCE]))
            except LoginNeeded:
                raise
            except PlatformError as error:
                # What was said counts for more than how its speaker is called.
                log.warning("contacts not read", extra={"account": self._wx.account, "error": str(error)})

    def _contacts(self, synced: Synced, reader: Reader) -> list[Event]:
        book, at = reader.book, self._wx.clock.now()
        events = [self._contact_event(c, reader, at, is_new=True) for c in book.add(synced.ModContactList)]
        for deleted in synced.DelContactList:
            if book.knows(deleted.UserName):
                gone = Changed(UserName=deleted.UserName)
                events.append(self._contact_event(gone, reader, at, is_new=False))
                book.remove(deleted.UserName)
        return events

    def _contact_event(self, contact: object, reader: Reader, at: float, *, is_new: bool) -> Event:
        name: str = contact.UserName  # type: ignore[attr-defined]
        if name.startswith("@@"):
            kind = EventKind.GROUP_ADDED if is_new else EventKind.GROUP_REMOVED
        else:
            kind = EventKind.FRIEND_ADDED if is_new else EventKind.FRIEND_REMOVED
        return Event(
            id=f"{kind}:{name}:{at:.0f}",
            kind=kind,
            account=reader.account,
            at=at,
            target=target_of(name, reader),
            sender=reader.book.id_of(name),
            sender_name=reader.book.name_of(name),
        )

    def _lost(self, error: LoginNeeded) -> Event:
        at = self._wx.clock.now()
        scope = self._wx.saved.scope if self._wx.saved is not None else "none"
        return Event(
            id=f"login_lost:{scope}:{at:.0f}",
            kind=EventKind.LOGIN_LOST,
            account=self._wx.account,
            at=at,
            raw={"reason": str(error)},
        )
