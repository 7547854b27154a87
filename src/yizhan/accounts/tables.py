"""Accounts with their settings and state, encrypted at rest; and contacts, the operator's names for targets."""

from __future__ import annotations

from typing import Any

import msgspec

from yizhan.errors import StorageError
from yizhan.storage.driver import Connection
from yizhan.storage.ledger import Ledger
from yizhan.storage.statement import RowStatement, Statement
from yizhan.storage.vault import Vault

_PUT_ACCOUNT = Statement(
    "put account",
    sqlite="""
    INSERT INTO accounts (name, settings, added_at) VALUES (:name, :settings, :added_at)
    ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, added_at = excluded.added_at
    """,
)
_REMOVE_ACCOUNT = Statement("remove account", sqlite="DELETE FROM accounts WHERE name = :account")
_ACCOUNTS = Statement("all accounts", sqlite="SELECT name, settings FROM accounts ORDER BY name")
_ACCOUNT_NAMES = Statement("names of accounts", sqlite="SELECT name FROM accounts ORDER BY name")
_SETTINGS = Statement("settings of account", sqlite="SELECT settings FROM accounts WHERE name = :name")

_STATE = Statement("state of account", sqlite="SELECT name, value FROM account_state WHERE account = :account")
_PUT_STATE = Statement(
    "put state",
    sqlite="""
    INSERT INTO account_state (account, name, value) VALUES (:account, :name, :value)
    ON CONFLICT (account, name) DO UPDATE SET value = excluded.value
    """,
)
_REMOVE_STATE = Statement("remove state", sqlite="DELETE FROM account_state WHERE account = :account AND name = :name")
_REMOVE_ALL_STATE = Statement("remove all state", sqlite="DELETE FROM account_state WHERE account = :account")

_REMOVE_CONTACT = Statement("remove contact", sqlite="DELETE FROM contacts WHERE alias = :alias AND is_tag = :is_tag")
_ADD_CONTACTS = RowStatement(
    "add contacts",
    ("alias", "target", "is_tag"),
    sqlite="""
    INSERT INTO contacts (alias, target, is_tag) SELECT alias, target, is_tag FROM {rows} WHERE alias IS NOT NULL
    """,
)
_CONTACT = Statement(
    "targets of contact",
    sqlite="SELECT target FROM contacts WHERE alias = :alias AND is_tag = :is_tag ORDER BY target",
)
_CONTACT_NAMES = Statement(
    "names of contacts", sqlite="SELECT DISTINCT alias FROM contacts WHERE is_tag = :is_tag ORDER BY alias"
)


class AccountTable:
    def __init__(self, ledger: Ledger, vault: Vault) -> None:
        self._ledger = ledger
        self._vault = vault

    async def put(self, name: str, settings: dict[str, Any], now: float) -> None:
        """Store an account, in place of one of the same name."""
        locked = self._vault.lock(msgspec.json.encode(settings), f"account {name}")
        values = {"name": name, "settings": locked, "added_at": now}
        await self._ledger.write(lambda connection: connection.execute(_PUT_ACCOUNT, values))

    async def remove(self, name: str) -> bool:
        """Remove an account with its state; False if there was none."""

        def remove(connection: Connection) -> bool:
            connection.execute(_REMOVE_ALL_STATE, {"account": name})
            return bool(connection.execute(_REMOVE_ACCOUNT, {"account": name}))

        return await self._ledger.write(remove)

    async def all(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name."""
        rows = await self._ledger.read(lambda connection: connection.rows(_ACCOUNTS))
        return {name: self._settings(name, locked) for name, locked in rows}

    async def names(self) -> list[str]:
        return await self._ledger.read(lambda connection: connection.column(_ACCOUNT_NAMES))

    async def get(self, name: str) -> dict[str, Any] | None:
        """Return an account's settings, None when there is no such account."""
        locked = await self._ledger.read(lambda connection: connection.value(_SETTINGS, {"name": name}))
        return None if locked is None else self._settings(name, locked)

    def _settings(self, name: str, locked: bytes) -> dict[str, Any]:
        try:
            settings: dict[str, Any] = msgspec.json.decode(self._vault.unlock(locked, f"account {name}"))
        except msgspec.DecodeError as error:
            raise StorageError(f"the settings of {name} cannot be read: {error}. Add the account again.") from error
        return settings

    async def state_store(self, account: str) -> AccountState:
        """Return the account's state, read in."""
        rows = await self._ledger.read(lambda connection: connection.rows(_STATE, {"account": account}))
        values = {name: self._vault.unlock(value, f"{account} {name}") for name, value in rows}
        return AccountState(self._ledger, self._vault, account, values)


class AccountState:
    """`platforms.adapter.StateStore` over the store: small values that an adapter must not lose."""

    def __init__(self, ledger: Ledger, vault: Vault, account: str, values: dict[str, bytes]) -> None:
        self._ledger = ledger
        self._vault = vault
        self._account = account
        self._values = values

    def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    async def put(self, name: str, value: bytes | None) -> None:
        """Return once the value is on disk; None removes it."""
        key = {"account": self._account, "name": name}
        if value is None:
            self._values.pop(name, None)
            await self._ledger.write(lambda connection: connection.execute(_REMOVE_STATE, key))
        else:
            self._values[name] = value
            values = {**key, "value": self._vault.lock(value, f"{self._account} {name}")}
            await self._ledger.write(lambda connection: connection.execute(_PUT_STATE, values))


class ContactTable:
    """Names that the operator gave to targets: an alias is one target, a tag is many."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def put(self, alias: str, targets: list[str], *, is_tag: bool) -> None:
        """Store a contact, in place of one of the same name; without targets, remove it."""
        rows = [{"alias": alias, "target": target, "is_tag": is_tag} for target in dict.fromkeys(targets)]

        def replace(connection: Connection) -> None:
            connection.execute(_REMOVE_CONTACT, {"alias": alias, "is_tag": is_tag})
            for start in range(0, len(rows), 1000):
                connection.put(_ADD_CONTACTS, rows[start : start + 1000])

        await self._ledger.write(replace)

    async def find(self, alias: str, *, is_tag: bool) -> list[str]:
        """Return the targets of an alias or a tag, in order; empty when there is none of that name."""
        values = {"alias": alias, "is_tag": is_tag}
        return await self._ledger.read(lambda connection: connection.column(_CONTACT, values))

    async def names(self, *, is_tag: bool) -> list[str]:
        """Return the names of all tags, or of all aliases, in order."""
        return await self._ledger.read(lambda connection: connection.column(_CONTACT_NAMES, {"is_tag": is_tag}))
