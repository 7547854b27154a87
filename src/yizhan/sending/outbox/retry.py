"""Stores new deliveries for those that ended without success, each with the parts that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec

from yizhan.errors import Refused
from yizhan.model import State, load_message
from yizhan.sending.delivery import SINGLE, Delivery, Submission, delivery_id
from yizhan.sending.outbox.insert import NewDeliveries, store
from yizhan.sending.outbox.receipts import MESSAGE
from yizhan.sending.outbox.shared import COLUMNS, read_delivery
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

ENDED = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED})
"""States that are retried; `unknown` only where the delivery is named."""

_NAMED = Statement(
    "deliveries by number",
    sqlite=f"SELECT {COLUMNS} FROM deliveries WHERE seq IN (SELECT value FROM json_each(:seqs)) ORDER BY message, seq",
)
_IN_STATES = Statement(
    "numbers in states",
    sqlite="""
    SELECT seq FROM deliveries d WHERE state IN (SELECT value FROM json_each(:states)) AND seq > :after
    AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.retry_of = d.seq)
    ORDER BY seq LIMIT :limit
    """,
)
_RETRIES = Statement(
    "retries of deliveries",
    sqlite="SELECT retry_of, seq FROM deliveries WHERE retry_of IN (SELECT value FROM json_each(:seqs))",
)


@dataclass(frozen=True, slots=True)
class Retried:
    """New deliveries by the number of the old one."""

    seqs: Mapping[int, int]
    deliveries: Sequence[Delivery]
    """The new ones, ready for the lanes; empty when there are many, which are better read in portions."""


def in_states(connection: Connection, states: Sequence[State], after: int, limit: int) -> list[int]:
    """Return deliveries in one of `states` that have no retry, behind the number `after`."""
    values = {"states": _json([state.value for state in states]), "after": after, "limit": limit}
    return connection.column(_IN_STATES, values)


def retry(connection: Connection, ledger: Ledger, seqs: Sequence[int], now: float) -> Retried:
    """Store one new delivery for each of `seqs` that has none yet.

    Raises:
        Refused: one of them is not there, has not ended, or was sent.
    """
    values = {"seqs": _json(list(seqs))}
    found = [read_delivery(ledger, row) for row in connection.rows(_NAMED, values)]
    if missing := set(seqs) - {delivery.seq for delivery in found}:
        raise Refused(f"There is no delivery {', '.join(delivery_id(seq) for seq in sorted(missing))}.")
    for delivery in found:
        _check(delivery)
    known: dict[int, int] = dict(connection.rows(_RETRIES, values))
    new = dict(known)
    ready: list[Delivery] = []
    for message_id, some in groupby((one for one in found if one.seq not in known), lambda one: one.message):
        old = list(some)
        submissions = [
            Submission(one.target, one.parts, message_id=message_id, retry_of=one.seq, ids=one.progress.ids)
            for one in old
        ]
        message = load_message(connection.value(MESSAGE, {"id": message_id}))
        stored = store(
            connection, NewDeliveries(message, submissions, SINGLE, None, None, 0.0, "", now, message_id=message_id)
        )
        new.update(zip((one.seq for one in old), stored.seqs, strict=True))
        ready += stored.deliveries
    return Retried(new, ready)


def _check(delivery: Delivery) -> None:
    state, name = delivery.progress.state, delivery_id(delivery.seq)
    if state in ENDED or state is State.UNKNOWN:
        return
    if state.final:
        raise Refused(f"{name} was {state.value}; there is nothing to send again. Send the message as a new one.")
    raise Refused(f"{name} is {state.value} and goes on by itself. Cancel it first, or wait for its end.")


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
