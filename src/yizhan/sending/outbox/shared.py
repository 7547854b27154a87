"""Conditions and row shapes that several statements on deliveries share."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from yizhan.model import Clock, Target
from yizhan.sending.delivery import DELIVERY_COLUMNS, Delivery, delivery_id
from yizhan.storage.driver import Row
from yizhan.storage.ledger import Ledger

COLUMNS = ", ".join(DELIVERY_COLUMNS)
SEQ_AND_TARGET = "seq, account, kind, target"
NOT_SCHEDULED = "not_before <= :now"
"""Not scheduled for later."""
MAY_EXPIRE = "state IN ('queued', 'held') AND NOT in_doubt AND (parts_done = 0 OR state = 'held')"
"""A half-sent message does not expire, unless its rest is held."""
ENDING = "expires_at IS NOT NULL AND settled_at = 0"
"""As the index `deliveries_ending` says it."""
REVISION = "stirs"
"""The counter that a sending process watches for changes other than new deliveries; named as in the stores of 0.1."""


class DeliveryTable:
    """The store and the clock that every operation on deliveries needs."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock


def read_delivery(ledger: Ledger, row: Row) -> Delivery:
    """Read a row of COLUMNS.

    Raises:
        StorageError: the row makes no sense.
    """
    try:
        return Delivery.from_row(row)
    except (ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise ledger.damaged(f"delivery {delivery_id(row[0])} cannot be read ({error})") from error


def seqs_and_targets(rows: Iterable[Row]) -> list[tuple[int, Target]]:
    """Read rows of SEQ_AND_TARGET."""
    return [(seq, Target(account, kind, target)) for seq, account, kind, target in rows]
