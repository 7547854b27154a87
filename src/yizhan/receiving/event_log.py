"""What came in: every event once, and what each conversation left for answers. Encrypted: they may hold tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Event, Target
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import contexts, counters, events
from yizhan.storage.vault import Vault


class Kept(NamedTuple):
    """An event that is new."""

    seq: int
    also: int
    """What the work in the same transaction returned; 0 without any."""


class Pruned(NamedTuple):
    """What pruning came to."""

    removed: int
    waits_for: tuple[str, ...]
    """Readers that have not read all of what is old enough to go, so that it stays."""


KEEP_DAYS = 30
"""How long an event is kept: whatever a platform may tell again must still be known."""
DAY = 86400.0
AT_ONCE = 500
"""Events dropped in one transaction, so that nobody waits long behind them."""

_decode = msgspec.json.Decoder(Event).decode


class EventTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def keep(self, event: Event, now: float, also: Callable[[Connection], int] | None = None) -> Kept | None:
        """Store `event` and the context it leaves; None if it is known already. `also`: in the same transaction."""
        body = self._vault.lock(msgspec.json.encode(event), "event")
        left = context_of(event)
        context = self._vault.lock(msgspec.json.encode(left), "context") if left else b""

        def insert(connection: Connection) -> Kept | None:
            same = (events.c.account == event.account) & (events.c.event_id == event.id)
            if connection.execute(sa.select(events.c.seq).where(same)).first() is not None:
                return None
            stored = connection.execute(
                events.insert().values(
                    account=event.account,
                    event_id=event.id,
                    kind=event.kind.value,
                    at=event.at,
                    body=body,
                    stored_at=now,
                )
            )
            key = stored.inserted_primary_key
            if event.target is not None and context:
                _leave(connection, event.target, event.at, context)
            return Kept(int(key[0]) if key is not None else 0, also(connection) if also is not None else 0)

        return await self._ledger.write(insert)

    async def contexts(self, account: str) -> dict[Target, Mapping[str, Any]]:
        """Return what every conversation of `account` left for answers."""
        query = sa.select(contexts).where(contexts.c.account == account)
        rows = await self._ledger.read(lambda c: c.execute(query).all())
        return {
            Target(row.account, row.kind, row.target): msgspec.json.decode(self._vault.unlock(row.body, "context"))
            for row in rows
        }

    async def recent(self, account: str | None = None, limit: int = 100) -> list[Event]:
        """Return the newest events, oldest of them first."""
        query = sa.select(events.c.body).order_by(events.c.seq.desc()).limit(limit)
        if account:
            query = query.where(events.c.account == account)
        rows = await self._ledger.read(lambda c: list(c.execute(query).scalars()))
        return [self._read(body) for body in reversed(rows)]

    async def latest(self) -> int:
        """Return the number of the newest event, 0 when there is none."""
        query = sa.select(sa.func.max(events.c.seq))
        return int(await self._ledger.read(lambda c: c.execute(query).scalar()) or 0)

    async def after(self, seq: int, limit: int = 256) -> list[tuple[int, Event]]:
        """Return the first events that came after number `seq`, with their numbers, oldest first."""
        query = sa.select(events.c.seq, events.c.body).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
        rows = await self._ledger.read(lambda c: c.execute(query).all())
        return [(row.seq, self._read(row.body)) for row in rows]

    async def place(self, reader: str) -> int | None:
        """Return the number of the last event that `reader` is done with; None when it never read."""
        query = sa.select(counters.c.value).where(counters.c.name == _place_name(reader))
        return await self._ledger.read(lambda c: c.execute(query).scalar())

    async def move(self, reader: str, seq: int) -> None:
        """Note that `reader` is done with everything up to number `seq`."""
        name = _place_name(reader)

        def move(connection: Connection) -> None:
            if not connection.execute(counters.update().where(counters.c.name == name).values(value=seq)).rowcount:
                connection.execute(counters.insert().values(name=name, value=seq))

        await self._ledger.write(move)

    async def forget(self, reader: str) -> bool:
        """Forget how far `reader` is, so that nothing is kept for it any more; False if it never read."""
        gone = counters.delete().where(counters.c.name == _place_name(reader))
        return bool(await self._ledger.write(lambda c: c.execute(gone).rowcount))

    async def prune(self, now: float, days: float = KEEP_DAYS) -> Pruned:
        """Drop the events that were stored more than `days` days ago and that every reader is done with.

        What conversations left for answers, and messages on their way to others, do not rest on events and stay.
        """
        before = now - days * DAY
        removed = 0
        while found := await self._ledger.write(lambda c: _drop_some(c, before)):
            removed += found
        return Pruned(removed, await self._ledger.read(lambda c: _behind(c, before)))

    def _read(self, body: bytes) -> Event:
        return _decode(self._vault.unlock(body, "event"))


def context_of(event: Event) -> dict[str, Any]:
    """Return what `event` leaves for answers in its conversation; nothing where it leaves nothing."""
    if event.target is None or not event.context:
        return {}
    return {"at": event.at, "event_id": event.id, **event.context}


_READER = "reader "


def _place_name(reader: str) -> str:
    return _READER + reader


def _places(connection: Connection) -> dict[str, int]:
    """Return how far every reader is."""
    named = sa.select(counters.c.name, counters.c.value).where(counters.c.name.startswith(_READER))
    return {row.name.removeprefix(_READER): row.value for row in connection.execute(named)}


def _oldest(connection: Connection, before: float) -> list[int]:
    """Return the numbers of the oldest events as far as they were stored before then; some of them, where many are."""
    query = sa.select(events.c.seq, events.c.stored_at).order_by(events.c.seq).limit(AT_ONCE)
    return [row.seq for row in takewhile(lambda row: row.stored_at < before, connection.execute(query))]


def _drop_some(connection: Connection, before: float) -> int:
    """Drop some of the events that were stored before then and that nobody has yet to read; returns how many."""
    # The newest stays in any case: SQLite would give its number to the next one, and readers would miss that.
    newest = int(connection.execute(sa.select(sa.func.max(events.c.seq))).scalar() or 0)
    until = min([newest - 1, *_places(connection).values()])
    gone = [seq for seq in _oldest(connection, before) if seq <= until]
    return connection.execute(events.delete().where(events.c.seq.in_(gone))).rowcount if gone else 0


def _behind(connection: Connection, before: float) -> tuple[str, ...]:
    """Return the readers for whom something that old is still kept."""
    old = _oldest(connection, before)
    return tuple(sorted(name for name, place in _places(connection).items() if old and place < old[-1]))


def _leave(connection: Connection, target: Target, at: float, body: bytes) -> None:
    """Keep the context of the newest event: platforms may push an older one later."""
    where = (contexts.c.account == target.account) & (contexts.c.kind == target.kind) & (contexts.c.target == target.id)
    if connection.execute(sa.select(contexts.c.at).where(where, contexts.c.at > at)).first() is not None:
        return
    connection.execute(contexts.delete().where(where))
    connection.execute(
        contexts.insert().values(account=target.account, kind=target.kind, target=target.id, at=at, body=body)
    )
