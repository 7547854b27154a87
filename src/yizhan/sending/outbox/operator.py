"""Changes that an operator makes: cancel, settle an unknown delivery, record a recall."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from yizhan.model import PlatformId, State, Target
from yizhan.sending.outbox.shared import NOT_SCHEDULED, REVISION, SEQ_AND_TARGET, DeliveryTable, seqs_and_targets
from yizhan.storage.counters import count_on
from yizhan.storage.driver import Connection
from yizhan.storage.statement import Statement

_CANCEL = Statement(
    "cancel",
    sqlite=f"""
    UPDATE deliveries SET state = 'cancelled', settled_at = :now
    WHERE seq IN (SELECT value FROM json_each(:seqs))
    AND state IN ('queued', 'held') AND parts_done = 0 AND NOT in_doubt
    RETURNING {SEQ_AND_TARGET}
    """,
)
_REQUEUE_HELD = Statement(
    "requeue held of accounts",
    sqlite=f"""
    UPDATE deliveries SET state = 'queued', due_at = 0
    WHERE account IN (SELECT value FROM json_each(:accounts)) AND state = 'held' AND due_at > 0 AND {NOT_SCHEDULED}
    """,
)
_SETTLE_UNKNOWN = Statement(
    "settle unknown",
    sqlite="""
    UPDATE deliveries
    SET state = :state, detail = :detail, due_at = 0, in_doubt = 0, settled_at = :now,
        ids = coalesce(:ids, ids), parts_done = coalesce(:parts_done, parts_done)
    WHERE seq = :seq AND state = 'unknown'
    """,
)
# An operator wants it now, whatever its time was. Where the wire recognizes a repeat and nothing is known of the parts,
# the next attempt tells whether the part had arrived after all.
_SEND_UNKNOWN = Statement(
    "send unknown",
    sqlite="""
    UPDATE deliveries
    SET state = :state, detail = :detail, due_at = 0, settled_at = 0, expires_at = NULL, part_attempts = 0,
        in_doubt = CASE WHEN :ids IS NULL THEN repeatable ELSE 0 END,
        in_doubt_since = CASE WHEN in_doubt_since > 0 THEN in_doubt_since ELSE sending_at END, sent_as = '',
        ids = coalesce(:ids, ids), parts_done = coalesce(:parts_done, parts_done)
    WHERE seq = :seq AND state = 'unknown'
    """,
)
_RECALLED = Statement("recalled", sqlite="UPDATE deliveries SET state = :state, ids = :ids WHERE seq = :seq")


class Operator(DeliveryTable):
    async def bump_revision(self) -> None:
        """Tell the sending process that waiting deliveries may go on, after a login, say."""
        await self._ledger.write(lambda connection: count_on(connection, REVISION, 1))

    async def cancel(self, seqs: Sequence[int]) -> list[tuple[int, Target]]:
        """Cancel those of the deliveries that wait and have sent no part; return them.

        Held deliveries of the same accounts are requeued: they may move up.
        """
        values = {"seqs": _json(list(seqs)), "now": self._clock.now()}

        def cancel(connection: Connection) -> list[tuple[int, Target]]:
            done = seqs_and_targets(connection.rows(_CANCEL, values))
            accounts = _json({target.account for _, target in done})
            if done and connection.execute(_REQUEUE_HELD, {**values, "accounts": accounts}):
                count_on(connection, REVISION, 1)
            return done

        return await self._ledger.write(cancel)

    async def settle_unknown(
        self, seq: int, state: State, detail: str, ids: Sequence[PlatformId] | None = None
    ) -> bool:
        """Settle an `unknown` delivery by an operator's word; `queued` sends the rest of it.

        `ids`: the ids of all parts that have arrived, where that changes. False if it was not unknown.
        """
        statement = _SETTLE_UNKNOWN if state.final else _SEND_UNKNOWN
        values = {
            "seq": seq,
            "state": state.value,
            "detail": detail,
            "now": self._clock.now(),
            "ids": None if ids is None else _json(ids),
            "parts_done": None if ids is None else len(ids),
        }

        def settle(connection: Connection) -> bool:
            if not connection.execute(statement, values):
                return False
            if not state.final:
                count_on(connection, REVISION, 1)
            return True

        return await self._ledger.write(settle)

    async def record_recall(self, seq: int, ids: Sequence[PlatformId]) -> None:
        """Record which parts of a sent delivery are withdrawn; it is `recalled` once all of them are."""
        state = State.RECALLED if all(part.recalled for part in ids) else State.SENT
        values = {"seq": seq, "state": state.value, "ids": _json(list(ids))}
        await self._ledger.write(lambda connection: connection.execute(_RECALLED, values))


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
