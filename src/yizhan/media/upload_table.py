"""Handles that platforms gave for uploads, by account, scope, digest, use and recipe."""

from __future__ import annotations

from typing import Any

from yizhan.model import Handle
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import Statement
from yizhan.storage.vault import Vault

Key = tuple[str, str, str, str, str]
"""account, scope, sha256, use, recipe"""

_KEY = "account = :account AND scope = :scope AND sha256 = :sha256 AND use = :use AND recipe = :recipe"
_FIND = Statement("find handle", sqlite=f"SELECT token, scope, expires_at, made_at FROM handles WHERE {_KEY}")
_PUT = Statement(
    "put handle",
    sqlite="""
    INSERT INTO handles (account, scope, sha256, use, recipe, token, expires_at, made_at, bytes)
    VALUES (:account, :scope, :sha256, :use, :recipe, :token, :expires_at, :made_at, :bytes)
    ON CONFLICT (account, scope, sha256, use, recipe) DO UPDATE
    SET token = excluded.token, expires_at = excluded.expires_at, made_at = excluded.made_at, bytes = excluded.bytes
    """,
)
_REMOVE = Statement("remove handle", sqlite=f"DELETE FROM handles WHERE {_KEY}")
_REMOVE_ACCOUNT = Statement("remove handles of account", sqlite="DELETE FROM handles WHERE account = :account")
_REMOVE_ENDED = Statement("remove ended handles", sqlite="DELETE FROM handles WHERE expires_at <= :now")
_SHOWN = ("account", "scope", "sha256", "use", "recipe", "expires_at", "made_at", "bytes")
_ALL = Statement(
    "all handles",
    sqlite=f"""
    SELECT {", ".join(_SHOWN)} FROM handles WHERE :account IS NULL OR account = :account ORDER BY made_at
    """,
)


class HandleTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def find(self, key: Key) -> tuple[Handle, float] | None:
        """Return the handle and when it was made, or None."""
        row = await self._ledger.read(lambda connection: connection.row(_FIND, _values(key)))
        if row is None:
            return None
        token, scope, expires_at, made_at = row
        return Handle(self._vault.unlock(token, "handle").decode(), scope, expires_at), made_at

    async def keep(self, key: Key, handle: Handle, now: float, size: int) -> None:
        """Store `handle` in place of the one under the same key; return once it is on disk."""
        values = {
            **_values(key),
            "token": self._vault.lock(handle.token.encode(), "handle"),
            "expires_at": handle.expires_at,
            "made_at": now,
            "bytes": size,
        }
        await self._ledger.write(lambda connection: connection.execute(_PUT, values))

    async def drop(self, key: Key, token: str) -> None:
        """Remove the handle under `key`, unless its token is another one by now."""

        def drop(connection: Connection) -> None:
            row = connection.row(_FIND, _values(key))
            if row is not None and self._vault.unlock(row[0], "handle") == token.encode():
                connection.execute(_REMOVE, _values(key))

        await self._ledger.write(drop)

    async def forget(self, account: str) -> None:
        """Remove every handle of `account`."""
        await self._ledger.write(lambda connection: connection.execute(_REMOVE_ACCOUNT, {"account": account}))

    async def tidy(self, now: float) -> int:
        """Remove the handles that have ended; return how many."""
        return await self._ledger.write(lambda connection: connection.execute(_REMOVE_ENDED, {"now": now}))

    async def all(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return every handle, or those of `account`, without the tokens."""
        rows = await self._ledger.read(lambda connection: connection.rows(_ALL, {"account": account or None}))
        return [dict(zip(_SHOWN, row, strict=True)) for row in rows]


def _values(key: Key) -> dict[str, str]:
    return dict(zip(("account", "scope", "sha256", "use", "recipe"), key, strict=True))
