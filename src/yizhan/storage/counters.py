"""Numbers that only go up, by name: the next delivery, how far a reader is, how often something was stirred."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.storage.ledger import Prepared
from yizhan.storage.tables import counters

_COUNT_ON = Prepared(
    counters.update()
    .where(counters.c.name == sa.bindparam("b_name"))
    .values(value=counters.c.value + sa.bindparam("b_count"))
    .returning(counters.c.value),
    ("b_name", "b_count"),
)


def count_on(connection: Connection, name: str, count: int) -> int:
    """Reserve `count` numbers and return the first."""
    updated = _COUNT_ON.run(connection, [{"b_name": name, "b_count": count}]).scalar()
    if updated is None:
        connection.execute(counters.insert().values(name=name, value=count))
        return 1
    return int(updated) - count + 1
