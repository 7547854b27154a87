"""Targets in files: a table with a head, or one target a line. Every bad row of a file is named at once."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from yizhan.cli.output import many
from yizhan.errors import Refused, UnknownTarget, YizhanError, did_you_mean

if TYPE_CHECKING:
    from yizhan.broadcasts.rows import Recipient
    from yizhan.engine import Engine
    from yizhan.model import Message

STDIN = "-"
PREFIX = "file:"
MOST_NAMED = 20
"""Bad rows that an error names."""
REASON = "refused"
"""The column that a file of refused rows has more."""
_PLACEHOLDER = re.compile(r"[^\W\d]\w*")
_ENCODINGS = ("utf-8-sig", "gb18030")
"""Spreadsheets of Chinese systems write the latter."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file of targets."""

    target: str
    """Of the form of a target; or an alias or tag."""
    name: str
    values: Mapping[str, str]
    """Its cells by the head of their column, for placeholders."""
    cells: Sequence[str]


@dataclass(slots=True)
class Table:
    """The rows of one file. `head` is empty where it has none."""

    head: Sequence[str]
    rows: list[Row] = field(default_factory=list)
    bad: list[tuple[Sequence[str], str]] = field(default_factory=list)
    """Rows that name no target, with the reason: file, line and column."""


@dataclass(slots=True)
class Audience:
    """The targets that the command line names: words, and rows of files."""

    words: list[str]
    tables: list[Table] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        return [*self.words, *(row.target for table in self.tables for row in table.rows)]

    @property
    def bad(self) -> list[tuple[Sequence[str], str]]:
        return [bad for table in self.tables for bad in table.bad]

    async def recipients(self, engine: Engine, message: Message) -> list[str | Recipient]:
        """Return the words as they are and the rows as recipients, with the values that `message` has a place for."""
        from yizhan.broadcasts.placeholders import names_in
        from yizhan.broadcasts.rows import Recipient

        wanted = names_in(message)
        found: list[str | Recipient] = list(self.words)
        for row in (row for table in self.tables for row in table.rows):
            # With a value missing, all columns stay: the error names them.
            kept = wanted if set(wanted) <= row.values.keys() else row.values if wanted else ()
            values = {name: row.values[name] for name in kept}
            found += [Recipient(target, row.name, values) for target in await engine.targets(row.target)]
        return found

    def personal(self, message: Message) -> bool:
        """Return whether `message` has placeholders that rows fill in."""
        from yizhan.broadcasts.placeholders import names_in

        return bool(names_in(message)) and any(row.values for table in self.tables for row in table.rows)

    def refused_rows(self, refused: Mapping[str, str]) -> str:
        """Return, as a file that can be read again, the rows without a target and those of `refused`, with the reason.

        `refused`: the reason by target.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        for table in self.tables:
            width = max([len(table.head), *(len(row.cells) for row in table.rows), *(len(c) for c, _ in table.bad)])
            lost = [(row.cells, refused[row.target]) for row in table.rows if row.target in refused]
            if not (lost or table.bad):
                continue
            if table.head and out.tell() == 0:
                writer.writerow([*_padded(table.head, width), REASON])
            writer.writerows([*_padded(cells, width), why] for cells, why in [*table.bad, *lost])
        named = {row.target for table in self.tables for row in table.rows}
        writer.writerows([target, why] for target, why in refused.items() if target not in named)
        return out.getvalue()


def audience_of(words: Sequence[str], column: str = "", name_column: str = "", *, keep_bad: bool = False) -> Audience:
    """Read the targets that `words` name. With `keep_bad`, rows without a target are kept apart instead of refused.

    Raises:
        UnknownTarget: a target is malformed, or a file has bad rows or no target; all of them are named.
        Refused: a file has no column of that name.
    """
    from yizhan.model import Target

    found = Audience([])
    for word in words:
        if word.startswith(PREFIX):
            found.tables.append(read_table(word.removeprefix(PREFIX), column, name_column))
        else:
            if word[:1] not in ("@", "#"):
                Target.parse(word)
            found.words.append(word)
    if (column or name_column) and not found.tables:
        raise Refused("--column and --name-column name columns of a file of targets. Name one: -t file:people.csv.")
    if found.bad and not keep_bad:
        reasons = [why for _, why in found.bad]
        more = f"\n  and {len(reasons) - MOST_NAMED:,} more" if len(reasons) > MOST_NAMED else ""
        raise UnknownTarget(
            f"{many(len(reasons), 'row')} cannot be sent to; nothing was stored:\n  "
            + "\n  ".join(reasons[:MOST_NAMED])
            + f"{more}\nMend them, or send to the others and have these written to a file: --refused FILE."
        )
    return found


def targets_of(words: Sequence[str]) -> list[str]:
    """Return the targets that `words` name, those of files among them.

    Raises:
        UnknownTarget: a target is malformed, or a file has none.
    """
    return audience_of(words).targets


def read_table(source: str, column: str = "", name_column: str = "") -> Table:
    """Read a file of targets, or standard input (`-`).

    Fields are separated by commas, semicolons or tabs. A row of heads is one with the column `target`, or with those
    that `column` and `name_column` name; a number names a column of a file without heads, from 1.

    Raises:
        UnknownTarget: it cannot be read, or names no target.
        Refused: it has no such column.
    """
    shown = "standard input" if source == STDIN else source
    text = _decoded(_bytes_of(source, shown), shown)
    lines = [(n, row) for n, row in _rows(text, shown) if any(row) and not row[0].startswith("# ")]
    head = lines[0][1] if lines and _is_head(lines[0][1], column, name_column) else []
    lowered = [cell.lower() for cell in head]
    at = _index_of(column, head, shown, lines) if column else _position("target", lowered) or 0
    name_at = _index_of(name_column, head, shown, lines) if name_column else _position("name", lowered)
    table = Table(head)
    for line, cells in lines[1:] if head else lines:
        _add(table, cells, at, name_at, f"{shown} line {line}, column {head[at] if head else at + 1}")
    if not table.rows and not table.bad:
        raise UnknownTarget(f"{shown} names no target. Expected one a line, such as qqbot.main/user/OPENID.")
    return table


def _add(table: Table, cells: Sequence[str], at: int, name_at: int | None, where: str) -> None:
    from yizhan.model import Target

    target = cells[at] if at < len(cells) else ""
    try:
        if not target:
            raise UnknownTarget("there is no target")
        if target[:1] not in ("@", "#"):
            Target.parse(target)
    except YizhanError as error:
        table.bad.append((cells, f"{where}: {error}"))
        return
    values = {
        head: cells[index] if index < len(cells) else ""
        for index, head in enumerate(table.head)
        if _PLACEHOLDER.fullmatch(head) and head != REASON
    }
    name = cells[name_at] if name_at is not None and name_at < len(cells) else ""
    table.rows.append(Row(target, name, values, cells))


def _bytes_of(source: str, shown: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise UnknownTarget(
            f"The targets in {shown} cannot be read: {error.strerror}. Expected a text file, one target a line."
        ) from error


def _decoded(data: bytes, shown: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Iterable[str] = ("utf-16",)
    else:
        encodings = _ENCODINGS
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UnknownTarget(f"The targets in {shown} cannot be read: it is no text. Expected one target a line, in UTF-8.")


def _rows(text: str, shown: str) -> list[tuple[int, list[str]]]:
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("# ")), "")
    delimiter = max("\t;,", key=lambda mark: (mark == "\t" and mark in first, first.count(mark)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter if delimiter in first else ",")
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise UnknownTarget(f"The targets in {shown} cannot be read: line {reader.line_num}: {error}.") from error


def _is_head(cells: Sequence[str], column: str, name_column: str) -> bool:
    lowered = [cell.lower() for cell in cells]
    wanted = [one.lower() for one in (column, name_column) if one and not one.isdigit()]
    return "target" in lowered or any(one in lowered for one in wanted)


def _position(name: str, lowered: Sequence[str]) -> int | None:
    return lowered.index(name) if name in lowered else None


def _index_of(column: str, head: Sequence[str], shown: str, lines: Sequence[tuple[int, Sequence[str]]]) -> int:
    lowered = [cell.lower() for cell in head]
    if column.lower() in lowered:
        return lowered.index(column.lower())
    if column.isdigit() and int(column) > 0:
        return int(column) - 1
    first = list(head or (lines[0][1] if lines else ()))
    columns = ", ".join(first) or "none"
    raise Refused(f"{shown} has no column '{column}'.{did_you_mean(column, first)} Its first line: {columns}.")


def _padded(cells: Sequence[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))]
