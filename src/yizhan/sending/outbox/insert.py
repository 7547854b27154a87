"""Storing what one call submits: its message once, a delivery per target, all in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.errors import Refused
from yizhan.model import Media, MediaSegment, Message, State, Target, dump_message
from yizhan.sending.delivery import Job, Submission, Submitted
from yizhan.storage.counters import count_on
from yizhan.storage.ledger import Prepared
from yizhan.storage.tables import deliveries, message_media, messages, replies

AT_ONCE = 64
"""Deliveries of one call that are handed to the lanes directly; more are read from the store in portions."""
NOT_YET = "Held until its time."
ROWS = 5000
"""Rows that are made at a time."""

_INSERT = Prepared(
    deliveries.insert(),
    (
        "seq",
        "message",
        "broadcast",
        "account",
        "kind",
        "target",
        "key",
        "priority",
        "state",
        "due_at",
        "not_before",
        "detail",
        "expires_at",
        "first_number",
        "reply_id",
        "notes",
        "created_at",
    ),
)
_KEEP = Prepared(messages.insert(), ("id", "digest", "body", "created_at"))


@dataclass(frozen=True, slots=True)
class New:
    """What is to be stored: one message for some targets."""

    message: Message
    submissions: Sequence[Submission]
    priority: int
    key: str | None
    """With it, what was stored under it before is found instead of stored again."""
    expires_at: float | None
    not_before: float
    """Seconds since the epoch until which it is held; 0 for at once."""
    note: str
    """What every receipt says from the start."""
    at: float


def store(connection: Connection, new: New) -> Submitted:
    """Store what is not there yet; (key, target) is unique.

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
    # What is added under a key belongs to what was stored under it first.
    broadcast = next(iter(known.values()))[1] if known else first
    _keep_message(connection, first, digest, body, new)
    numbers = _numbers(connection, new.message, missing)
    for start in range(0, len(missing), ROWS):
        _INSERT.run(connection, list(_rows(new, first, broadcast, missing[start : start + ROWS], start, numbers)))
    at_once = len(missing) <= AT_ONCE and new.not_before <= new.at
    jobs = _jobs(new, first, missing, numbers) if at_once else []
    if not known:
        return Submitted(first, range(first, first + len(missing)), jobs=jobs)
    stored = {one.target: first + index for index, one in enumerate(missing)}
    seqs = [known[one.target][0] if one.target in known else stored[one.target] for one in new.submissions]
    return Submitted(broadcast, seqs, jobs=jobs)


def _rows(
    new: New, first: int, broadcast: int, submissions: Sequence[Submission], start: int, numbers: Sequence[int]
) -> Iterator[Mapping[str, Any]]:
    waits = new.not_before > new.at
    same = {
        "message": first,
        "broadcast": broadcast,
        "key": new.key,
        "priority": new.priority,
        "state": (State.HELD if waits else State.QUEUED).value,
        "due_at": new.not_before if waits else 0.0,
        "not_before": new.not_before,
        "detail": NOT_YET if waits else "",
        "expires_at": new.expires_at,
        "reply_id": new.message.reply.id if new.message.reply else None,
        "notes": new.note,
        "created_at": new.at,
    }
    for index, one in enumerate(submissions, start):
        yield {
            **same,
            "seq": first + index,
            "account": one.target.account,
            "kind": one.target.kind,
            "target": one.target.id,
            "first_number": numbers[index] if numbers else 1,
        }


def _jobs(new: New, first: int, submissions: Sequence[Submission], numbers: Sequence[int]) -> list[Job]:
    return [
        Job(
            first + index,
            first,
            one.target,
            new.priority,
            new.expires_at,
            numbers[index] if numbers else 1,
            notes=new.note,
        )
        for index, one in enumerate(submissions)
    ]


def _keep_message(connection: Connection, message_id: int, digest: str, body: bytes, new: New) -> None:
    """Store a message. Its id is the number of its first delivery, which no message before it can have."""
    _KEEP.run(connection, [{"id": message_id, "digest": digest, "body": body, "created_at": new.at}])
    media = {
        segment.media.sha256
        for segment in new.message.segments
        if isinstance(segment, MediaSegment) and isinstance(segment.media, Media)
    }
    if media:
        connection.execute(message_media.insert(), [{"message": message_id, "sha256": one} for one in media])


def _numbers(connection: Connection, message: Message, submissions: Sequence[Submission]) -> list[int]:
    """Give every delivery its first number; empty when all begin at 1.

    Answers to one message count on from where the last answer stopped.
    """
    if message.reply is None:
        return []
    numbers = []
    for submission in submissions:
        where = (replies.c.account == submission.target.account) & (replies.c.reply_id == message.reply.id)
        parts = max(1, submission.parts)
        after = connection.execute(
            replies.update()
            .where(where)
            .values(next_number=replies.c.next_number + parts)
            .returning(replies.c.next_number)
        ).scalar()
        if after is None:
            after = 1 + parts
            connection.execute(
                replies.insert().values(account=submission.target.account, reply_id=message.reply.id, next_number=after)
            )
        numbers.append(int(after) - parts)
    return numbers


def _known(connection: Connection, key: str, digest: str) -> dict[Target, tuple[int, int]]:
    """Return number and broadcast of what was stored under `key` before, by target."""
    rows = connection.execute(
        sa.select(
            deliveries.c.seq,
            deliveries.c.broadcast,
            deliveries.c.account,
            deliveries.c.kind,
            deliveries.c.target,
            messages.c.digest,
        )
        .join(messages, messages.c.id == deliveries.c.message)
        .where(deliveries.c.key == key)
    ).all()
    if any(row.digest != digest for row in rows):
        raise Refused(f"The key '{key}' was used before for another message. Use a key per message, or leave it out.")
    return {Target(row.account, row.kind, row.target): (row.seq, row.broadcast) for row in rows}
