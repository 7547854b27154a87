"""The index of the media in the blob store: tables `media` and `variants`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yizhan.model import Media, State
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import deliveries, media, message_media, variants

_FIELDS = tuple(Media.__struct_fields__)
# An unknown delivery may be sent again by a person, so its media are kept too.
_OPEN = (*(state.value for state in State if not state.final), State.UNKNOWN.value)


@dataclass(frozen=True, slots=True)
class MediaRow:
    """One row. Times are seconds since the epoch."""

    media: Media
    added_at: float
    used_at: float
    needed: int
    """Number of unsettled deliveries that need it."""


class SqlMediaIndex:
    """The index in the ledger's store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def find(self, sha256: str) -> Media | None:
        return await self._ledger.read(lambda connection: _find(connection, sha256))

    async def add(self, found: Media, at: float) -> None:
        """Note it; one that is known already is only touched."""
        values = {**msgspec.structs.asdict(found), "added_at": at, "used_at": at}

        def work(connection: Connection) -> None:
            if not _touch(connection, found.sha256, at) and not _inserted(connection, media, values):
                _touch(connection, found.sha256, at)

        await self._ledger.write(work)

    async def touch(self, sha256: str, at: float) -> bool:
        """Note that it was used; returns whether it is known."""
        return await self._ledger.write(lambda connection: _touch(connection, sha256, at))

    async def all(self) -> Sequence[MediaRow]:
        """Everything, the least recently used first."""
        return await self._ledger.read(_all)

    async def digests(self) -> set[str]:
        """The SHA-256 of everything."""
        query = sa.select(media.c.sha256)
        return await self._ledger.read(lambda connection: set(connection.execute(query).scalars()))

    async def remove(self, sha256: str, unused_since: float) -> bool:
        """Forget it and what was made of it, unless it is needed or was used after `unused_since`; returns whether."""
        return await self._ledger.write(lambda connection: _remove(connection, sha256, unused_since))

    async def variant(self, source: str, recipe: str) -> Media | None:
        """Return what `recipe` made of `source`, if that is still held."""
        query = sa.select(media).join(variants, variants.c.sha256 == media.c.sha256)
        query = query.where(variants.c.source == source, variants.c.recipe == recipe)
        return await self._ledger.read(lambda connection: _media(connection.execute(query).mappings().first()))

    async def add_variant(self, source: str, recipe: str, sha256: str) -> None:
        """Note that `recipe` made `sha256` of `source`."""

        def work(connection: Connection) -> None:
            connection.execute(sa.delete(variants).where(variants.c.source == source, variants.c.recipe == recipe))
            _inserted(connection, variants, {"source": source, "recipe": recipe, "sha256": sha256})

        await self._ledger.write(work)


def _inserted(connection: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row; False when another node was quicker with the same one."""
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(table).values(values))
    except sa.exc.IntegrityError:
        return False
    return True


def _needs() -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Select medium and delivery wherever an open delivery's message names a medium, or the source that it was made of.

    Two selections, since no index serves "the one or the other".
    """
    open_ones = deliveries.c.message == message_media.c.message, deliveries.c.state.in_(_OPEN)
    named = sa.select(message_media.c.sha256, deliveries.c.seq).where(*open_ones)
    made = sa.select(variants.c.sha256, deliveries.c.seq).where(variants.c.source == message_media.c.sha256, *open_ones)
    return named, made


def _find(connection: Connection, sha256: str) -> Media | None:
    return _media(connection.execute(sa.select(media).where(media.c.sha256 == sha256)).mappings().first())


def _touch(connection: Connection, sha256: str, at: float) -> bool:
    query = sa.update(media).where(media.c.sha256 == sha256).values(used_at=at)
    return bool(connection.execute(query).rowcount)


def _all(connection: Connection) -> list[MediaRow]:
    need = sa.union(*_needs()).subquery()
    counts = sa.select(need.c.sha256, sa.func.count()).group_by(need.c.sha256)
    needed: dict[str, int] = dict(connection.execute(counts).tuples().all())
    query = sa.select(media).order_by(media.c.used_at, media.c.added_at)
    found = []
    for row in connection.execute(query).mappings():
        held = _media(row)
        if held is not None:
            found.append(MediaRow(held, row["added_at"], row["used_at"], needed.get(held.sha256, 0)))
    return found


def _remove(connection: Connection, sha256: str, unused_since: float) -> bool:
    named, made = _needs()
    query = sa.delete(media).where(
        media.c.sha256 == sha256,
        media.c.used_at <= unused_since,
        ~named.where(message_media.c.sha256 == sha256).exists(),
        ~made.where(variants.c.sha256 == sha256).exists(),
    )
    if not connection.execute(query).rowcount:
        return False
    connection.execute(sa.delete(variants).where(sa.or_(variants.c.source == sha256, variants.c.sha256 == sha256)))
    return True


def _media(row: Any) -> Media | None:
    return None if row is None else msgspec.convert({name: row[name] for name in _FIELDS}, Media)
