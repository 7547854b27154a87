"""Every statement on broadcasts, their recipients and feeds.

The cursor of a feed moves in the transaction that stores the deliveries, so that a crash leaves both or neither. Counts
by state are kept by triggers of the store, in the transaction that changes a delivery. The statements stand in one
file, over 400 lines, because each of them reads or moves what another counts on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.rows import (
    BROADCAST_COLUMNS,
    BroadcastRow,
    Recipient,
    Tally,
    broadcast_name,
)
from yizhan.broadcasts.states import BroadcastState, PauseReason, after
from yizhan.errors import Refused
from yizhan.model import Clock, Message, State, Target, dump_message, load_message
from yizhan.sending.outbox.insert import store_message
from yizhan.sending.outbox.receipts import MESSAGE
from yizhan.storage.counters import count_on
from yizhan.storage.driver import Connection, Row
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import RowStatement, Statement

ROWS_AT_ONCE = 1000
"""Recipients that one statement stores."""
_COLUMNS = ", ".join(BROADCAST_COLUMNS)

_INSERT = Statement(
    "insert broadcast",
    sqlite="""
    INSERT INTO broadcasts (id, name, state, key, message, note, options, parent, created_at, start_at)
    VALUES (:id, :name, 'draft', :key, :message, :note, :options, :parent, :now, :start_at)
    """,
)
_GET = Statement("broadcast", sqlite=f"SELECT {_COLUMNS} FROM broadcasts WHERE id = :id")
_OF_KEY = Statement("broadcast of key", sqlite="SELECT id FROM broadcasts WHERE key = :key")
_LIST = Statement(
    "list broadcasts",
    sqlite=f"""
    SELECT {_COLUMNS} FROM broadcasts
    WHERE (:states IS NULL OR state IN (SELECT value FROM json_each(:states))) AND id < :before
    ORDER BY id DESC LIMIT :limit
    """,
)
_IN_STATE = Statement(
    "broadcasts in states",
    sqlite=f"SELECT {_COLUMNS} FROM broadcasts WHERE state IN (SELECT value FROM json_each(:states)) ORDER BY id",
)
_CHANGE = Statement(
    "change broadcast",
    sqlite="""
    UPDATE broadcasts
    SET state = :state, reason = :reason, detail = :detail, version = version + 1,
        start_at = coalesce(:start_at, start_at),
        started_at = CASE WHEN :state = 'running' AND started_at = 0 THEN :now ELSE started_at END,
        ended_at = CASE WHEN :state IN ('done', 'cancelled', 'recalled') THEN :now ELSE 0 END
    WHERE id = :id AND version = :version
    """,
)
_SEEN = Statement(
    "resume broadcast",
    sqlite="UPDATE broadcasts SET ended_seen = :ended, failed_seen = :failed WHERE id = :id",
)
_SET_OPTIONS = Statement(
    "set options of broadcast",
    sqlite="UPDATE broadcasts SET name = :name, options = :options, version = version + 1 WHERE id = :id",
)
_COMPLETE = Statement(
    "complete broadcast",
    sqlite="""
    UPDATE broadcasts SET complete = 1, version = version + 1,
        total = (SELECT count(*) FROM recipients WHERE broadcast = :id),
        refused = (SELECT count(*) FROM recipients WHERE broadcast = :id AND refused <> '')
    WHERE id = :id
    """,
)
_DELETE = tuple(
    Statement(f"delete {table} of broadcast", sqlite=f"DELETE FROM {table} WHERE {column} = :id")
    for table, column in (("recipients", "broadcast"), ("feeds", "broadcast"), ("broadcasts", "id"))
)
_INSERT_RECIPIENTS = RowStatement(
    "insert recipients",
    ("broadcast", "ord", "account", "kind", "target", "name", "vars", "parts", "refused", "retry_of"),
    sqlite="""
    INSERT INTO recipients (broadcast, ord, account, kind, target, name, vars, parts, refused, retry_of)
    SELECT v.broadcast, v.ord, v.account, v.kind, v.target, v.name, v.vars, v.parts, v.refused, v.retry_of
    FROM {rows} WHERE v.ord IS NOT NULL
    ON CONFLICT (broadcast, account, kind, target) DO NOTHING
    """,
)
_LAST_ORD = Statement("last recipient", sqlite="SELECT max(ord) FROM recipients WHERE broadcast = :id")
_INSERT_FEED = Statement(
    "insert feed",
    sqlite="""
    INSERT INTO feeds (broadcast, account, fed_to, last) VALUES (:id, :account, :fed_to, :last)
    ON CONFLICT (broadcast, account) DO UPDATE SET last = max(last, excluded.last)
    """,
)
_FEEDS = Statement(
    "unfinished feeds",
    sqlite="SELECT account, fed_to FROM feeds WHERE broadcast = :id AND fed_to < last ORDER BY account",
)
_NEXT_RECIPIENTS = Statement(
    "next recipients",
    sqlite="""
    SELECT ord, account, kind, target, name, vars, parts, refused, retry_of FROM recipients
    WHERE broadcast = :id AND ord > :after AND account = :account AND refused = ''
    AND ord <= (SELECT last FROM feeds WHERE broadcast = :id AND account = :account)
    ORDER BY ord LIMIT :limit
    """,
)
_FED = Statement(
    "move feed",
    sqlite="""
    UPDATE feeds SET fed_to = coalesce(:fed_to, last) WHERE broadcast = :id AND account = :account AND fed_to = :from
    AND EXISTS (SELECT 1 FROM broadcasts WHERE id = :id AND state = 'running')
    """,
)
_REFUSE = Statement(
    "refuse recipient", sqlite="UPDATE recipients SET refused = :refused WHERE broadcast = :id AND ord = :ord"
)
_ONE_MORE_REFUSED = Statement(
    "count refused recipient", sqlite="UPDATE broadcasts SET refused = refused + 1 WHERE id = :id"
)
_COUNTS = Statement(
    "counts of broadcast",
    sqlite="SELECT account, state, n FROM broadcast_counts WHERE broadcast = :id AND n > 0",
)
_OPEN = Statement(
    "open deliveries of broadcast",
    sqlite="""
    SELECT seq FROM deliveries
    WHERE broadcast = :id AND state IN ('queued', 'held') AND parts_done = 0 AND NOT in_doubt AND seq > :after
    ORDER BY seq LIMIT :limit
    """,
)
_HELD_SOON = Statement(
    "accounts with deliveries of broadcast that are held for a moment",
    sqlite="""
    SELECT DISTINCT account FROM deliveries
    WHERE account IN (SELECT value FROM json_each(:accounts)) AND due_at > 0 AND due_at <= :soon
    AND state = 'held' AND broadcast = :id
    """,
)
_BEGUN = Statement(
    "begun of broadcast",
    sqlite="""
    SELECT seq FROM deliveries
    WHERE account IN (SELECT account FROM feeds WHERE broadcast = :id) AND state = 'queued' AND broadcast = :id
    AND (parts_done > 0 OR in_doubt) LIMIT 1
    """,
)
_NEWEST_ENDED = Statement(
    "newest ended of broadcast",
    sqlite="""
    SELECT state FROM deliveries WHERE broadcast = :id AND settled_at > 0
    ORDER BY settled_at DESC, seq DESC LIMIT :limit
    """,
)
_TO_RECALL = Statement(
    "sent and not recalled",
    sqlite="""
    SELECT d.seq, r.ord, d.account, d.kind, d.target, d.sending_at
    FROM deliveries d JOIN recipients r ON r.broadcast = d.broadcast AND r.ord = d.ord
    WHERE d.broadcast = :id AND d.state = 'sent' AND r.recall = '' ORDER BY d.sending_at LIMIT :limit
    """,
)
# Of deliveries that another retry has, only that one goes on.
_TO_RETRY = Statement(
    "recipients to retry",
    sqlite="""
    SELECT r.ord, r.account, r.kind, r.target, r.name, r.vars, 0, '', d.seq
    FROM recipients r JOIN deliveries d ON d.broadcast = r.broadcast AND d.ord = r.ord
    WHERE r.broadcast = :id AND r.ord > :after AND d.state IN (SELECT value FROM json_each(:states))
    AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.retry_of = d.seq)
    ORDER BY r.ord LIMIT :limit
    """,
)
_RECALL_FAILED = Statement(
    "recall failed", sqlite="UPDATE recipients SET recall = :why WHERE broadcast = :id AND ord = :ord"
)


@dataclass(frozen=True, slots=True)
class NewBroadcast:
    """A broadcast about to be stored, without its recipients."""

    message: Message
    name: str
    options: BroadcastOptions
    key: str | None = None
    note: str = ""
    parent: int | None = None
    start_at: float = 0.0


class BroadcastTable:
    """Stored broadcasts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self._clock = clock

    # --- making one ---

    def create(self, connection: Connection, new: NewBroadcast) -> int:
        """Store a draft with no recipients yet and return its id."""
        now = self._clock.now()
        id = count_on(connection, "broadcast", 1)
        message = store_message(connection, new.message, dump_message(new.message), now)
        values = {
            "id": id,
            "name": new.name,
            "key": new.key,
            "message": message,
            "note": new.note,
            "options": msgspec.json.encode(new.options).decode(),
            "parent": new.parent,
            "now": now,
            "start_at": new.start_at,
        }
        connection.execute(_INSERT, values)
        return id

    def of_key(self, connection: Connection, key: str) -> int | None:
        """Return the broadcast stored under the caller's key."""
        row = connection.row(_OF_KEY, {"key": key})
        return None if row is None else int(row[0])

    def add(self, connection: Connection, id: int, recipients: Sequence[Recipient]) -> None:
        """Add recipients, each target once, behind those that are there."""
        first = int(connection.value(_LAST_ORD, {"id": id}) or 0) + 1
        rows = [_recipient_row(id, ord, one) for ord, one in enumerate(recipients, first)]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            connection.put(_INSERT_RECIPIENTS, rows[start : start + ROWS_AT_ONCE])
        spans: dict[str, tuple[int, int]] = {}
        for row in rows:
            begin, _ = spans.get(row["account"], (row["ord"], 0))
            spans[row["account"]] = begin, row["ord"]
        for account, (begin, last) in spans.items():
            connection.execute(_INSERT_FEED, {"id": id, "account": account, "fed_to": begin - 1, "last": last})

    def complete(self, connection: Connection, id: int) -> None:
        """Count the recipients: all of them are stored."""
        connection.execute(_COMPLETE, {"id": id})

    async def delete(self, id: int) -> None:
        await self.ledger.write(lambda connection: [connection.execute(one, {"id": id}) for one in _DELETE])

    # --- reading ---

    def get_on(self, connection: Connection, id: int) -> BroadcastRow:
        """Return a broadcast.

        Raises:
            Refused: there is none of that id.
        """
        row = connection.row(_GET, {"id": id})
        if row is None:
            raise Refused(f"There is no broadcast {broadcast_name(id)}. `yizhan broadcast list` shows those there are.")
        return BroadcastRow.from_row(row)

    def message_on(self, connection: Connection, id: int) -> Message:
        """Return a stored message."""
        return load_message(connection.value(MESSAGE, {"id": id}))

    async def get(self, id: int) -> BroadcastRow:
        return await self.ledger.read(lambda connection: self.get_on(connection, id))

    async def newest_first(
        self, states: Iterable[BroadcastState] = (), limit: int = 100, before: int | None = None
    ) -> list[BroadcastRow]:
        """Return broadcasts, newest first."""
        wanted = _json([state.value for state in states])
        values = {
            "states": None if wanted == "[]" else wanted,
            "limit": limit,
            "before": 1 << 62 if before is None else before,
        }
        rows = await self.ledger.read(lambda connection: connection.rows(_LIST, values))
        return [BroadcastRow.from_row(row) for row in rows]

    async def in_states(self, *states: BroadcastState) -> list[BroadcastRow]:
        values = {"states": _json([state.value for state in states])}
        rows = await self.ledger.read(lambda connection: connection.rows(_IN_STATE, values))
        return [BroadcastRow.from_row(row) for row in rows]

    async def tallies(self, row: BroadcastRow) -> dict[str, dict[State, int]]:
        """Return how many deliveries stand in each state, by account."""
        rows = await self.ledger.read(lambda connection: connection.rows(_COUNTS, {"id": row.id}))
        found: dict[str, dict[State, int]] = {}
        for account, state, n in rows:
            found.setdefault(account, {})[State(state)] = n
        return found

    async def tally(self, id: int) -> tuple[BroadcastRow, Tally]:
        """Return a broadcast and its counts, read at one moment."""

        def read(connection: Connection) -> tuple[BroadcastRow, Tally]:
            row = self.get_on(connection, id)
            return row, self.tally_on(connection, row)

        return await self.ledger.read(read)

    def tally_on(self, connection: Connection, row: BroadcastRow) -> Tally:
        states = dict.fromkeys(State, 0)
        for _, state, n in connection.rows(_COUNTS, {"id": row.id}):
            states[State(state)] += n
        return Tally(row.total, row.refused, {state: n for state, n in states.items() if n})

    async def has_begun(self, id: int) -> bool:
        """Return whether a delivery has sent a part and sends the rest, which it does during a pause, too."""
        return await self.ledger.read(lambda connection: connection.row(_BEGUN, {"id": id}) is not None)

    async def going(self, id: int, states: Iterable[State], soon: float, *, unfed: bool = True) -> set[str]:
        """Return the accounts with deliveries in one of `states`, or held and due before `soon`, or not fed yet."""
        wanted = frozenset(states)

        def read(connection: Connection) -> set[str]:
            going = {account for account, _ in self.feeds_on(connection, id)} if unfed else set()
            held = set()
            for account, state, _ in connection.rows(_COUNTS, {"id": id}):
                if State(state) in wanted:
                    going.add(account)
                elif state == State.HELD.value:
                    held.add(account)
            if held - going:
                values = {"id": id, "accounts": _json(list(held - going)), "soon": soon}
                going.update(connection.column(_HELD_SOON, values))
            return going

        return await self.ledger.read(read)

    async def to_retry(self, id: int, states: Iterable[State], after: int, limit: int) -> list[Recipient]:
        """Return recipients whose delivery ended in `states` and has no retry, with that delivery as `retry_of`."""
        values = {"id": id, "after": after, "limit": limit, "states": _json([state.value for state in states])}
        rows = await self.ledger.read(lambda connection: connection.rows(_TO_RETRY, values))
        return [_recipient(row) for row in rows]

    async def message(self, id: int) -> Message:
        """Return a stored message."""
        return await self.ledger.read(lambda connection: self.message_on(connection, id))

    async def newest_ended(self, id: int, limit: int) -> list[State]:
        """Return the states of the deliveries that ended last, newest first."""
        values = {"id": id, "limit": limit}
        states = await self.ledger.read(lambda connection: connection.column(_NEWEST_ENDED, values))
        return [State(state) for state in states]

    # --- changing state ---

    def change_on(
        self,
        connection: Connection,
        id: int,
        action: str,
        *,
        reason: PauseReason | None = None,
        detail: str = "",
        start_at: float | None = None,
    ) -> BroadcastRow:
        """Carry `action` out as the table of states allows, and return the broadcast as it is then.

        Raises:
            Refused: its state does not allow that, or its recipients are not all stored.
        """
        row = self.get_on(connection, id)
        state = after(action, row.state, broadcast_name(id))
        if not row.complete and action != "cancel":
            raise Refused(f"The recipients of {broadcast_name(id)} are not all stored. Create it again.")
        self.set_on(connection, row, state, reason=reason, detail=detail, start_at=start_at)
        if action == "resume":
            tally = self.tally_on(connection, row)
            connection.execute(_SEEN, {"id": id, "ended": tally.ended, "failed": tally.failed})
        return self.get_on(connection, id)

    def set_on(
        self,
        connection: Connection,
        row: BroadcastRow,
        state: BroadcastState,
        *,
        reason: PauseReason | None = None,
        detail: str = "",
        start_at: float | None = None,
    ) -> bool:
        """Set the state of a broadcast that has not changed since `row` was read; whether it had not."""
        values = {
            "id": row.id,
            "state": state.value,
            "reason": "" if reason is None else reason.value,
            "detail": detail,
            "start_at": start_at,
            "now": self._clock.now(),
            "version": row.version,
        }
        return connection.execute(_CHANGE, values) > 0

    def configure_on(self, connection: Connection, row: BroadcastRow, name: str, options: BroadcastOptions) -> None:
        values = {"id": row.id, "name": name, "options": msgspec.json.encode(options).decode()}
        connection.execute(_SET_OPTIONS, values)

    # --- feeding ---

    def feeds_on(self, connection: Connection, id: int) -> list[tuple[str, int]]:
        """Return the accounts that have recipients left, with the last recipient that was fed."""
        return [(account, fed_to) for account, fed_to in connection.rows(_FEEDS, {"id": id})]

    async def feeds(self, id: int) -> list[tuple[str, int]]:
        return await self.ledger.read(lambda connection: self.feeds_on(connection, id))

    def next_on(self, connection: Connection, id: int, account: str, fed_to: int, limit: int) -> list[Recipient]:
        values = {"id": id, "account": account, "after": fed_to, "limit": limit}
        return [_recipient(row) for row in connection.rows(_NEXT_RECIPIENTS, values)]

    async def next_recipients(self, id: int, account: str, fed_to: int, limit: int) -> list[Recipient]:
        """Return the recipients of `account` behind `fed_to`."""
        return await self.ledger.read(lambda connection: self.next_on(connection, id, account, fed_to, limit))

    def moved_on(self, connection: Connection, id: int, account: str, fed_to: int, to: int | None) -> bool:
        """Move the cursor of a running broadcast from `fed_to` (None: to the end); False if it has moved meanwhile."""
        values = {"id": id, "account": account, "from": fed_to, "fed_to": to}
        return connection.execute(_FED, values) > 0

    def refuse_on(self, connection: Connection, id: int, recipients: Iterable[Recipient]) -> None:
        """Record for recipients why nothing is sent to them."""
        for one in recipients:
            connection.execute(_REFUSE, {"id": id, "ord": one.ord, "refused": one.refused})
            connection.execute(_ONE_MORE_REFUSED, {"id": id})

    async def open_deliveries(self, id: int, after: int, limit: int) -> list[int]:
        """Return deliveries that have sent nothing and may be cancelled, behind the number `after`."""
        values = {"id": id, "after": after, "limit": limit}
        return await self.ledger.read(lambda connection: connection.column(_OPEN, values))

    # --- recalling ---

    async def to_recall(self, id: int, limit: int) -> tuple[list[tuple[int, int, Target, float]], bool]:
        """Return sent messages that no recall was tried for, the oldest first, and whether deliveries are still open.

        Each message as number of the delivery and of the recipient, target, and when its last part left. Both are read
        at one moment: a delivery that is sent between two reads would be in neither.
        """
        values = {"id": id, "limit": limit}

        def read(connection: Connection) -> tuple[list[Row], bool]:
            tally = self.tally_on(connection, self.get_on(connection, id))
            return connection.rows(_TO_RECALL, values), tally.open > 0

        rows, is_open = await self.ledger.read(read)
        return [(seq, ord, Target(*where), at) for seq, ord, *where, at in rows], is_open

    async def record_recall_failed(self, id: int, ord: int, why: str) -> None:
        values = {"id": id, "ord": ord, "why": why}
        await self.ledger.write(lambda connection: connection.execute(_RECALL_FAILED, values))


def _recipient_row(id: int, ord: int, one: Recipient) -> Mapping[str, Any]:
    return {
        "broadcast": id,
        "ord": ord,
        "account": one.target.account,
        "kind": one.target.kind,
        "target": one.target.id,
        "name": one.name,
        "vars": _json(one.values) if one.values else "",
        "parts": one.parts,
        "refused": one.refused,
        "retry_of": one.retry_of,
    }


def _recipient(row: Row) -> Recipient:
    ord, account, kind, target, name, vars, parts, refused, retry_of = row
    values = msgspec.json.decode(vars, type=dict[str, str]) if vars else {}
    return Recipient(Target(account, kind, target), name, values, parts, refused, retry_of, ord)


def _json(values: object) -> str:
    return msgspec.json.encode(values).decode()
