"""Numbers that only grow, by name: the next delivery, how far a reader is, the revision that lanes watch."""

from __future__ import annotations

import secrets

from yizhan.storage.driver import Connection
from yizhan.storage.statement import Statement

_ADD = Statement(
    "add to counter",
    sqlite="""
    INSERT INTO counters (name, value) VALUES (:name, :count)
    ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
    RETURNING value
    """,
)
_VALUE = Statement("counter", sqlite="SELECT value FROM counters WHERE name = :name")


def count_on(connection: Connection, name: str, count: int) -> int:
    """Reserve `count` numbers and return the first; a new counter begins at 1."""
    return int(connection.value(_ADD, {"name": name, "count": count})) - count + 1


def counter(connection: Connection, name: str) -> int:
    """Return the last number that was reserved, 0 when there is none."""
    return int(connection.value(_VALUE, {"name": name}) or 0)


def known_store_id(connection: Connection) -> int:
    """Return the store's own random number, 0 when it has none yet."""
    return counter(connection, "store")


def make_store_id(connection: Connection) -> str:
    """Return the store's own random number, made once; it keeps two stores' send keys apart."""
    if not known_store_id(connection):
        count_on(connection, "store", secrets.randbits(62) | 1)
    return f"{known_store_id(connection):x}"
