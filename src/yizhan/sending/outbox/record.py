"""The record of a send: about to leave, a part done, settled, failed, and what a crash left in doubt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from yizhan.sending.delivery import Delivery, Progress
from yizhan.sending.outbox.shared import DeliveryTable
from yizhan.storage.driver import Connection
from yizhan.storage.statement import RowStatement, Statement

# All of these change a delivery that its lane has in hand: not one that was cancelled, or expired, before it left.
_IN_HAND = "deliveries.seq = v.seq AND deliveries.state IN ('queued', 'sending')"

_MARK_SENDING = RowStatement(
    "mark sending",
    ("seq", "sending_at", "sent_as", "repeatable", "spends"),
    sqlite=f"""
    UPDATE deliveries
    SET state = 'sending', sending_at = v.sending_at, sent_as = v.sent_as, repeatable = v.repeatable, spends = v.spends
    FROM {{rows}} WHERE {_IN_HAND}
    """,
)
# `spends` stays: a resend counts against nothing new.
_MARK_RESENDING = RowStatement(
    "mark resending",
    ("seq", "sending_at", "sent_as", "repeatable"),
    sqlite=f"""
    UPDATE deliveries
    SET state = 'sending', sending_at = v.sending_at, sent_as = v.sent_as, repeatable = v.repeatable
    FROM {{rows}} WHERE {_IN_HAND}
    """,
)
# Nothing is in doubt until the next part leaves; after a crash that one is simply sent.
_PART_DONE_VALUES = ("parts_done", "ids", "notes", "attempts")
_PART_DONE = RowStatement(
    "part done",
    ("seq", *_PART_DONE_VALUES),
    sqlite=f"""
    UPDATE deliveries
    SET state = 'queued', parts_done = v.parts_done, ids = v.ids, notes = v.notes, attempts = v.attempts,
        in_doubt = 0, part_attempts = 0
    FROM {{rows}} WHERE {_IN_HAND}
    """,
)
_SETTLE_VALUES = (
    "state",
    "due_at",
    "detail",
    "error",
    "code",
    "trace_id",
    "ids",
    "parts_done",
    "notes",
    "in_doubt",
    "in_doubt_since",
    "attempts",
    "part_attempts",
    "settled_at",
)
_SETTLE = RowStatement(
    "settle",
    ("seq", *_SETTLE_VALUES),
    sqlite=f"""
    UPDATE deliveries
    SET state = v.state, due_at = v.due_at, detail = v.detail, error = v.error, code = v.code, trace_id = v.trace_id,
        ids = v.ids, parts_done = v.parts_done, notes = v.notes, in_doubt = v.in_doubt,
        in_doubt_since = v.in_doubt_since, attempts = v.attempts, part_attempts = v.part_attempts,
        settled_at = v.settled_at
    FROM {{rows}} WHERE {_IN_HAND}
    """,
)
_ATTEMPT = RowStatement(
    "attempt",
    ("delivery", "part", "at", "error", "code", "trace_id", "detail", "decision"),
    sqlite="""
    INSERT INTO attempts (delivery, part, at, error, code, trace_id, detail, decision)
    SELECT v.delivery, v.part, v.at, v.error, v.code, v.trace_id, v.detail, v.decision
    FROM {rows} WHERE v.delivery IS NOT NULL
    """,
)
_LEFT_SENDING = """
    state = 'sending' AND (:account IS NULL OR account = :account) AND (:seq IS NULL OR seq = :seq)
