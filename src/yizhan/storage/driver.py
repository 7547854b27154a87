"""The ledger's view of a database: connections that run statements, and their transactions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from yizhan.errors import StorageError
from yizhan.storage.statement import RowStatement, Statement

Values = Mapping[str, Any]
"""Parameters of a statement by name, or one row of a `RowStatement` by column."""
Row = tuple[Any, ...]

NO_VALUES: Values = {}


class Connection(ABC):
    """One connection. Work that is handed to the ledger gets it inside a transaction."""

    @abstractmethod
    def execute(self, statement: Statement, values: Values = NO_VALUES) -> int:
        """Run `statement`; return the number of rows that it inserted, changed or deleted."""

    @abstractmethod
    def rows(self, statement: Statement, values: Values = NO_VALUES) -> list[Row]:
        """Run `statement`; return every row of its answer."""

    @abstractmethod
    def put(self, statement: RowStatement, rows: Sequence[Values]) -> int:
        """Run `statement` for all `rows`; return the number of rows that it inserted or changed."""

    def row(self, statement: Statement, values: Values = NO_VALUES) -> Row | None:
        """Return the first row of the answer, None when there is none."""
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def value(self, statement: Statement, values: Values = NO_VALUES) -> Any:
        """Return the first column of the first row, None when there is no row."""
        row = self.row(statement, values)
        return None if row is None else row[0]

    def column(self, statement: Statement, values: Values = NO_VALUES) -> list[Any]:
        """Return the first column of every row."""
        return [row[0] for row in self.rows(statement, values)]

    @property
    @abstractmethod
    def in_transaction(self) -> bool: ...

    @abstractmethod
    def transaction(self, *, write: bool = False) -> AbstractContextManager[None]:
        """Open a transaction; commit it at the end of the block, undo it when the block raises."""

    @abstractmethod
    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what the block changed when it raises, and keep the rest of the transaction."""

    @abstractmethod
    def close(self) -> None: ...


class Driver(ABC):
    """A database that holds a store."""

    error: type[Exception]
    """The base class of the database's own errors."""
    read_only: bool = False
    """Whether the store can be read and not written."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The path of the store, for messages."""

    @abstractmethod
    def connect(self) -> Connection: ...

    @abstractmethod
    def storage_error(self, what: str, error: Exception) -> StorageError:
        """Return the error for `what` failed: the database's words, where the store lies, and the remedy.

        It names neither the statement nor its values, which may be secret.
        """

    @abstractmethod
    def read_only_error(self) -> StorageError:
        """Return the error for an attempt to write to a store that can only be read."""

    @abstractmethod
    def damaged(self, what: str) -> StorageError:
        """Return the error for a store whose contents make no sense."""
