"""Receiving: synccheck and webwxsync in a loop for as long as the account is open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, PlatformError, Rejected, WireMismatch
from yizhan.model import Event, EventKind
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.contacts import Contacts
from yizhan.platforms.webwechat.client.session import dump_session
from yizhan.platforms.webwechat.convert import Reader, parse, recalled_id, target_of
from yizhan.platforms.webwechat.wire.contacts import Contact
from yizhan.platforms.webwechat.wire.content import display_name
from yizhan.platforms.webwechat.wire.session import ModContact, SyncKeys, SyncResponse

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
MAX_REFUSED_SYNCS = 5
"""After so many refusals in a row the stored position is given up, and receiving starts at the present."""


class Position(Struct):
    """The stored position in the stream of one login."""

    scope: str
    key: SyncKeys


class Receiver:
    """Yields the events of one account and stores the position in its stream."""

    def __init__(self, webwx: WebWx, state_store: StateStore, contacts: Contacts) -> None:
        self._webwx = webwx
        self._state_store = state_store
        self._contacts = contacts
        self._logged_in = asyncio.Event()

    def login_changed(self) -> None:
        """Continue after a lost login."""
        self._logged_in.set()

    async def start_at(self, key: SyncKeys) -> None:
        """Receive from `key` on; called once per login."""
        await self._store_position(key)
        self._logged_in.set()

    def position(self) -> SyncKeys | None:
        """Return the stored position in the current login; None if there is none or it is another login's."""
        data = self._state_store.get("sync")
        try:
            stored = msgspec.json.decode(data, type=Position) if data else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        session = self._webwx.session
        return stored.key if stored is not None and session is not None and stored.scope == session.scope else None

    async def _store_position(self, key: SyncKeys) -> None:
        await self._state_store.put("sync", msgspec.json.encode(Position(self._webwx.ready.scope, key)))

    async def events(self) -> AsyncIterator[Event]:
        """Yield events. Those not consumed before a stop are yielded again after it."""
        pause, refused = FIRST_PAUSE, 0
        while True:
            session = self._webwx.session
            if session is None:
                await self._wait_for_login()
                continue
            try:
                async for event in self._sync_once(await self._current_position()):
                    yield event
                pause, refused = FIRST_PAUSE, 0
            except LoginNeeded as error:
                if self._webwx.session is session:
                    self._logged_in.clear()
                    yield self._login_lost(error)
                    await self._logged_in.wait()
            except PlatformError as error:
                refused += isinstance(error, (Rejected, WireMismatch))
                if refused >= MAX_REFUSED_SYNCS:
                    await self._give_up_position(error)
                    refused = 0
                await self._webwx.clock.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    async def _wait_for_login(self) -> None:
        self._logged_in.clear()
        await self._logged_in.wait()

    async def _give_up_position(self, error: PlatformError) -> None:
        log.warning(
            "stored sync position given up",
            extra={"account": self._webwx.account, "error": str(error), "refusals": MAX_REFUSED_SYNCS},
        )
        await self._state_store.put("sync", None)

    async def _current_position(self) -> SyncKeys:
        """Return the stored position; without one, as after a crash during a login, start at the present."""
        if self.position() is None:
            await self.start_at((await self._webwx.webwxinit()).SyncKey)
        return self.position() or SyncKeys()

    async def _sync_once(self, key: SyncKeys) -> AsyncIterator[Event]:
        scope = self._webwx.ready.scope
        if not self._contacts.book.complete:
            # Before the first sync, so that a new contact can be told from one not read yet.
            await self._contacts.refresh()
        began = self._webwx.clock.now()
        if await self._webwx.synccheck(key) == "0":
            await self._webwx.pause_if_unheld(began)
            return
        synced = await self._webwx.webwxsync(key)
        for event in await self._events_of(synced):
            yield event
        session = self._webwx.session
        if session is not None and session.scope == scope:
            if self._webwx.unsaved:
                self._webwx.unsaved = False
                await self._state_store.put("session", dump_session(session))
            await self._advance(key, synced)

    async def _advance(self, key: SyncKeys, synced: SyncResponse) -> None:
        """Store the next position, after all events were consumed: a crash before that yields them again."""
        next_key = synced.SyncKey if synced.SyncKey.List else synced.SyncCheckKey
        if next_key.List and next_key.List != key.List:
            await self._store_position(next_key)
        elif not synced.AddMsgList:
            await self._webwx.clock.sleep(FIRST_PAUSE)

    async def _events_of(self, synced: SyncResponse) -> list[Event]:
        session, book = self._webwx.ready, self._contacts.book
        reader = Reader(self._webwx.account, session.me, session.scope, book)
        events = self._contact_events(synced, reader)
        speakers = {name for message in synced.AddMsgList for name in (message.FromUserName, message.ToUserName)}
        await self._contacts.read_strangers(speakers - {session.me, ""})
        for message in synced.AddMsgList:
            event = parse(message, reader)
            if event is not None and event.kind is EventKind.RECALL:
                event = msgspec.structs.replace(event, about=recalled_id(message))
            if event is not None:
                events.append(event)
        return events

    def _contact_events(self, synced: SyncResponse, reader: Reader) -> list[Event]:
        book = reader.book
        events = [event for contact in synced.ModContactList for event in self._member_events(contact, reader)]
        events += [self._contact_event(contact, reader, added=True) for contact in book.add(synced.ModContactList)]
        for deleted in synced.DelContactList:
            if book.knows(deleted.UserName):
                events.append(self._contact_event(ModContact(UserName=deleted.UserName), reader, added=False))
                book.remove(deleted.UserName)
        return events

    def _member_events(self, room: ModContact, reader: Reader) -> Iterator[Event]:
        """Yield who came into a changed room and who left it; nothing while its members are not known."""
        before = reader.book.members_of(room.UserName)
        after = {member.UserName: display_name(member.DisplayName or member.NickName) for member in room.MemberList}
        if not before or not after:
            return
        for user in [*sorted(after.keys() - before.keys()), *sorted(before.keys() - after.keys())]:
            joined = user in after
            kind, name = (
                EventKind.MEMBER_JOINED if joined else EventKind.MEMBER_LEFT,
                (after if joined else before)[user],
            )
            person, at = reader.book.id_of(user), self._webwx.clock.now()
            yield Event(
                id=f"{kind}:{room.UserName}:{user}:{at:.0f}",
                kind=kind,
                account=reader.account,
                at=at,
                target=target_of(room.UserName, reader),
                sender=person,
                sender_name=name,
                person=person,
                person_name=name,
            )

    def _contact_event(self, contact: Contact | ModContact, reader: Reader, *, added: bool) -> Event:
        name, at = contact.UserName, self._webwx.clock.now()
        if name.startswith("@@"):
            kind = EventKind.GROUP_ADDED if added else EventKind.GROUP_REMOVED
        else:
            kind = EventKind.FRIEND_ADDED if added else EventKind.FRIEND_REMOVED
        return Event(
            id=f"{kind}:{name}:{at:.0f}",
            kind=kind,
            account=reader.account,
            at=at,
            target=target_of(name, reader),
            sender=reader.book.id_of(name),
            sender_name=reader.book.name_of(name),
        )

    def _login_lost(self, error: LoginNeeded) -> Event:
        at = self._webwx.clock.now()
        scope = self._webwx.session.scope if self._webwx.session is not None else "none"
        return Event(
            id=f"login_lost:{scope}:{at:.0f}",
            kind=EventKind.LOGIN_LOST,
            account=self._webwx.account,
            at=at,
            raw={"reason": str(error)},
        )
