"""SQL statements as named values: visible text, one per dialect, beside the room that owns the rows."""

from __future__ import annotations

from collections.abc import Sequence


class _Text:
    def __init__(self, name: str, texts: dict[str, str]) -> None:
        self.name = name
        self._texts = texts

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def text(self, dialect: str) -> str:
        return self._texts[dialect]


class Statement(_Text):
    """One SQL statement. Its parameters are written `:name`.

    `Statement("forget handles", sqlite="DELETE FROM handles WHERE account = :account")`; each dialect is a keyword.
    """

    def __init__(self, name: str, **texts: str) -> None:
        super().__init__(name, texts)


class RowStatement(_Text):
    """An INSERT or UPDATE that takes many rows at once.

    `{rows}` in the text stands for a table of the given rows, named `v`, with `columns` as its columns. On SQLite that
    table may hold more rows than were given, all NULL: the statement must pass over these.
    """

    def __init__(self, name: str, columns: Sequence[str], **texts: str) -> None:
        super().__init__(name, texts)
        self.columns = tuple(columns)
