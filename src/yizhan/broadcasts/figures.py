"""Figures of broadcasts: the rows of reports, and the sums that reports and plans show. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from yizhan.broadcasts.rows import REFUSED, WAITING, RecipientState
from yizhan.model import PlatformId, Target
from yizhan.sending.delivery import delivery_id
from yizhan.storage.driver import Row
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

_REPORT = """
    SELECT r.ord, r.account, r.kind, r.target, r.name, r.refused, r.recall, d.seq, d.state, d.ids, d.error, d.code,
        d.detail, d.sending_at, d.settled_at
    FROM recipients r LEFT JOIN deliveries d ON d.broadcast = r.broadcast AND d.ord = r.ord
    WHERE r.broadcast = :id AND r.ord > :after
"""
_RECIPIENTS = Statement("recipients", sqlite=f"{_REPORT} ORDER BY r.ord LIMIT :limit")
_RECIPIENTS_IN = Statement(
    "recipients in states",
    sqlite=f"""
    {_REPORT} AND CASE WHEN r.refused <> '' THEN 'refused' ELSE coalesce(d.state, 'waiting') END
        IN (SELECT value FROM json_each(:states))
    ORDER BY r.ord LIMIT :limit
    """,
)
_BY_CODE = Statement(
    "broadcast by error",
    sqlite="""
    SELECT account, state, error, code, count(*) FROM deliveries WHERE broadcast = :id
    GROUP BY account, state, error, code ORDER BY count(*) DESC
    """,
)
_BY_MINUTE = Statement(
    "broadcast by minute",
    sqlite="""
    SELECT CAST(settled_at / 60 AS INTEGER) * 60, count(*) FROM deliveries
    WHERE broadcast = :id AND state IN ('sent', 'recalled') GROUP BY 1 ORDER BY 1
    """,
)
_RECALL_REASONS = Statement(
    "recalls that failed",
    sqlite="SELECT recall, count(*) FROM recipients WHERE broadcast = :id AND recall <> '' GROUP BY recall",
)


_LEFT = Statement(
    "recipients left",
    sqlite="""
    SELECT count(*), coalesce(sum(max(parts, 1)), 0) FROM recipients
    WHERE broadcast = :id AND ord > :after AND account = :account AND refused = ''
    """,
)
_REFUSALS = Statement(
    "refusals",
    sqlite="""
    SELECT refused, count(*) FROM recipients WHERE broadcast = :id AND refused <> ''
    GROUP BY refused ORDER BY count(*) DESC, refused LIMIT :limit
    """,
)
_FIRST_VALUES = Statement(
    "values of the first recipient",
    sqlite="SELECT vars FROM recipients WHERE broadcast = :id ORDER BY ord LIMIT 1",
)


class BroadcastFigures:
    """Reads what people are shown of stored broadcasts."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def recipients(
        self, id: int, states: Sequence[str] = (), *, after: int = 0, limit: int = 1000
    ) -> list[RecipientState]:
        """Return rows of the report in order, behind the recipient `after`; `states` as in `RecipientState.state`."""
        values = {"id": id, "after": after, "limit": limit, "states": _encoded(list(states))}
        statement = _RECIPIENTS_IN if states else _RECIPIENTS
        rows = await self._ledger.read(lambda connection: connection.rows(statement, values))
        return [_recipient_state(row) for row in rows]

    async def by_error(self, id: int) -> list[tuple[str, str, str, str, int]]:
        """Return account, state, error, code and number of deliveries, the most frequent first."""
        rows = await self._ledger.read(lambda connection: connection.rows(_BY_CODE, {"id": id}))
        return [(account, state, error, code, n) for account, state, error, code, n in rows]

    async def by_minute(self, id: int) -> list[tuple[int, int]]:
        """Return how many arrived in each minute, by its beginning in seconds since the epoch."""
        rows = await self._ledger.read(lambda connection: connection.rows(_BY_MINUTE, {"id": id}))
        return [(minute, n) for minute, n in rows]

    async def recall_reasons(self, id: int) -> dict[str, int]:
        rows = await self._ledger.read(lambda connection: connection.rows(_RECALL_REASONS, {"id": id}))
        return dict(rows)

    async def left(self, id: int, account: str, fed_to: int) -> tuple[int, int]:
        """Return how many recipients of `account` behind `fed_to` get something, and in how many parts."""
        values = {"id": id, "account": account, "after": fed_to}
        row = await self._ledger.read(lambda connection: connection.row(_LEFT, values))
        return (0, 0) if row is None else (row[0], row[1])

    async def refusals(self, id: int, limit: int) -> dict[str, int]:
        """Return how many recipients are refused, by reason, the most frequent first."""
        values = {"id": id, "limit": limit}
        return dict(await self._ledger.read(lambda connection: connection.rows(_REFUSALS, values)))

    async def first_values(self, id: int) -> Mapping[str, str]:
        """Return the placeholders' values of the first recipient."""
        vars = await self._ledger.read(lambda connection: connection.value(_FIRST_VALUES, {"id": id}))
        return msgspec.json.decode(vars, type=dict[str, str]) if vars else {}


def _encoded(values: object) -> str:
    return msgspec.json.encode(values).decode()


def _recipient_state(row: Row) -> RecipientState:
    ord, account, kind, target, name, refused, recall, seq, state, ids, error, code, detail, sent_at, settled_at = row
    where = str(Target(account, kind, target))
    if refused:
        return RecipientState(ord, where, name, REFUSED, detail=refused)
    if seq is None:
        return RecipientState(ord, where, name, WAITING)
    platform_ids = msgspec.json.decode(ids, type=tuple[PlatformId, ...])
    return RecipientState(
        ord,
        where,
        name,
        state,
        delivery_id(seq),
        platform_ids,
        len(platform_ids),
        error,
        code,
        detail,
        sent_at,
        settled_at,
        recall,
    )