"""
_RECOVER_REPEATABLE = Statement(
    "recover repeatable",
    sqlite=f"""
    UPDATE deliveries
    SET state = 'queued', due_at = 0, in_doubt = 1,
        in_doubt_since = CASE WHEN in_doubt THEN in_doubt_since ELSE sending_at END
    WHERE {_LEFT_SENDING} AND repeatable
    """,
)
_RECOVER_UNKNOWN = Statement(
    "recover unknown",
    sqlite=f"""
    UPDATE deliveries
    SET state = 'unknown', error = 'OutcomeUnknown', settled_at = :now,
        detail = 'The program ended between sending and the answer; it may have arrived. '
            || 'It is not sent again by itself.'
    WHERE {_LEFT_SENDING} AND NOT repeatable
    """,
)
_SENDS_SINCE = Statement(
    "sends since",
    sqlite="""
    SELECT * FROM (
        SELECT kind, target, reply_id, spends, sending_at,
            parts_done + (state IN ('sending', 'unknown') OR in_doubt) AS parts
        FROM deliveries
        WHERE account = :account AND sending_at > :since AND spends <> ''
    )
    WHERE parts > 0
    ORDER BY sending_at
    """,
)


class Record(DeliveryTable):
    async def mark_sending(
        self,
        delivery: Delivery,
        now: float,
        *,
        repeatable: bool,
        spends: str,
        sent_as: str = "",
        resend: bool = False,
    ) -> None:
        """Record, on disk, that a part of `delivery` is about to leave.

        `spends`: the budgets it counts against. `sent_as`: the session under which it leaves. `resend`: once more under
        the same key, which counts against no budget again.

        Raises:
            RowChanged: it was cancelled or expired; it must not leave.
        """
        row = {"seq": delivery.seq, "sending_at": now, "repeatable": repeatable, "sent_as": sent_as}
        if resend:
            await self._ledger.put(_MARK_RESENDING, row, urgent=delivery.urgent)
        else:
            await self._ledger.put(_MARK_SENDING, {**row, "spends": spends}, urgent=delivery.urgent)

    async def record_part(self, delivery: Delivery, progress: Progress) -> None:
        """Record that a part arrived and that more of them follow."""
        row = _row(delivery.seq, progress, _PART_DONE_VALUES)
        await self._ledger.put(_PART_DONE, row, urgent=delivery.urgent)

    async def settle(self, delivery: Delivery, progress: Progress) -> None:
        """Record how the delivery ended or why it waits; return once that is on disk.

        Raises:
            RowChanged: it was cancelled or expired before anything left.
        """
        await self._ledger.put(_SETTLE, _row(delivery.seq, progress, _SETTLE_VALUES), urgent=delivery.urgent)

    async def record_attempt(self, seq: int, part: int, failure: Progress, decision: str) -> None:
        """Record an attempt that failed, with the error's words; the one that succeeds is the delivery itself."""
        row = {
            "delivery": seq,
            "part": part,
            "at": self._clock.now(),
            "error": failure.error,
            "code": failure.code,
            "trace_id": failure.trace_id,
            "detail": failure.detail[:2000],
            "decision": decision,
        }
        await self._ledger.put(_ATTEMPT, row)

    async def recover(self, account: str | None = None, seq: int | None = None) -> tuple[int, int]:
        """Settle deliveries that a crash left `sending`: queued where the wire recognizes a repeat, else unknown.

        Of one account, or one delivery, alone where given. Return how many are resent, and how many are unknown.
        """
        values = {"account": account, "seq": seq, "now": self._clock.now()}

        def recover(connection: Connection) -> tuple[int, int]:
            return connection.execute(_RECOVER_REPEATABLE, values), connection.execute(_RECOVER_UNKNOWN, values)

        return await self._ledger.write(recover)

    async def sends_since(self, account: str, since: float) -> list[tuple[str, str, str | None, str, float, int]]:
        """Return the sends of `account` after `since` that count against budgets, oldest first.

        Each as kind, target, reply id, budgets, time and number of parts. A refused send does not count; one that may
        have arrived does.
        """
        values = {"account": account, "since": since}
        rows = await self._ledger.read(lambda connection: connection.rows(_SENDS_SINCE, values))
        return [(kind, target, reply, spends, at, parts) for kind, target, reply, spends, at, parts in rows]


def _row(seq: int, progress: Progress, names: Iterable[str]) -> dict[str, Any]:
    row = progress.to_row()
    return {"seq": seq, **{name: row[name] for name in names}}
