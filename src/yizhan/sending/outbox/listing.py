"""Stored deliveries as people look for them: with their message in short, filtered by everything that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import StorageError
from yizhan.model import MediaSegment, Message, Receipt, State, Target, Text, load_message
from yizhan.sending.delivery import DELIVERY_COLUMNS, receipt_of
from yizhan.sending.outbox.shared import read_delivery
from yizhan.storage.driver import Row
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

EXCERPT = 80
"""Characters of the text that a list shows."""


class ListedDelivery(Struct, frozen=True):
    """One delivery of a list. Times in seconds since the epoch."""

    receipt: Receipt
    created_at: float
    key: str
    """The caller's; empty if there was none."""
    broadcast: str
    """Such as `b7`; empty if it belongs to none."""
    excerpt: str
    """The beginning of the text, on one line."""
    files: tuple[str, ...]
    """Names of the media, or their kinds where they have none."""

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain values for JSON, those of the receipt among them."""
        own = {name: getattr(self, name) for name in ("created_at", "key", "broadcast", "excerpt")}
        return {**self.receipt.to_dict(), **own, "files": list(self.files)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """The deliveries that a list is about: those that match everything given."""

    seqs: Sequence[int] | None = None
    account: str | None = None
    target: Target | None = None
    states: Sequence[State] = ()
    key: str | None = None
    broadcast: int | None = None
    error: str | None = None
    """Name of an error class, or the platform's own code."""
    since: float | None = None
    """Stored at that time or later."""
    until: float | None = None
    """Stored before that time."""
    after: int = 0
    """Behind the delivery of that number."""
    limit: int = 100
    newest: bool = False
    """The last ones of those instead of the first."""

    def values(self) -> dict[str, Any]:
        """Return the values of the conditions by name; None where there is none."""
        return {
            "seqs": None if self.seqs is None else _json(list(self.seqs)),
            "account": self.account if self.target is None else self.target.account,
            "kind": None if self.target is None else self.target.kind,
            "target": None if self.target is None else self.target.id,
            "states": _json(list(self.states)) if self.states else None,
            "key": self.key,
            "broadcast": self.broadcast,
            "error": self.error,
            "since": self.since,
            "until": self.until,
        }


CONDITIONS = {
    "seqs": "d.seq IN (SELECT value FROM json_each(:seqs))",
    "account": "d.account = :account",
    "kind": "d.kind = :kind",
    "target": "d.target = :target",
    "states": "d.state IN (SELECT value FROM json_each(:states))",
    "key": "d.key = :key",
    "broadcast": "d.broadcast = :broadcast",
    "error": "(d.error = :error OR d.code = :error)",
    "since": "d.created_at >= :since",
    "until": "d.created_at < :until",
}
"""By the value of the filter that asks for each."""


def list_statement(columns: str, wanted: DeliveryFilter, *, joined: bool = False) -> tuple[Statement, dict[str, Any]]:
    """Return the statement that lists `columns` of the deliveries that are wanted, and its values."""
    given = wanted.values()
    conditions = ["d.seq > :after", *(CONDITIONS[name] for name, value in given.items() if value is not None)]
    source = "deliveries AS d" + (" LEFT JOIN messages AS m ON m.id = d.message" if joined else "")
    order = "DESC" if wanted.newest else "ASC"
    statement = Statement(
        "list deliveries",
        sqlite=f"SELECT {columns} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY d.seq {order} LIMIT :limit",
    )
    return statement, {**given, "after": wanted.after, "limit": wanted.limit}


_LISTED = ", ".join([*(f"d.{name}" for name in DELIVERY_COLUMNS), "d.created_at", "d.key", "m.body"])


def list_with_messages(wanted: DeliveryFilter) -> tuple[Statement, dict[str, Any]]:
    """Return the statement that lists rows for `listed`, and its values."""
    return list_statement(_LISTED, wanted, joined=True)


def listed(row: Row, ledger: Ledger) -> ListedDelivery:
    """Read a row of `list_with_messages`."""
    *columns, created_at, key, body = row
    delivery = read_delivery(ledger, tuple(columns))
    broadcast = f"b{delivery.broadcast}" if delivery.broadcast else ""
    try:
        message = load_message(body) if body else Message(())
    except (msgspec.MsgspecError, StorageError):
        # A damaged message is told by those who need it; here its row matters.
        message = Message(())
    return ListedDelivery(
        receipt_of(delivery), created_at, key or "", broadcast, excerpt_of(message), files_of(message)
    )


def excerpt_of(message: Message) -> str:
    """Return the beginning of the text of a message, on one line; of a message without text, what its segments say."""
    words = " ".join(_words(segment) for segment in message.segments if not isinstance(segment, MediaSegment))
    line = " ".join(words.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"


def files_of(message: Message) -> tuple[str, ...]:
    """Return the names of the media of a message, or their kinds where they have none."""
    found = []
    for segment in message.segments:
        if isinstance(segment, MediaSegment):
            name = getattr(segment, "name", "") or getattr(segment.media, "name", "")
            found.append(name or str(segment.__struct_config__.tag))
    return tuple(found)


def _words(segment: Any) -> str:
    if isinstance(segment, Text):
        return segment.text
    said = getattr(segment, "text", "") or getattr(segment, "title", "") or getattr(segment, "name", "")
    return said or f"[{segment.__struct_config__.tag}]"


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
