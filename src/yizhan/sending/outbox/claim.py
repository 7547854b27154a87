"""The deliveries that a lane may send now, and those that wait: due, held, released, expired."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable

from yizhan.errors import StorageError
from yizhan.model import Clock, Target
from yizhan.sending.delivery import Delivery
from yizhan.sending.outbox.shared import (
    COLUMNS,
    ENDING,
    MAY_EXPIRE,
    NOT_SCHEDULED,
    REVISION,
    SEQ_AND_TARGET,
    DeliveryTable,
    read_delivery,
    seqs_and_targets,
)
from yizhan.storage.counters import counter
from yizhan.storage.driver import Connection, Row
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

log = logging.getLogger(__name__)

MAX_RELEASE_COUNTS = 4096
SOON = 60.0
"""Seconds that the rest of a half-sent message may take while other messages to the same target wait for it."""

_DUE = Statement(
    "due",
    sqlite=f"""
    SELECT {COLUMNS} FROM deliveries
    WHERE account = :account AND state = 'queued' AND due_at <= :now
    AND (priority, seq) > (:after_priority, :after_seq) AND priority < :below
    AND (broadcast = 0 OR parts_done > 0 OR in_doubt
        OR broadcast NOT IN (SELECT id FROM broadcasts WHERE state = 'paused'))
    ORDER BY priority, seq LIMIT :limit
    """,
)
_NEXT_DUE = Statement(
    "next due",
    sqlite="""
    SELECT min(due_at) FROM deliveries
    WHERE account = :account AND due_at > 0 AND (state = 'held' OR (state = 'queued' AND due_at > :now))
    """,
)
_NEXT_END = Statement(
    "next end", sqlite=f"SELECT min(expires_at) FROM deliveries WHERE account = :account AND {ENDING} AND {MAY_EXPIRE}"
)
_EXPIRE = Statement(
    "expire",
    sqlite=f"""
    UPDATE deliveries
    SET state = 'expired', settled_at = :now, detail = CASE parts_done
        WHEN 0 THEN 'Its time ran out before it could be sent.'
        ELSE 'Its time ran out before the rest of it could be sent.' END
    WHERE account = :account AND {ENDING} AND {MAY_EXPIRE} AND expires_at <= :now
    RETURNING {SEQ_AND_TARGET}
    """,
)
_RELEASE_DUE = Statement(
    "release due",
    sqlite="""
    UPDATE deliveries SET state = 'queued', due_at = 0
    WHERE account = :account AND state = 'held' AND due_at > 0 AND due_at <= :now
    """,
)
_REQUEUE_HELD = Statement(
    "requeue held",
    sqlite=f"""
    UPDATE deliveries SET state = 'queued', due_at = 0
    WHERE account = :account AND state = 'held' AND {NOT_SCHEDULED}
    """,
)
_REQUEUE_TIMED = Statement(
    "requeue timed",
    sqlite=f"""
    UPDATE deliveries SET due_at = 0
    WHERE account = :account AND state = 'queued' AND due_at > 0 AND {NOT_SCHEDULED}
    """,
)
_HALF_SENT = Statement(
    "half sent",
    sqlite=f"""
    SELECT {SEQ_AND_TARGET} FROM deliveries
    WHERE account = :account AND state = 'queued' AND (parts_done > 0 OR in_doubt)
    UNION ALL
    SELECT {SEQ_AND_TARGET} FROM deliveries
    WHERE account = :account AND state = 'held' AND due_at > 0 AND due_at <= :soon AND (parts_done > 0 OR in_doubt)
    ORDER BY seq
    """,
)
_RELEASE_TARGET = Statement(
    "release target",
    sqlite=f"""
    UPDATE deliveries SET state = 'queued', due_at = 0, priority = 0
    WHERE account = :account AND kind = :kind AND target = :target AND state = 'held' AND {NOT_SCHEDULED}
    """,
)
_EARLIER = Statement(
    "earlier",
    sqlite="""
    SELECT seq FROM deliveries
    WHERE account = :account AND kind = :kind AND target = :target AND state = 'queued' AND due_at <= :now
    AND (priority, seq) < (:priority, :seq)
    LIMIT 1
    """,
)
_NEWEST = Statement("newest delivery", sqlite="SELECT max(seq) FROM deliveries")
_ACCOUNTS_AFTER = Statement("accounts after", sqlite="SELECT DISTINCT account FROM deliveries WHERE seq > :seq")
_PARTS_AHEAD = Statement(
    "parts ahead",
    sqlite="""
    SELECT coalesce(sum(max(parts, 1) - parts_done), 0) FROM (
        SELECT parts, parts_done FROM deliveries WHERE account = :account AND state = 'queued'
        UNION ALL
        SELECT parts, parts_done FROM deliveries
        WHERE account = :account AND state = 'held' AND due_at > 0 AND not_before <= :by
    )
    """,
)
_ACCOUNTS_WITH_WORK = Statement(
    "accounts with work",
    sqlite="""
    SELECT account FROM deliveries WHERE state = 'queued' UNION SELECT account FROM deliveries WHERE state = 'held'
    """,
)
FIRST = (-1, 0)
"""A place, (priority, number), before every delivery."""
ANY_PRIORITY = 1 << 30


class Claim(DeliveryTable):
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        super().__init__(ledger, clock)
        self._releases: OrderedDict[Target, int] = OrderedDict()
        """How often this process released the deliveries held for a target; the most recent targets."""
        self._damaged: set[int] = set()
        """Numbers of damaged deliveries that were logged."""

    async def due(
        self, account: str, now: float, limit: int, *, after: tuple[int, int] | None = None, below: int | None = None
    ) -> list[Delivery]:
        """Return queued deliveries of `account` that may go now, most urgent first, at most `limit`.

        `after`: only those behind this (priority, number). `below`: only those more urgent than that priority.
        """
        priority, seq = after or FIRST
        values = {
            "account": account,
            "now": now,
            "limit": limit,
            "after_priority": priority,
            "after_seq": seq,
            "below": ANY_PRIORITY if below is None else below,
        }
        rows = await self._ledger.read(lambda connection: connection.rows(_DUE, values))
        return [delivery for row in rows if (delivery := self._readable(row)) is not None]

    def _readable(self, row: Row) -> Delivery | None:
        """Return the delivery of a row; None, and a line in the log, for a damaged one, which must not stop others."""
        try:
            return read_delivery(self._ledger, row)
        except StorageError as error:
            if row[0] not in self._damaged:
                self._damaged.add(row[0])
                log.error("delivery skipped: %s", error, extra={"delivery": row[0]})
            return None

    async def next_due(self, account: str, now: float) -> float | None:
        """Return when `account` next has a delivery to release, try or expire; None if no delivery waits for a time.

        A held delivery that was due before `now` counts: it has yet to be released.
        """
        values = {"account": account, "now": now}
        times = await self._ledger.read(lambda c: [c.value(statement, values) for statement in (_NEXT_DUE, _NEXT_END)])
        return min((at for at in times if at is not None), default=None)

    async def release_due(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Requeue held deliveries whose time has come and expire those past their end; return the expired ones."""
        values = {"account": account, "now": now}

        def both(connection: Connection) -> list[tuple[int, Target]]:
            expired = seqs_and_targets(connection.rows(_EXPIRE, values))
            connection.execute(_RELEASE_DUE, values)
            return expired

        return await self._ledger.write(both)

    async def requeue_waiting(self, account: str) -> None:
        """Requeue everything of `account` that is waiting, except messages scheduled for later."""
        values = {"account": account, "now": self._clock.now()}
        await self._ledger.write(lambda c: c.execute(_REQUEUE_TIMED, values) + c.execute(_REQUEUE_HELD, values))

    async def half_sent(self, account: str, now: float) -> list[tuple[int, Target]]:
        """Return the deliveries of `account` that have sent a part and send the rest soon."""
        values = {"account": account, "soon": now + SOON}
        return seqs_and_targets(await self._ledger.read(lambda connection: connection.rows(_HALF_SENT, values)))

    def target_release(self, target: Target) -> Callable[[Connection], int]:
        """Return the work of `release_target`, for the transaction that stores the event of the other side."""
        self._releases[target] = self.release_count(target) + 1
        self._releases.move_to_end(target)
        if len(self._releases) > MAX_RELEASE_COUNTS:
            self._releases.popitem(last=False)
        values = {**_place(target), "now": self._clock.now()}
        return lambda connection: connection.execute(_RELEASE_TARGET, values)

    def release_count(self, target: Target) -> int:
        """Return how often the deliveries held for `target` were released, as far as this process knows."""
        return self._releases.get(target, 0)

    async def release_target(self, target: Target, *, urgent: bool = False) -> int:
        """Requeue, in front, everything held for `target`, except messages scheduled for later; return how many."""
        return await self._ledger.write(self.target_release(target), urgent=urgent)

    async def has_earlier(self, delivery: Delivery) -> bool:
        """Return whether another delivery to the same target is due and goes before `delivery`."""
        values = {
            **_place(delivery.target),
            "now": self._clock.now(),
            "priority": delivery.priority,
            "seq": delivery.seq,
        }
        return await self._ledger.read(lambda connection: connection.row(_EARLIER, values) is not None)

    async def parts_ahead(self, account: str, by: float) -> int:
        """Return how many parts of deliveries wait that go by themselves, leaving out those scheduled after `by`."""
        values = {"account": account, "by": by}
        return int(await self._ledger.read(lambda connection: connection.value(_PARTS_AHEAD, values)))

    async def newest(self) -> int:
        """Return the number of the newest delivery, 0 when there is none."""
        return int(await self._ledger.read(lambda connection: connection.value(_NEWEST)) or 0)

    async def revision(self) -> int:
        """Return a number that grows with every change that may let waiting deliveries go on.

        New deliveries do not count; see `newest`.
        """
        return await self._ledger.read(lambda connection: counter(connection, REVISION))

    async def accounts_after(self, seq: int) -> list[str]:
        """Return the accounts that have deliveries newer than `seq`."""
        return await self._ledger.read(lambda connection: connection.column(_ACCOUNTS_AFTER, {"seq": seq}))

    async def accounts_with_work(self) -> list[str]:
        """Return the accounts that have queued or held deliveries."""
        return await self._ledger.read(lambda connection: connection.column(_ACCOUNTS_WITH_WORK))


def _place(target: Target) -> dict[str, str]:
    return {"account": target.account, "kind": target.kind, "target": target.id}
