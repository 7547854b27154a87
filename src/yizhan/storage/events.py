"""What came in: every event once, and what each conversation left for answers. Encrypted: they may hold tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from yizhan.model import Event, Target
from yizhan.storage.ledger import Ledger
from yizhan.storage.secrets import Vault
from yizhan.storage.tables import contexts, events

_decode = msgspec.json.Decoder(Event).decode


class EventTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def keep(self, event: Event) -> bool:
        """Store `event` and the context it leaves; False if it is known already."""
        body = self._vault.lock(msgspec.json.encode(event), "event")
        target = event.target
        left = {"at": event.at, "event_id": event.id, **event.context} if target is not None else {}
        context = self._vault.lock(msgspec.json.encode(left), "context") if left else b""

        def insert(connection: sa.engine.Connection) -> bool:
            same = (events.c.account == event.account) & (events.c.event_id == event.id)
            if connection.execute(sa.select(events.c.seq).where(same)).first() is not None:
                return False
            connection.execute(
                events.insert().values(
                    account=event.account, event_id=event.id, kind=event.kind.value, at=event.at, body=body
                )
            )
            if target is not None and event.context:
                where = (
                    (contexts.c.account == target.account)
                    & (contexts.c.kind == target.kind)
                    & (contexts.c.target == target.id)
                )
                connection.execute(contexts.delete().where(where))
                connection.execute(
                    contexts.insert().values(
                        account=target.account, kind=target.kind, target=target.id, at=event.at, body=context
                    )
                )
            return True

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
        return [_decode(self._vault.unlock(body, "event")) for body in reversed(rows)]
