"""Fault tables: one row per code. The client reads its meaning; the server writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yizhan.errors import LoginNeeded, PlatformError, Rejected, Throttled, Unavailable


@dataclass(frozen=True, slots=True)
class FaultCode:
    """One row: the vendor's code and words, the HTTP status, and the error that it means to a sender."""

    code: int | str
    message: str
    http: int = 200
    means: type[PlatformError] = Rejected
    also: int | str | None = None
    """A second code in the same body, such as `err_code` of QQ."""
    retry_after: float | None = None
    """Seconds until the same request may succeed, if the vendor says so."""
    concerns: Literal["account", "target"] = "account"
    """For throttling: whether the whole account or one target has to wait."""
    name: str = ""
    """The name by which chaos rules address the row; if empty, the variable that holds it (`FaultTable.of`)."""


class Fault(Exception):
    """A refusal by a platform: raised by handlers of the server, and by the client when it reads the answer."""

    def __init__(
        self,
        row: FaultCode,
        message: str = "",
        *,
        http: int | None = None,
        trace_id: str = "",
        retry_after: float | None = None,
        opens_at: float | None = None,
        data: Any = None,
    ) -> None:
        super().__init__(message or row.message)
        self.row = row
        self.message = message or row.message
        self.http = row.http if http is None else http
        self.trace_id = trace_id
        self.retry_after = row.retry_after if retry_after is None else retry_after
        self.opens_at = opens_at
        self.data = data

    def __str__(self) -> str:
        trace = f", trace {self.trace_id}" if self.trace_id else ""
        also = f"/{self.row.also}" if self.row.also not in (None, self.row.code) else ""
        return f"{self.message or 'no text'} (code {self.row.code}{also}, HTTP {self.http}{trace})"

    def error(self, account: str, endpoint: str) -> PlatformError:
        """Return the error that this fault means; it keeps the platform's words."""
        kind = self.row.means
        text = f"{account}: {endpoint}: {self}"
        if issubclass(kind, Throttled):
            return kind(
                text,
                fault=self,
                account=account,
                endpoint=endpoint,
                retry_after=self.retry_after,
                concerns=self.row.concerns,
            )
        error = kind(text, fault=self, account=account, endpoint=endpoint)
        if self.opens_at is not None and hasattr(error, "opens_at"):
            error.opens_at = self.opens_at
        return error


class FaultTable:
    """The rows of one platform, by either of their codes or by name."""

    def __init__(self, rows: Iterable[FaultCode], names: Mapping[str, FaultCode] | None = None) -> None:
        self.rows = tuple(rows)
        self._by_code: dict[str, FaultCode] = {}
        for row in self.rows:
            self._by_code.setdefault(str(row.code), row)
        for row in self.rows:
            if row.also is not None:
                self._by_code.setdefault(str(row.also), row)
        self._by_name = {**(names or {}), **{row.name: row for row in self.rows if row.name}}
        self._names = {id(row): name for name, row in self._by_name.items()}

    @classmethod
    def of(cls, namespace: Mapping[str, object]) -> FaultTable:
        """Return the table of every `FaultCode` in a module: `FAULTS = FaultTable.of(globals())`, below the rows.

        A row is addressed by its variable's name in lower case: `TOO_MANY` is `too_many`.
        """
        rows = {name.lower(): row for name, row in namespace.items() if isinstance(row, FaultCode)}
        return cls(dict.fromkeys(rows.values()), {name: row for name, row in rows.items() if not row.name})

    def name_of(self, row: FaultCode) -> str:
        """Return the name by which chaos rules address `row`; empty if it has none."""
        return self._names.get(id(row), "")

    def find(self, code: int | str) -> FaultCode | None:
        """Return the row with that code or name, or None."""
        return self._by_name.get(str(code)) or self._by_code.get(str(code))

    def row(self, *codes: int | str | None, http: int = 200, message: str = "") -> FaultCode:
        """Return the row for the first known of `codes`; an undocumented code means what `undocumented` says."""
        given = [code for code in codes if code is not None]
        for code in given:
            found = self._by_code.get(str(code))
            if found is not None:
                return found
        return undocumented(given[0] if given else http, message, http)

    def worded(self, code: int | str, words: str, http: int = 200) -> FaultCode:
        """Return the row for `code` with whose message `words` begin; the first row of that code if there is none."""
        same = [row for row in self.rows if str(code) in (str(row.code), str(row.also))]
        said = [row for row in same if row.message and _begins(words, row.message)]
        # The longest one: "not allowed here" is more than "not allowed".
        best = max(said, key=lambda row: len(row.message), default=None)
        return best or next(iter(same), None) or undocumented(code, words, http)


def _begins(words: str, message: str) -> bool:
    """Return whether `message` is the beginning of `words`, up to the end of a word: "err" does not begin "error"."""
    return words.startswith(message) and not words[len(message) : len(message) + 1].isalnum()


def undocumented(code: int | str, message: str, http: int) -> FaultCode:
    """Return the row of a refusal whose code the vendor does not document: final, unless the status says when."""
    means = {401: LoginNeeded, 429: Throttled, 503: Unavailable}.get(http, Rejected)
    return FaultCode(code, message, http=http, means=means)
