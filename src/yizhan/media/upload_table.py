"""The table of upload handles, by account, scope, digest, use and recipe."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from yizhan.model import Handle
from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import handles
from yizhan.storage.vault import Vault

Key = tuple[str, str, str, str, str]
"""account, scope, sha256, use, recipe"""


class HandleTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def find(self, key: Key) -> tuple[Handle, float] | None:
        """Return the handle and its time of creation, or None."""
        row: Any = await self._ledger.read(lambda c: c.execute(sa.select(handles).where(_where(key))).first())
        if row is None:
            return None
        return Handle(self._vault.unlock(row.token, "handle").decode(), row.scope, row.expires_at), row.made_at

    async def keep(self, key: Key, handle: Handle, now: float, size: int) -> None:
        """Store `handle`, replacing an older one; returns once it is on disk."""
        account, scope, sha256, use, recipe = key
        row = {
            "account": account,
            "scope": scope,
            "sha256": sha256,
            "use": use,
            "recipe": recipe,
            "token": self._vault.lock(handle.token.encode(), "handle"),
            "expires_at": handle.expires_at,
            "made_at": now,
            "bytes": size,
        }

        def replace(connection: sa.engine.Connection) -> None:
            connection.execute(handles.delete().where(_where(key)))
            connection.execute(handles.insert().values(row))

        await self._ledger.write(replace)

    async def drop(self, key: Key, token: str) -> None:
        """Remove the handle under `key`, unless it has another token by now."""

        def drop(connection: sa.engine.Connection) -> None:
            stored = connection.execute(sa.select(handles.c.token).where(_where(key))).scalar()
            if stored is not None and self._vault.unlock(stored, "handle") == token.encode():
                connection.execute(handles.delete().where(_where(key)))

        await self._ledger.write(drop)

    async def forget(self, account: str) -> None:
        """Remove all handles of `account`."""
        await self._ledger.write(lambda c: c.execute(handles.delete().where(handles.c.account == account)).rowcount)

    async def tidy(self, now: float) -> int:
        """Remove expired handles; return how many."""
        return await self._ledger.write(
            lambda c: c.execute(handles.delete().where(handles.c.expires_at <= now)).rowcount
        )

    async def all(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return all rows, without the tokens."""
        columns = [column for column in handles.c if column.name != "token"]
        query = sa.select(*columns).order_by(handles.c.made_at)
        if account:
            query = query.where(handles.c.account == account)
        return await self._ledger.read(lambda c: [dict(row._mapping) for row in c.execute(query)])


def _where(key: Key) -> Any:
    account, scope, sha256, use, recipe = key
    return (
        (handles.c.account == account)
        & (handles.c.scope == scope)
        & (handles.c.sha256 == sha256)
        & (handles.c.use == use)
        & (handles.c.recipe == recipe)
    )
