"""Removes settled deliveries and attempts that are old, some at a time, so that other writes wait for none of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

Drop: TypeAlias = Callable[[Connection, Sequence[int]], int]

AT_ONCE = 500
"""Rows removed in one transaction."""
QUOTA_SECONDS = 32 * 86400.0
"""Longest window of a quota, a month: sends within it are counted, so they stay."""

# Rows are numbered in the order in which they were made, so everything behind the first new one is new as well. A
# delivery whose result is unknown waits for a person.
_OLD_DELIVERIES = Statement(
    "old deliveries",
    sqlite="""
    SELECT seq FROM deliveries AS d
    WHERE seq < coalesce((SELECT seq FROM deliveries WHERE created_at >= :before ORDER BY seq LIMIT 1), 1 << 62)
        AND settled_at > 0 AND settled_at < :before AND state <> 'unknown'
        AND (spends = '' OR sending_at < :quotas_before)
        AND NOT EXISTS (SELECT 1 FROM broadcasts WHERE broadcasts.id = d.broadcast)
    ORDER BY seq LIMIT :limit
    """,
)
_OLD_BROADCASTS = Statement(
    "old broadcasts",
    sqlite="""
    SELECT id FROM broadcasts
    WHERE ended_at > 0 AND ended_at < :before AND complete
        AND NOT EXISTS (
            SELECT 1 FROM deliveries
            WHERE deliveries.broadcast = broadcasts.id
                AND (settled_at = 0 OR settled_at >= :before OR state = 'unknown')
        )
    ORDER BY id LIMIT :limit
    """,
)
_OLD_ATTEMPTS = Statement(
    "old attempts",
    sqlite="""
    SELECT a.id FROM attempts AS a LEFT JOIN deliveries ON deliveries.seq = a.delivery
    WHERE a.id < coalesce((SELECT id FROM attempts WHERE at >= :before ORDER BY id LIMIT 1), 1 << 62)
        AND a.at < :before AND (deliveries.seq IS NULL OR deliveries.settled_at > 0)
    ORDER BY a.id LIMIT :limit
    """,
)
_THESE = "(SELECT value FROM json_each(:ids))"
_MESSAGES = Statement("their messages", sqlite=f"SELECT DISTINCT message FROM deliveries WHERE seq IN {_THESE}")
_DROP_DELIVERIES = Statement(
    "drop deliveries", sqlite=f"DELETE FROM deliveries WHERE seq IN {_THESE} AND settled_at > 0"
)
_DROP_THEIR_ATTEMPTS = Statement("drop their attempts", sqlite=f"DELETE FROM attempts WHERE delivery IN {_THESE}")
_UNUSED = f"""
    {_THESE} AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.message = %(column)s)
    AND NOT EXISTS (SELECT 1 FROM broadcasts WHERE broadcasts.message = %(column)s)
"""
_DROP_MEDIA_OF_MESSAGES = Statement(
    "drop media of messages",
    sqlite=f"DELETE FROM message_media WHERE message IN {_UNUSED % {'column': 'message_media.message'}}",
)
_DROP_MESSAGES = Statement(
    "drop messages", sqlite=f"DELETE FROM messages WHERE id IN {_UNUSED % {'column': 'messages.id'}}"
)
_DROP_ATTEMPTS = Statement("drop attempts", sqlite=f"DELETE FROM attempts WHERE id IN {_THESE}")
_BROADCAST_MESSAGES = Statement(
    "messages of broadcasts", sqlite=f"SELECT DISTINCT message FROM broadcasts WHERE id IN {_THESE}"
)
_DROP_BROADCASTS = tuple(
    Statement(f"drop {table} of broadcasts", sqlite=f"DELETE FROM {table} WHERE {column} IN {_THESE}")
    for table, column in (("feeds", "broadcast"), ("broadcast_counts", "broadcast"), ("broadcasts", "id"))
)
_ORPHANS = Statement(
    "recipients of no broadcast",
    sqlite="""
    SELECT broadcast, ord FROM recipients WHERE broadcast = (
        SELECT broadcast FROM recipients AS r
        WHERE NOT EXISTS (SELECT 1 FROM broadcasts WHERE broadcasts.id = r.broadcast) LIMIT 1
    ) ORDER BY ord LIMIT :limit
    """,
)
_DROP_RECIPIENTS = Statement(
    "drop recipients", sqlite="DELETE FROM recipients WHERE broadcast = :broadcast AND ord <= :ord"
)


class DeliveryPruning:
    """Each method removes at most `AT_ONCE` rows and returns how many; 0 means that none is left."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def drop_broadcasts(self, before: float) -> int:
        """Remove broadcasts that ended before then, with everything of them settled; their deliveries follow."""
        return await self._drop(_OLD_BROADCASTS, {"before": before}, _drop_broadcasts)

    async def drop_deliveries(self, before: float, now: float) -> int:
        """Remove deliveries that were settled before then, with their attempts and messages."""
        values = {"before": before, "quotas_before": now - QUOTA_SECONDS}
        return await self._drop(_OLD_DELIVERIES, values, _drop_deliveries)

    async def drop_attempts(self, before: float) -> int:
        """Remove failed attempts before then of deliveries that are settled."""
        return await self._drop(_OLD_ATTEMPTS, {"before": before}, lambda c, ids: c.execute(_DROP_ATTEMPTS, _ids(ids)))

    async def drop_recipients(self) -> int:
        """Remove recipients whose broadcast is gone."""
        rows = await self._ledger.read(lambda connection: connection.rows(_ORPHANS, {"limit": AT_ONCE}))
        if not rows:
            return 0
        values = {"broadcast": rows[-1][0], "ord": rows[-1][1]}
        return await self._ledger.write(lambda connection: connection.execute(_DROP_RECIPIENTS, values))

    async def _drop(self, find: Statement, values: dict[str, float], drop: Drop) -> int:
        # Found by a reader: the writer only removes rows whose numbers it is given.
        ids = await self._ledger.read(lambda connection: connection.column(find, {**values, "limit": AT_ONCE}))
        return await self._ledger.write(lambda connection: drop(connection, ids)) if ids else 0


def _drop_deliveries(connection: Connection, seqs: Sequence[int]) -> int:
    messages = connection.column(_MESSAGES, _ids(seqs))
    removed = connection.execute(_DROP_DELIVERIES, _ids(seqs))
    connection.execute(_DROP_THEIR_ATTEMPTS, _ids(seqs))
    _drop_unused(connection, messages)
    return removed


def _drop_broadcasts(connection: Connection, numbers: Sequence[int]) -> int:
    messages = connection.column(_BROADCAST_MESSAGES, _ids(numbers))
    removed = 0
    for statement in _DROP_BROADCASTS:
        removed = connection.execute(statement, _ids(numbers))
    _drop_unused(connection, messages)
    return removed


def _drop_unused(connection: Connection, messages: Sequence[int]) -> None:
    connection.execute(_DROP_MEDIA_OF_MESSAGES, _ids(messages))
    connection.execute(_DROP_MESSAGES, _ids(messages))


def _ids(numbers: Sequence[int]) -> dict[str, str]:
    return {"ids": msgspec.json.encode(numbers).decode()}
