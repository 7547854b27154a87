"""Queries over stored deliveries for their readers: receipts, counts, attempts, messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Receipt, State, Target
from yizhan.sending.delivery import DELIVERY_COLUMNS, Delivery, receipt_of
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import attempts, deliveries, messages

_COLUMNS = tuple(deliveries.c[name] for name in DELIVERY_COLUMNS)


class Records:
    """Everything that is read about deliveries without changing them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def message_of(self, seq: int) -> bytes:
        """Return the message of a delivery."""
        query = sa.select(messages.c.body).join(deliveries, deliveries.c.message == messages.c.id)
        query = query.where(deliveries.c.seq == seq)
        body: bytes = await self._ledger.read(lambda connection: connection.execute(query).scalar_one())
        return body

    async def message(self, message_id: int) -> bytes:
        """Return a message as it was stored."""
        query = sa.select(messages.c.body).where(messages.c.id == message_id)
        body: bytes = await self._ledger.read(lambda connection: connection.execute(query).scalar_one())
        return body

    async def receipts(
        self,
        seqs: Iterable[int] | None = None,
        *,
        broadcast: int | None = None,
        account: str | None = None,
        states: Sequence[State] = (),
        target: Target | None = None,
        limit: int = 1000,
        after: int = 0,
        newest: bool = False,
    ) -> list[Receipt]:
        """Return receipts, oldest first, of the deliveries that match everything given.

        At most `limit`: the first ones, or with `newest` the last ones.
        """
        order = deliveries.c.seq.desc() if newest else deliveries.c.seq
        query = sa.select(*_COLUMNS).where(deliveries.c.seq > after).order_by(order).limit(limit)
        if broadcast is not None:
            query = query.where(deliveries.c.broadcast == broadcast)
        if account is not None:
            query = query.where(deliveries.c.account == account)
        if states:
            query = query.where(deliveries.c.state.in_([state.value for state in states]))
        if target is not None:
            query = query.where(
                deliveries.c.account == target.account,
                deliveries.c.kind == target.kind,
                deliveries.c.target == target.id,
            )
        if seqs is None:
            found = await self._ledger.read(lambda connection: [_receipt(row) for row in connection.execute(query)])
            return found[::-1] if newest else found
        wanted = list(seqs)

        def in_slices(connection: Connection) -> list[Receipt]:
            found: list[Receipt] = []
            for start in range(0, len(wanted), 500):
                part = query.where(deliveries.c.seq.in_(wanted[start : start + 500]))
                found.extend(_receipt(row) for row in connection.execute(part))
            return found

        return await self._ledger.read(in_slices)

    async def counts(self, broadcast: int | None = None, account: str | None = None) -> dict[State, int]:
        """Return how many deliveries stand in each state."""
        query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        if broadcast is not None:
            query = query.where(deliveries.c.broadcast == broadcast)
        if account is not None:
            query = query.where(deliveries.c.account == account)
        rows = await self._ledger.read(lambda connection: connection.execute(query).all())
        return {State(state): count for state, count in rows}

    async def any_of(self, broadcast: int, states: Iterable[State], held_before: float = 0.0) -> bool:
        """Return whether any delivery of a broadcast is in one of `states`, or held and due before `held_before`.

        Quick, however large the broadcast is.
        """
        query = sa.select(deliveries.c.seq).where(_some(broadcast, states, held_before)).limit(1)
        return await self._ledger.read(lambda connection: connection.execute(query).first() is not None)

    async def accounts_in(self, broadcast: int, states: Iterable[State], held_before: float = 0.0) -> list[str]:
        """Return the accounts of a broadcast that have deliveries that `any_of` would find."""
        query = sa.select(deliveries.c.account).where(_some(broadcast, states, held_before)).distinct()
        return await self._ledger.read(lambda connection: list(connection.execute(query).scalars()))

    async def attempts_of(self, seq: int) -> list[dict[str, Any]]:
        """Return the failed attempts of a delivery, oldest first."""
        query = sa.select(attempts).where(attempts.c.delivery == seq).order_by(attempts.c.id)
        return await self._ledger.read(lambda c: [dict(row._mapping) for row in c.execute(query)])


def _some(broadcast: int, states: Iterable[State], held_before: float) -> sa.ColumnElement[bool]:
    held = (deliveries.c.state == State.HELD.value) & (deliveries.c.due_at > 0) & (deliveries.c.due_at <= held_before)
    standing = deliveries.c.state.in_([state.value for state in states])
    return (deliveries.c.broadcast == broadcast) & (standing | held)


def _receipt(row: Any) -> Receipt:
    return receipt_of(Delivery.from_row(tuple(row)))
