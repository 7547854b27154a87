"""Stores the deliveries of one call: the message once, a row per target, all in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yizhan.errors import Refused
from yizhan.model import Media, MediaSegment, Message, State, Target, dump_message
from yizhan.sending.delivery import DELIVERY_COLUMNS, Delivery, Progress, Submission, Submitted
from yizhan.storage.counters import count_on
from yizhan.storage.driver import Connection
from yizhan.storage.statement import RowStatement, Statement

AT_ONCE = 64
"""Most deliveries of one call that are handed to the lanes directly; more are read from the store in portions."""
NOT_YET = "Held until its time."
ROWS_AT_ONCE = 512

_COLUMNS = (*DELIVERY_COLUMNS, "parts_done", "key", "reply_id", "created_at")
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
_KNOWN = Statement(
    "deliveries of key",
    sqlite="""
    SELECT deliveries.seq, broadcast, account, kind, target, messages.digest
    FROM deliveries JOIN messages ON messages.id = deliveries.message
    WHERE deliveries.key = :key
    """,
)


@dataclass(frozen=True, slots=True)
class NewDeliveries:
    """One message for some targets, about to be stored."""

    message: Message
    submissions: Sequence[Submission]
    priority: int
    key: str | None
    """The caller's: deliveries stored under it before are found instead of stored again."""
    expires_at: float | None
    not_before: float
    """Seconds since the epoch until which it is held; 0 for at once."""
    note: str
    """A remark that every receipt carries from the start."""
    at: float


def store(connection: Connection, new: NewDeliveries) -> Submitted:
    """Store the deliveries that are not there yet; (key, target) is unique.

    Raises:
        Refused: the key was used for another message.
    """
    body = dump_message(new.message)
    digest = hashlib.sha256(body).hexdigest()
    known = _known(connection, new.key, digest) if new.key is not None else {}
    missing = [one for one in new.submissions if one.target not in known]
    if not missing:
        seqs = [known[one.target][0] for one in new.submissions]
        return Submitted(known[new.submissions[0].target][1], seqs, repeated=True)
    first = count_on(connection, "delivery", len(missing))
    # A target that is added under a known key belongs to the call that used the key first.
    broadcast = next(iter(known.values()))[1] if known else first
    _insert_message(connection, first, digest, body, new)
    numbers = _numbers(connection, new.message, missing)
    ready: list[Delivery] = []
    for start in range(0, len(missing), ROWS_AT_ONCE):
        rows = _deliveries(new, first, broadcast, missing[start : start + ROWS_AT_ONCE], start, numbers)
        connection.put(_INSERT, [_row(new, delivery) for delivery in rows])
        if len(missing) <= AT_ONCE and new.not_before <= new.at:
            ready = rows
    if not known:
        return Submitted(first, range(first, first + len(missing)), deliveries=ready)
    stored = {one.target: first + index for index, one in enumerate(missing)}
    seqs = [known[one.target][0] if one.target in known else stored[one.target] for one in new.submissions]
    return Submitted(broadcast, seqs, deliveries=ready)


def _deliveries(
    new: NewDeliveries,
    first: int,
    broadcast: int,
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
            first,
            broadcast,
            one.target,
            new.priority,
            new.expires_at,
            new.not_before,
            numbers[index] if numbers else 1,
            one.parts,
            progress=progress,
        )
        for index, one in enumerate(submissions, start)
    ]


def _row(new: NewDeliveries, delivery: Delivery) -> dict[str, Any]:
    reply_id = new.message.reply.id if new.message.reply else None
    return {**delivery.to_row(), "key": new.key, "reply_id": reply_id, "created_at": new.at}


def _insert_message(connection: Connection, message_id: int, digest: str, body: bytes, new: NewDeliveries) -> None:
    """Store the message. Its id is the number of its first delivery, which no earlier message has."""
    values = {"id": message_id, "digest": digest, "body": body, "created_at": new.at}
    connection.execute(_INSERT_MESSAGE, values)
    media = {
        segment.media.sha256
        for segment in new.message.segments
        if isinstance(segment, MediaSegment) and isinstance(segment.media, Media)
    }
    for sha256 in media:
        connection.execute(_INSERT_MEDIUM, {"message": message_id, "sha256": sha256})


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


def _known(connection: Connection, key: str, digest: str) -> dict[Target, tuple[int, int]]:
    """Return number and broadcast of the deliveries stored under `key` before, by target."""
    rows = connection.rows(_KNOWN, {"key": key})
    if any(stored_digest != digest for *_, stored_digest in rows):
        raise Refused(f"The key '{key}' was used before for another message. Use a key per message, or leave it out.")
    return {Target(account, kind, target): (seq, broadcast) for seq, broadcast, account, kind, target, _ in rows}
