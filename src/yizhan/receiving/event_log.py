"""Received events, each once, and the context that each conversation left for answers. Encrypted: they hold tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from yizhan.model import Event, Target
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement
from yizhan.storage.vault import Vault

KEEP_DAYS = 30
"""Days that an event is kept: one that a platform delivers again must still be known."""
DAY = 86400.0
QUOTED_AMONG = 2000
"""Messages of an account among which a quoted one is looked for by its time."""
APART = 0.01
"""Seconds by which the time in a quote may differ from that of the message; wires give milliseconds."""
AT_ONCE = 500
"""Events dropped in one transaction, so that other writes do not wait long behind them."""

_INSERT = Statement(
    "insert event",
    sqlite="""
    INSERT INTO events (account, event_id, kind, at, body, stored_at)
    VALUES (:account, :event_id, :kind, :at, :body, :stored_at)
    ON CONFLICT (account, event_id) DO NOTHING
    RETURNING seq
    """,
)
# Platforms may push an older event later; the context of the newest one stays.
_PUT_CONTEXT = Statement(
    "put context",
    sqlite="""
    INSERT INTO contexts (account, kind, target, at, body) VALUES (:account, :kind, :target, :at, :body)
    ON CONFLICT (account, kind, target) DO UPDATE SET at = excluded.at, body = excluded.body
    WHERE contexts.at <= excluded.at
    """,
)
_CONTEXTS = Statement("contexts", sqlite="SELECT kind, target, body FROM contexts WHERE account = :account")
_RECENT = Statement(
    "recent events",
    sqlite="""
    SELECT body FROM events WHERE :account IS NULL OR account = :account ORDER BY seq DESC LIMIT :limit
    """,
)
_FIND = Statement("find event", sqlite="SELECT body FROM events WHERE account = :account AND event_id = :event_id")
_FIND_AT = Statement(
    "find message by its time",
    sqlite="""
    SELECT body FROM (
        SELECT body, at FROM events WHERE account = :account AND kind = 'message' ORDER BY seq DESC LIMIT :limit
    )
    WHERE at BETWEEN :at - :apart AND :at + :apart ORDER BY abs(at - :at)
    """,
)
_NEWEST = Statement("newest event", sqlite="SELECT max(seq) FROM events")
_AFTER = Statement("events after", sqlite="SELECT seq, body FROM events WHERE seq > :seq ORDER BY seq LIMIT :limit")
_PLACE = Statement("place of reader", sqlite="SELECT value FROM counters WHERE name = :name")
_MOVE = Statement(
    "move reader",
    sqlite="""
    INSERT INTO counters (name, value) VALUES (:name, :seq) ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """,
)
_FORGET = Statement("forget reader", sqlite="DELETE FROM counters WHERE name = :name")
_PLACES = Statement("places of readers", sqlite="SELECT name, value FROM counters WHERE name LIKE 'reader %'")
_OLDEST = Statement("oldest events", sqlite="SELECT seq, stored_at FROM events ORDER BY seq LIMIT :limit")
_DROP = Statement("drop events", sqlite="DELETE FROM events WHERE seq IN (SELECT value FROM json_each(:seqs))")

_decode = msgspec.json.Decoder(Event).decode


class Kept(NamedTuple):
    """An event that is new."""

    seq: int
    also: int
    """The result of the work in the same transaction; 0 without any."""


class Pruned(NamedTuple):
    """The outcome of pruning."""

    removed: int
    waits_for: tuple[str, ...]
    """Readers for whom events are kept that are old enough to go."""


class EventTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def keep(self, event: Event, now: float, also: Callable[[Connection], int] | None = None) -> Kept | None:
        """Store `event` and its context; None if it is known already. `also`: work in the same transaction."""
        values = {
            "account": event.account,
            "event_id": event.id,
            "kind": event.kind.value,
            "at": event.at,
            "body": self._vault.lock(msgspec.json.encode(event), "event"),
            "stored_at": now,
        }
        left = context_of(event)
        context = self._vault.lock(msgspec.json.encode(left), "context") if left else b""

        def insert(connection: Connection) -> Kept | None:
            seq = connection.value(_INSERT, values)
            if seq is None:
                return None
            if event.target is not None and context:
                place = {"account": event.target.account, "kind": event.target.kind, "target": event.target.id}
                connection.execute(_PUT_CONTEXT, {**place, "at": event.at, "body": context})
            return Kept(int(seq), also(connection) if also is not None else 0)

        return await self._ledger.write(insert)

    async def contexts(self, account: str) -> dict[Target, Mapping[str, Any]]:
        """Return the context that each conversation of `account` left for answers."""
        rows = await self._ledger.read(lambda connection: connection.rows(_CONTEXTS, {"account": account}))
        return {
            Target(account, kind, target): msgspec.json.decode(self._vault.unlock(body, "context"))
            for kind, target, body in rows
        }

    async def find(self, account: str, event_id: str) -> Event | None:
        """Return the event that `account` received under the platform's id, if it is still stored."""
        values = {"account": account, "event_id": event_id}
        body = await self._ledger.read(lambda connection: connection.value(_FIND, values))
        return self._read(body) if body is not None else None

    async def find_at(self, target: Target, at: float) -> Event | None:
        """Return the message of a conversation that was written at `at`, if it is among the newest ones."""
        values = {"account": target.account, "at": at, "apart": APART, "limit": QUOTED_AMONG}
        bodies = await self._ledger.read(lambda connection: connection.column(_FIND_AT, values))
        return next((event for event in map(self._read, bodies) if event.target == target), None)

    async def recent(self, account: str | None = None, limit: int = 100) -> list[Event]:
        """Return the newest events, oldest of them first."""
        values = {"account": account or None, "limit": limit}
        bodies = await self._ledger.read(lambda connection: connection.column(_RECENT, values))
        return [self._read(body) for body in reversed(bodies)]

    async def latest(self) -> int:
        """Return the number of the newest event, 0 when there is none."""
        return int(await self._ledger.read(lambda connection: connection.value(_NEWEST)) or 0)

    async def after(self, seq: int, limit: int = 256) -> list[tuple[int, Event]]:
        """Return the first events that came after number `seq`, with their numbers, oldest first."""
        rows = await self._ledger.read(lambda connection: connection.rows(_AFTER, {"seq": seq, "limit": limit}))
        return [(number, self._read(body)) for number, body in rows]

    async def place(self, reader: str) -> int | None:
        """Return the number of the last event that `reader` is done with; None when it never read."""
        values = {"name": _place_name(reader)}
        place: int | None = await self._ledger.read(lambda connection: connection.value(_PLACE, values))
        return place

    async def move(self, reader: str, seq: int) -> None:
        """Record that `reader` is done with everything up to number `seq`."""
        values = {"name": _place_name(reader), "seq": seq}
        await self._ledger.write(lambda connection: connection.execute(_MOVE, values))

    async def forget(self, reader: str) -> bool:
        """Forget how far `reader` is, so that nothing is kept for it any more; False if it never read."""
        values = {"name": _place_name(reader)}
        return bool(await self._ledger.write(lambda connection: connection.execute(_FORGET, values)))

    async def prune(self, now: float, days: float = KEEP_DAYS) -> Pruned:
        """Drop the events that were stored more than `days` days ago and that every reader is done with.

        Conversation contexts and queued deliveries do not depend on events, so they are kept.
        """
        before = now - days * DAY
        removed = 0
        while found := await self._ledger.write(lambda c: _drop_some(c, before)):
            removed += found
        return Pruned(removed, await self._ledger.read(lambda c: _behind(c, before)))

    def _read(self, body: bytes) -> Event:
        return _decode(self._vault.unlock(body, "event"))


