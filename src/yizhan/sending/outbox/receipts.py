"""Queries over stored deliveries for their readers: receipts, counts, attempts, messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from yizhan.errors import Refused
from yizhan.model import Receipt, State, Target
from yizhan.sending.delivery import delivery_id, receipt_of
from yizhan.sending.outbox.listing import (
    CONDITIONS,
    DeliveryFilter,
    ListedDelivery,
    list_statement,
    list_with_messages,
    listed,
)
from yizhan.sending.outbox.shared import COLUMNS, read_delivery
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

MESSAGE = Statement("message", sqlite="SELECT body FROM messages WHERE id = :id")
_MESSAGE_OF = Statement(
    "message of delivery",
    sqlite="""
    SELECT body FROM messages JOIN deliveries ON deliveries.message = messages.id WHERE deliveries.seq = :seq
    """,
)
_KEY_KNOWN = Statement(
    "key known",
    sqlite="""
    SELECT 1 WHERE EXISTS (SELECT 1 FROM deliveries WHERE key = :key)
    OR EXISTS (SELECT 1 FROM broadcasts WHERE key = :key)
    """,
)
_ATTEMPT_COLUMNS = ("id", "delivery", "part", "at", "error", "code", "trace_id", "detail", "decision")
_ATTEMPTS = Statement(
    "attempts of delivery",
    sqlite=f"SELECT {', '.join(_ATTEMPT_COLUMNS)} FROM attempts WHERE delivery = :seq ORDER BY id",
)


class Records:
    """Everything that is read about deliveries without changing them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def message_of(self, seq: int) -> bytes:
        """Return the message of a delivery.

        Raises:
            Refused: there is no such delivery.
        """
        return await self._body(_MESSAGE_OF, {"seq": seq}, f"There is no delivery {delivery_id(seq)}.")

    async def message(self, message_id: int) -> bytes:
        """Return a message as it was stored.

        Raises:
            Refused: there is no such message.
        """
        return await self._body(MESSAGE, {"id": message_id}, f"There is no stored message {message_id}.")

    async def _body(self, statement: Statement, values: dict[str, Any], refusal: str) -> bytes:
        body: bytes | None = await self._ledger.read(lambda connection: connection.value(statement, values))
        if body is None:
            raise Refused(refusal)
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
        wanted = DeliveryFilter(
            seqs=None if seqs is None else list(seqs),
            broadcast=broadcast,
            account=account,
            states=states,
            target=target,
            limit=limit,
            after=after,
            newest=newest,
        )
        return await self.find(wanted)

    async def find(self, wanted: DeliveryFilter) -> list[Receipt]:
        """Return receipts, oldest first."""
        statement, values = list_statement(COLUMNS, wanted)
        rows = await self._ledger.read(lambda connection: connection.rows(statement, values))
        found = [receipt_of(read_delivery(self._ledger, row)) for row in rows]
        return found[::-1] if wanted.newest else found

    async def find_with_messages(self, wanted: DeliveryFilter) -> list[ListedDelivery]:
        """Return deliveries with what a list shows of them, oldest first."""
        statement, values = list_with_messages(wanted)
        rows = await self._ledger.read(lambda connection: connection.rows(statement, values))
        found = [listed(row, self._ledger) for row in rows]
        return found[::-1] if wanted.newest else found

    async def receipt(self, seq: int) -> Receipt:
        """Return one delivery's receipt.

        Raises:
            Refused: there is no such delivery.
        """
        receipts = await self.receipts([seq])
        if not receipts:
            raise Refused(f"There is no delivery {delivery_id(seq)}.")
        return receipts[0]

    async def key_known(self, key: str) -> bool:
        """Return whether a delivery or a broadcast was stored under the caller's `key`."""
        return await self._ledger.read(lambda connection: connection.row(_KEY_KNOWN, {"key": key}) is not None)

    async def counts(self, broadcast: int | None = None, account: str | None = None) -> dict[State, int]:
        """Return how many deliveries are in each state."""
        given = {"broadcast": broadcast, "account": account}
        conditions = [CONDITIONS[name] for name, value in given.items() if value is not None]
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = Statement("counts", sqlite=f"SELECT state, count(*) FROM deliveries AS d {where} GROUP BY state")
        rows = await self._ledger.read(lambda connection: connection.rows(statement, given))
        return {State(state): count for state, count in rows}

    async def attempts_of(self, seq: int) -> list[dict[str, Any]]:
        """Return the failed attempts of a delivery, oldest first."""
        rows = await self._ledger.read(lambda connection: connection.rows(_ATTEMPTS, {"seq": seq}))
        return [dict(zip(_ATTEMPT_COLUMNS, row, strict=True)) for row in rows]
