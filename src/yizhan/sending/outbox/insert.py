"""Stores the deliveries of one call: the message once, a row per target, all in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from yizhan.errors import Refused
from yizhan.model import Media, MediaSegment, Message, PlatformId, State, Target, dump_message
from yizhan.sending.delivery import DELIVERY_COLUMNS, Delivery, Progress, Submission, Submitted
from yizhan.storage.counters import count_on
from yizhan.storage.driver import Connection
from yizhan.storage.statement import RowStatement, Statement

AT_ONCE = 64
"""Most deliveries of one call that are handed to the lanes directly; more are read from the store in portions."""
NOT_YET = "Held until its time."
ROWS_AT_ONCE = 512

_COLUMNS = (*DELIVERY_COLUMNS, "ord", "parts_done", "key", "reply_id", "created_at")
_INSERT = RowStatement(
    "insert deliveries",
    _COLUMNS,
    sqlite=f"""
    INSERT INTO deliveries ({", ".join(_COLUMNS)})
    SELECT {", ".join(f"v.{name}" for name in _COLUMNS)} FROM {{rows}} WHERE v.seq IS NOT NULL
    """,
)
_INSERT_MESSAGE = Statement(
    "insert message",
    sqlite="INSERT INTO messages (id, digest, body, created_at) VALUES (:id, :digest, :body, :created_at)",
)
_INSERT_MEDIUM = Statement(
    "insert medium of message", sqlite="INSERT INTO message_media (message, sha256) VALUES (:message, :sha256)"
)
_NEXT_NUMBER = Statement(
    "next number of answer",
    sqlite="""
    INSERT INTO replies (account, reply_id, next_number) VALUES (:account, :reply_id, 1 + :parts)
    ON CONFLICT (account, reply_id) DO UPDATE SET next_number = next_number + :parts
    RETURNING next_number
    """,
)
# Of a broadcast with placeholders, every delivery has a message of its own; its template is the message of the key.
_DIGEST_OF_KEY = Statement(
    "message digest of key",
    sqlite="""
    SELECT digest FROM messages WHERE id = coalesce(
        (SELECT message FROM broadcasts WHERE key = :key), (SELECT message FROM deliveries WHERE key = :key LIMIT 1)
    )
    """,
)
_KNOWN = Statement(
    "deliveries of key",
    sqlite="""
    SELECT d.seq, d.account, d.kind, d.target FROM json_each(:targets) AS t CROSS JOIN deliveries AS d
    WHERE d.key = :key AND d.account = json_extract(t.value, '$[0]')
        AND d.kind = json_extract(t.value, '$[1]') AND d.target = json_extract(t.value, '$[2]')
    """,
)
_PARTS_OF = Statement(
    "parts of deliveries", sqlite="SELECT seq, ids FROM deliveries WHERE seq IN (SELECT value FROM json_each(:seqs))"
)


@dataclass(frozen=True, slots=True)
class NewDeliveries:
    """One message for some targets, about to be stored."""

    message: Message
    submissions: Sequence[Submission]
    priority: int
    key: str | None
    """The caller's: deliveries stored under it before are found instead of stored again; a broadcast has looked."""
    expires_at: float | None
    not_before: float
    """Seconds since the epoch until which it is held; 0 for at once."""
    note: str
    """A remark that every receipt carries from the start."""
    at: float
    broadcast: int = 0
    """The broadcast that feeds them; 0 for none."""
    message_id: int = 0
    """Of the message, where it is stored already."""


def store(connection: Connection, new: NewDeliveries) -> Submitted:
    """Store the deliveries that are not there yet; (key, target) is unique.

    Raises:
        Refused: the key was used for another message.
    """
    body = dump_message(new.message)
    known: Mapping[Target, int] = {}
    if new.key is not None and not new.broadcast:
        check_key(connection, new.key, new.message)
        known = known_of(connection, new.key, [one.target for one in new.submissions])
    missing = [one for one in new.submissions if one.target not in known]
    if not missing:
        return Submitted([known[one.target] for one in new.submissions], repeated=True)
    first = count_on(connection, "delivery", len(missing))
    message_id = new.message_id or store_message(connection, new.message, body, new.at)
    numbers = _numbers(connection, new.message, missing)
    ready: list[Delivery] = []
    for start in range(0, len(missing), ROWS_AT_ONCE):
        some = missing[start : start + ROWS_AT_ONCE]
        rows = _deliveries(new, first, message_id, some, start, numbers)
        connection.put(_INSERT, [_row(new, delivery, one) for delivery, one in zip(rows, some, strict=True)])
        if len(missing) <= AT_ONCE and new.not_before <= new.at:
            ready = rows
    if not known:
        return Submitted(range(first, first + len(missing)), deliveries=ready)
    stored = {one.target: first + index for index, one in enumerate(missing)}
    seqs = [known[one.target] if one.target in known else stored[one.target] for one in new.submissions]
    return Submitted(seqs, deliveries=ready)


