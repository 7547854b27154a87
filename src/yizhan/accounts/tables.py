"""Accounts, and the small secrets that each must not lose; encrypted at rest."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from yizhan.storage.ledger import Ledger
from yizhan.storage.tables import accounts, contacts, keeps
from yizhan.storage.vault import Vault


class AccountTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def put(self, name: str, settings: dict[str, Any], now: float) -> None:
        """Store an account, in place of one of the same name."""
        locked = self._vault.lock(msgspec.json.encode(settings), f"account {name}")

        def replace(connection: sa.engine.Connection) -> None:
            connection.execute(accounts.delete().where(accounts.c.name == name))
            connection.execute(accounts.insert().values(name=name, settings=locked, paused="", added_at=now))

        await self._ledger.write(replace)

    async def remove(self, name: str) -> bool:
        """Forget an account with everything it kept; False if there was none."""

        def remove(connection: sa.engine.Connection) -> bool:
            connection.execute(keeps.delete().where(keeps.c.account == name))
            return bool(connection.execute(accounts.delete().where(accounts.c.name == name)).rowcount)

        return await self._ledger.write(remove)

    async def all(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name."""
        query = sa.select(accounts.c.name, accounts.c.settings).order_by(accounts.c.name)
        rows = await self._ledger.read(lambda c: c.execute(query).all())
        return {row.name: msgspec.json.decode(self._vault.unlock(row.settings, f"account {row.name}")) for row in rows}

    async def names(self) -> list[str]:
        query = sa.select(accounts.c.name).order_by(accounts.c.name)
        return await self._ledger.read(lambda c: list(c.execute(query).scalars()))

    async def get(self, name: str) -> dict[str, Any] | None:
        query = sa.select(accounts.c.settings).where(accounts.c.name == name)
        locked = await self._ledger.read(lambda c: c.execute(query).scalar())
        if locked is None:
            return None
        settings: dict[str, Any] = msgspec.json.decode(self._vault.unlock(locked, f"account {name}"))
        return settings

    async def state_store(self, account: str) -> AccountKeeper:
        """Return the account's small durable place, with what stands in it read in."""
        query = sa.select(keeps.c.name, keeps.c.value).where(keeps.c.account == account)
        rows = await self._ledger.read(lambda c: c.execute(query).all())
        values = {row.name: self._vault.unlock(row.value, f"{account} {row.name}") for row in rows}
        return AccountKeeper(self._ledger, self._vault, account, values)


class AccountKeeper:
    """`platforms.base.StateStore` on the store."""

    def __init__(self, ledger: Ledger, vault: Vault, account: str, values: dict[str, bytes]) -> None:
        self._ledger = ledger
        self._vault = vault
        self._account = account
        self._values = values

    def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    async def put(self, name: str, value: bytes | None) -> None:
        """Return once the value is on disk; None removes it."""
        where = (keeps.c.account == self._account) & (keeps.c.name == name)
        locked = None if value is None else self._vault.lock(value, f"{self._account} {name}")
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

        def replace(connection: sa.engine.Connection) -> None:
            connection.execute(keeps.delete().where(where))
            if locked is not None:
                connection.execute(keeps.insert().values(account=self._account, name=name, value=locked))

        await self._ledger.write(replace)


class ContactTable:
    """Names that the operator gave to targets: an alias is one target, a tag is many."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def put(self, alias: str, targets: list[str], *, is_tag: bool) -> None:
        rows = [{"alias": alias, "target": target, "is_tag": is_tag} for target in dict.fromkeys(targets)]

        def replace(connection: sa.engine.Connection) -> None:
            connection.execute(contacts.delete().where(contacts.c.alias == alias, contacts.c.is_tag == is_tag))
            if rows:
                connection.execute(contacts.insert(), rows)

        await self._ledger.write(replace)

    async def find(self, alias: str, *, is_tag: bool) -> list[str]:
        query = sa.select(contacts.c.target).where(contacts.c.alias == alias, contacts.c.is_tag == is_tag)
        return await self._ledger.read(lambda c: list(c.execute(query.order_by(contacts.c.target)).scalars()))

    async def names(self, *, is_tag: bool) -> list[str]:
        query = sa.select(contacts.c.alias).where(contacts.c.is_tag == is_tag).distinct()
        return await self._ledger.read(lambda c: list(c.execute(query.order_by(contacts.c.alias)).scalars()))
