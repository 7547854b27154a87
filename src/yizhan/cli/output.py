"""The output of commands: lines and tables for people, JSON for programs, nothing with `--quiet`."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from yizhan.errors import StorageError

if TYPE_CHECKING:
    from rich.table import Table

    from yizhan.model import Receipt

_STYLES = {
    "sent": "green",
    "recalled": "green",
    "queued": "cyan",
    "sending": "cyan",
    "held": "yellow",
    "unknown": "magenta",
    "failed": "red",
    "expired": "red",
    "cancelled": "dim",
}
KEPT = "\n\t\u3000\u00a0\u200d"
"""Unprintable characters that are printed unchanged: line ends, blanks, and the joiner of emoji."""
WIDE = 100_000
"""Columns of a table in a file or a pipe, so that each row stays on one line."""


@dataclass(frozen=True, slots=True)
class Output:
    """The output options of a command. Colors appear on a terminal only; errors and bars go to standard error."""

    as_json: bool = False
    quiet: bool = False

    @property
    def for_people(self) -> bool:
        return not (self.as_json or self.quiet)

    def line(self, text: str = "") -> None:
        """Print a line for people."""
        if self.for_people:
            write(plain(text))

    def value(self, value: Any) -> None:
        """Print a JSON object on one line, for programs."""
        if self.as_json:
            write(json.dumps(msgspec.to_builtins(value), ensure_ascii=False))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows for people, if there are any; the column `state` is colored by its value."""
        rows = [[plain(cell) for cell in row] for row in rows]
        if not self.for_people or not rows:
            return
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in ("id", "state"))
        for row in rows:
            cells = zip(columns, row, strict=True)
            table.add_row(
                *(f"[{_STYLES.get(c, '')}]{c}[/]" if n == "state" and c in _STYLES else escape(c) for n, c in cells)
            )
        _print(table)

    def receipts(self, receipts: Sequence[Receipt]) -> None:
        """Print deliveries with their states."""
        for receipt in receipts if self.as_json else ():
            self.value(receipt.to_dict())
        self.table(
            ("id", "state", "target", "why"),
            [(r.delivery, r.state.value, r.target, why(r)) for r in receipts],
        )


def plain(text: str) -> str:
    """Return `text` without control and direction characters, since much of it comes from other people."""
    return "".join(one if one.isprintable() or one in KEPT else "" for one in text)


def write(text: str = "", *, flush: bool = False) -> None:
    """Print a line; with `flush`, write everything out.

    The reader may leave early (`yizhan deliveries | head`): the command continues without output.

    Raises:
        StorageError: the output cannot be written, as on a full disk; nothing more is printed.
    """
    try:
        print(text, flush=flush, end="" if flush and not text else "\n")
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise StorageError(
            f"The output cannot be written: {error}. The command was carried out; yizhan deliveries shows the result."
        ) from error


_gone = threading.Event()


def reader_is_gone() -> bool:
    """Return whether the reader of the output has closed the pipe."""
    return _gone.is_set()


def _discard_output() -> None:
    _gone.set()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(table: Table) -> None:
    """Print a table as wide as the terminal; without one, wide and without trailing blanks."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    lines = io.StringIO()
    Console(file=lines, highlight=False, width=WIDE).print(table)
    write("\n".join(line.rstrip() for line in lines.getvalue().splitlines()))


def why(receipt: Receipt) -> str:
    """Return the reason for a state in a few words."""
    words = [receipt.detail] if receipt.detail else []
    if receipt.error and receipt.error not in receipt.detail:
        words.insert(0, f"{receipt.error}:")
    if receipt.half_sent:
        words.insert(0, f"{receipt.parts_done} of {receipt.parts} parts sent.")
    if receipt.state.value == "held" and receipt.due_at:
        words.append(f"(until {moment(receipt.due_at)})")
    return " ".join(words)


def moment(at: float) -> str:
    """Return seconds since the epoch as local time; empty for 0."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""


def size(count: float) -> str:
    """Return a number of bytes as people read it: 999 B, 1.5 MB (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def many(count: int, one: str, more: str = "") -> str:
    """Return `1 part`, `2 parts`, `1,200 parts`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
