"""The tables, once for SQLite and PostgreSQL. Times are seconds since the epoch; secrets are stored encrypted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()


def _only(condition: str) -> dict[str, Any]:
    """An index of only the rows that `condition` holds for."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


Serial = BigInteger().with_variant(Integer, "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("settings", LargeBinary, nullable=False),  # JSON, encrypted
    Column("paused", Text, nullable=False, default=""),  # why it does not send; empty when it does
    Column("added_at", Float, nullable=False),
)

keeps = Table(
    "keeps",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("value", LargeBinary, nullable=False),  # encrypted
)

contacts = Table(
    "contacts",
    metadata,
    Column("alias", String(120), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("is_tag", Boolean, nullable=False, default=False),
)

media = Table(
    "media",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("md5", String(32), nullable=False),
    Column("crc32", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("mime", String(120), nullable=False),
    Column("format", String(24), nullable=False),
    Column("width", Integer, nullable=False, default=0),
    Column("height", Integer, nullable=False, default=0),
    Column("duration_ms", Integer, nullable=False, default=0),
    Column("name", Text, nullable=False, default=""),
    Column("added_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
)

variants = Table(
    "variants",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("recipe", String(120), primary_key=True),
    Column("sha256", String(64), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)

message_media = Table(
    "message_media",
    metadata,
    Column("message", BigInteger, primary_key=True),
    Column("sha256", String(64), primary_key=True, index=True),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=False),
    Column("message", BigInteger, nullable=False, index=True),
    Column("broadcast", BigInteger, nullable=False, default=0),  # seq of the first delivery of the same call
    Column("account", String(80), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("key", String(200)),  # the caller's; NULL when none was given
    Column("priority", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("due_at", Float, nullable=False, default=0.0),
    Column("not_before", Float, nullable=False, default=0.0, server_default="0"),
    Column("expires_at", Float),
    Column("first_number", Integer, nullable=False, default=1),
    Column("parts", Integer, nullable=False, default=0, server_default="0"),  # when accepted; 0 where not stored
    Column("retry_of", BigInteger),  # the delivery whose missing parts this one carries
    Column("reply_id", Text),
    Column("parts_done", Integer, nullable=False, default=0),
    Column("repeatable", Boolean, nullable=False, default=False),  # of the part that is being sent
    Column("asked", Boolean, nullable=False, default=False),  # an earlier try of that part ended without an answer
    Column("asked_since", Float, nullable=False, default=0.0, server_default="0"),  # when that try left
    Column("spends", Text, nullable=False, default=""),  # the budgets that the sent parts counted against
    Column("attempts", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0, server_default="0"),  # of the part that is being sent
    Column("ids", Text, nullable=False, default="[]"),  # JSON list of PlatformId, one per part done
    Column("notes", Text, nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("error", String(40), nullable=False, default=""),
    Column("code", String(40), nullable=False, default=""),
    Column("trace_id", String(80), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("sending_at", Float, nullable=False, default=0.0),
    Column("sent_as", Text, nullable=False, default="", server_default=""),  # session of the last attempt
    Column("settled_at", Float, nullable=False, default=0.0),
    UniqueConstraint("key", "account", "kind", "target", name="one_delivery_per_key_and_target"),
    # A delivery is retried once; a second retry finds the first. NULLs are all different.
    Index("one_retry_per_delivery", "retry_of", unique=True, **_only("retry_of IS NOT NULL")),
    Index("deliveries_due", "account", "state", "priority", "seq"),
    Index("deliveries_of_broadcast", "broadcast", "state"),
    Index("deliveries_spent", "account", "sending_at"),
    # Of what waits for a time there is little, and it is asked for often.
    Index("deliveries_timed", "account", "due_at", **_only("due_at > 0")),
    Index("deliveries_ending", "account", "expires_at", **_only("expires_at IS NOT NULL AND settled_at = 0")),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("delivery", BigInteger, nullable=False, index=True),
    Column("part", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("error", String(40), nullable=False),
    Column("code", String(40), nullable=False, default=""),
    Column("trace_id", String(80), nullable=False, default=""),
    Column("detail", Text, nullable=False),
    Column("decision", Text, nullable=False),
)

handles = Table(
    "handles",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("scope", String(160), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("use", String(300), primary_key=True),
    Column("recipe", String(120), primary_key=True),
    Column("token", LargeBinary, nullable=False),  # encrypted: some wires put keys in it
    Column("expires_at", Float),
    Column("made_at", Float, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

replies = Table(
    "replies",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("reply_id", Text, primary_key=True),
    Column("next_number", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("account", String(80), nullable=False),
    Column("event_id", Text, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted: it may hold context tokens
    Column("stored_at", Float, nullable=False, server_default="0"),
    UniqueConstraint("account", "event_id", name="one_event_per_id"),
)

contexts = Table(
    "contexts",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),  # encrypted
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
