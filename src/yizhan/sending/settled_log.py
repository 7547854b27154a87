"""One log line for each delivery that ends in this process."""

from __future__ import annotations

import logging

from yizhan.model import State
from yizhan.runtime.notifier import DeliveryChanged

log = logging.getLogger(__name__)


def log_settled(change: DeliveryChanged) -> None:
    """Log the end of a delivery; one that only waits, or that another hand ended, is no end to be logged here."""
    receipt = change.receipt
    if not change.state.final or (receipt is None and change.state is State.UNKNOWN):
        return
    log.info(
        "delivery settled",
        extra={
            "account": change.target.account,
            "delivery": change.seq,
            "target": str(change.target),
            "state": change.state.value,
            "attempts": receipt.attempts if receipt else 0,
            "reason": receipt.detail if receipt else "",
        },
    )
