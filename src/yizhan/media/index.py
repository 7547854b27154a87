"""The library's index: one row for each medium in the blob store, and which variant was made of which source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from yizhan.model import Media, Variant
from yizhan.storage.driver import Connection, Row
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement

_FIELDS = tuple(Media.__struct_fields__)
_MEDIA = ", ".join(f"media.{name}" for name in _FIELDS)

_ADD = Statement(
    "add medium",
    sqlite=f"""
    INSERT INTO media ({", ".join(_FIELDS)}, added_at, used_at)
    VALUES ({", ".join(f":{name}" for name in _FIELDS)}, :at, :at)
    ON CONFLICT (sha256) DO UPDATE SET used_at = excluded.used_at
    """,
)
_TOUCH = Statement("touch medium", sqlite="UPDATE media SET used_at = :at WHERE sha256 = :sha256")
_FIND = Statement("find medium", sqlite=f"SELECT {_MEDIA} FROM media WHERE sha256 = :sha256")
_DIGESTS = Statement("digests", sqlite="SELECT sha256 FROM media")

# An unknown delivery may be sent again by a person, so its media are needed too. The two ways in which a delivery needs
# a medium, by name or as the source of a variant, are two queries, since no index serves "the one or the other".
_OPEN = "deliveries.state IN ('queued', 'sending', 'held', 'unknown')"
_NAMED = f"""
    SELECT message_media.sha256, deliveries.seq
    FROM message_media JOIN deliveries ON deliveries.message = message_media.message AND {_OPEN}
"""
_MADE = f"""
    SELECT variants.sha256, deliveries.seq
    FROM variants
    JOIN message_media ON message_media.sha256 = variants.source
    JOIN deliveries ON deliveries.message = message_media.message AND {_OPEN}
"""
_ALL = Statement(
    "all media",
    sqlite=f"""
    SELECT {_MEDIA}, media.added_at, media.used_at, coalesce(needs.count, 0)
    FROM media
    LEFT JOIN (SELECT sha256, count(*) AS count FROM ({_NAMED} UNION {_MADE}) GROUP BY sha256) AS needs
    ON needs.sha256 = media.sha256
    ORDER BY media.used_at, media.added_at
    """,
)
_REMOVE = Statement(
    "remove unused medium",
    sqlite=f"""
    DELETE FROM media
    WHERE sha256 = :sha256 AND used_at <= :unused_since
    AND NOT EXISTS ({_NAMED} WHERE message_media.sha256 = :sha256)
    AND NOT EXISTS ({_MADE} WHERE variants.sha256 = :sha256)
    """,
)
_REMOVE_VARIANTS = Statement(
    "remove variants of medium", sqlite="DELETE FROM variants WHERE source = :sha256 OR sha256 = :sha256"
)
_VARIANT = Statement(
    "find variant",
    sqlite=f"""
    SELECT {_MEDIA}, variants.changes FROM variants JOIN media ON media.sha256 = variants.sha256
    WHERE variants.source = :source AND variants.recipe = :recipe
    """,
)
_ADD_VARIANT = Statement(
    "add variant",
    sqlite="""
    INSERT INTO variants (source, recipe, sha256, changes) VALUES (:source, :recipe, :sha256, :changes)
    ON CONFLICT (source, recipe) DO UPDATE SET sha256 = excluded.sha256, changes = excluded.changes
    """,
)


@dataclass(frozen=True, slots=True)
class MediaRow:
    """One row. Times are seconds since the epoch."""

    media: Media
    added_at: float
    used_at: float
    needed: int
    """How many deliveries that are not settled need it."""


class SqlMediaIndex:
    """The index in the ledger's store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def find(self, sha256: str) -> Media | None:
        row = await self._ledger.read(lambda connection: connection.row(_FIND, {"sha256": sha256}))
        return None if row is None else _media(row)

    async def add(self, found: Media, at: float) -> None:
        """Add a medium; one that is known is touched."""
        values = {**msgspec.structs.asdict(found), "at": at}
        await self._ledger.write(lambda connection: connection.execute(_ADD, values))

    async def touch(self, sha256: str, at: float) -> bool:
        """Record that a medium was used; return whether it is known."""
        values = {"sha256": sha256, "at": at}
        return bool(await self._ledger.write(lambda connection: connection.execute(_TOUCH, values)))

    async def all(self) -> Sequence[MediaRow]:
        """Return every medium, the least recently used first."""
        rows = await self._ledger.read(lambda connection: connection.rows(_ALL))
        return [MediaRow(_media(row), *row[len(_FIELDS) :]) for row in rows]

    async def digests(self) -> set[str]:
        """Return the SHA-256 of every medium."""
        return set(await self._ledger.read(lambda connection: connection.column(_DIGESTS)))

    async def remove(self, sha256: str, unused_since: float) -> bool:
        """Remove a medium and its variants, unless it is needed or was used after `unused_since`; return whether."""
        values = {"sha256": sha256, "unused_since": unused_since}

        def remove(connection: Connection) -> bool:
            if not connection.execute(_REMOVE, values):
                return False
            connection.execute(_REMOVE_VARIANTS, values)
            return True

        return await self._ledger.write(remove)

    async def variant(self, source: str, recipe: str) -> Variant | None:
        """Return the variant that `recipe` made of `source`, if it is still there."""
        values = {"source": source, "recipe": recipe}
        row = await self._ledger.read(lambda connection: connection.row(_VARIANT, values))
        return None if row is None else Variant(_media(row), msgspec.json.decode(row[-1], type=tuple[str, ...]))

    async def add_variant(self, source: str, recipe: str, variant: Variant) -> None:
        """Record what `recipe` made of `source`."""
        changes = msgspec.json.encode(variant.changes).decode()
        values = {"source": source, "recipe": recipe, "sha256": variant.media.sha256, "changes": changes}
        await self._ledger.write(lambda connection: connection.execute(_ADD_VARIANT, values))


def _media(row: Row) -> Media:
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=False))
    return msgspec.convert(values, Media)