def context_of(event: Event) -> dict[str, Any]:
    """Return the context that `event` leaves for answers in its conversation; empty where it leaves none."""
    if event.target is None or not event.context:
        return {}
    return {"at": event.at, "event_id": event.id, **event.context}


_READER = "reader "


def _place_name(reader: str) -> str:
    return _READER + reader


def _places(connection: Connection) -> dict[str, int]:
    """Return how far each reader is."""
    return {name.removeprefix(_READER): place for name, place in connection.rows(_PLACES)}


def _oldest(connection: Connection, before: float) -> list[int]:
    """Return the numbers of the oldest events that were stored before then; some of them, where there are many."""
    rows = connection.rows(_OLDEST, {"limit": AT_ONCE})
    return [seq for seq, _ in takewhile(lambda row: row[1] < before, rows)]


def _drop_some(connection: Connection, before: float) -> int:
    """Drop some of the events that were stored before then and that every reader is done with; return how many."""
    # The newest stays in any case: SQLite would give its number to the next one, and readers would miss that.
    newest = int(connection.value(_NEWEST) or 0)
    until = min([newest - 1, *_places(connection).values()])
    gone = [seq for seq in _oldest(connection, before) if seq <= until]
    return connection.execute(_DROP, {"seqs": msgspec.json.encode(gone).decode()}) if gone else 0


def _behind(connection: Connection, before: float) -> tuple[str, ...]:
    """Return the readers for whom an event that old is still kept."""
    old = _oldest(connection, before)
    return tuple(sorted(name for name, place in _places(connection).items() if old and place < old[-1]))
