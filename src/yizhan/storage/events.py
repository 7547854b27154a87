"""What came in: every event once, and what each conversation left for answers. Encrypted: they may hold tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Event, Target
from yizhan.storage.ledger import Ledger
from yizhan.storage.secrets import Vault
from yizhan.storage.tables import contexts, counters, events


class Kept(NamedTuple):
    """An event that is new."""

    seq: int
    also: int
    """What the work in the same transaction returned; 0 without any."""


_decode = msgspec.json.Decoder(Event).decode


class EventTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def keep(self, event: Event, also: Callable[[Connection], int] | None = None) -> Kept | None:
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
                    account=event.account, event_id=event.id, kind=event.kind.value, at=event.at, body=body
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

    def _read(self, body: bytes) -> Event:
        return _decode(self._vault.unlock(body, "event"))


def context_of(event: Event) -> dict[str, Any]:
    """Return what `event` leaves for answers in its conversation; nothing where it leaves nothing."""
    if event.target is None or not event.context:
        return {}
    return {"at": event.at, "event_id": event.id, **event.context}


def _place_name(reader: str) -> str:
    return f"reader {reader}"


def _leave(connection: Connection, target: Target, at: float, body: bytes) -> None:
    """Keep the context of the newest event: platforms may push an older one later."""
    where = (contexts.c.account == target.account) & (contexts.c.kind == target.kind) & (contexts.c.target == target.id)
    if connection.execute(sa.select(contexts.c.at).where(where, contexts.c.at > at)).first() is not None:
        return
    connection.execute(contexts.delete().where(where))
    connection.execute(
        contexts.insert().values(account=target.account, kind=target.kind, target=target.id, at=at, body=body)
    )