def _deliveries(
    new: NewDeliveries,
    first: int,
    message_id: int,
    submissions: Sequence[Submission],
    start: int,
    numbers: Sequence[int],
) -> list[Delivery]:
    waits = new.not_before > new.at
    progress = Progress(
        State.HELD if waits else State.QUEUED,
        new.not_before if waits else 0.0,
        notes=tuple(new.note.split("\n")) if new.note else (),
        detail=NOT_YET if waits else "",
    )
    return [
        Delivery(
            first + index,
            one.message_id or message_id,
            new.broadcast,
            one.target,
            new.priority,
            new.expires_at,
            new.not_before,
            numbers[index] if numbers else 1,
            one.parts,
            one.retry_of,
            progress=replace(progress, ids=one.ids) if one.ids else progress,
        )
        for index, one in enumerate(submissions, start)
    ]


def _row(new: NewDeliveries, delivery: Delivery, one: Submission) -> dict[str, Any]:
    reply_id = new.message.reply.id if new.message.reply else None
    return {**delivery.to_row(), "ord": one.ord, "key": new.key, "reply_id": reply_id, "created_at": new.at}


def store_message(connection: Connection, message: Message, body: bytes, at: float) -> int:
    """Store a message and return its id, which no earlier message has had."""
    message_id = count_on(connection, "message", 1)
    values = {"id": message_id, "digest": hashlib.sha256(body).hexdigest(), "body": body, "created_at": at}
    connection.execute(_INSERT_MESSAGE, values)
    media = {
        segment.media.sha256
        for segment in message.segments
        if isinstance(segment, MediaSegment) and isinstance(segment.media, Media)
    }
    for sha256 in media:
        connection.execute(_INSERT_MEDIUM, {"message": message_id, "sha256": sha256})
    return message_id


def parts_of(connection: Connection, seqs: Sequence[int]) -> dict[int, tuple[PlatformId, ...]]:
    """Return the platform's ids of the parts that deliveries have sent, by number."""
    if not seqs:
        return {}
    rows = connection.rows(_PARTS_OF, {"seqs": msgspec.json.encode(list(seqs)).decode()})
    return {seq: msgspec.json.decode(ids, type=tuple[PlatformId, ...]) for seq, ids in rows}


def _numbers(connection: Connection, message: Message, submissions: Sequence[Submission]) -> list[int]:
    """Return the first number of every delivery; empty when all begin at 1.

    Answers to one message count on from where the last answer stopped.
    """
    if message.reply is None:
        return []
    numbers = []
    for submission in submissions:
        parts = max(1, submission.parts)
        values = {"account": submission.target.account, "reply_id": message.reply.id, "parts": parts}
        numbers.append(int(connection.value(_NEXT_NUMBER, values)) - parts)
    return numbers


def check_key(connection: Connection, key: str, message: Message) -> None:
    """Check that nothing but `message` was stored under the caller's `key`, by a single call or by a broadcast.

    Raises:
        Refused: another message was.
    """
    row = connection.row(_DIGEST_OF_KEY, {"key": key})
    if row is not None and row[0] != hashlib.sha256(dump_message(message)).hexdigest():
        raise Refused(f"The key '{key}' was used before for another message. Use a key per message, or leave it out.")


def known_of(connection: Connection, key: str, targets: Sequence[Target]) -> dict[Target, int]:
    """Return the numbers of the deliveries to `targets` that were stored under `key` before, by target."""
    places = [(target.account, target.kind, target.id) for target in targets]
    values = {"key": key, "targets": msgspec.json.encode(places).decode()}
    return {Target(*where): seq for seq, *where in connection.rows(_KNOWN, values)}
