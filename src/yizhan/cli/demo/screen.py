"""The display of the demo: bars on a terminal, progress lines in a pipe, JSON objects for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from yizhan.cli.demo.crowd import Crowd
from yizhan.cli.demo.worker import Report
from yizhan.cli.output import Output, size, write

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_SECONDS = 2.0
"""Without a terminal: seconds between two lines of progress."""
PER_LINE = 3
"""Without a terminal: how many crowds stand in one line of progress."""

OWN = [
    "* one upload per person and file: that one could serve several is not proven.",
    "  In life each iLink bot has one person only; here one bot has them all.",
]


class Screen:
    """The output of the demo."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._crowds: Sequence[Crowd] = ()
        self._said_at = 0.0

    def say(self, text: str = "", **event: Any) -> None:
        """Print a line for people; `event` is the same for programs."""
        self.out.line(text)
        if event:
            self.out.value(event)
        write(flush=True)

    def title(self, text: str) -> None:
        self.say(f"\n{text}")

    @contextmanager
    def bars(self, crowds: Sequence[Crowd], begun: Mapping[str, int]) -> Iterator[None]:
        """Show the progress of deliveries and uploads in the `with` block; `begun` have ended already."""
        self._crowds = crowds
        self._tasks = {}
        if not (self.out.for_people and sys.stdout.isatty()):
            yield
            return
        from yizhan.cli.progress import new_progress

        self._progress = new_progress(sys.stdout, transient=False)
        try:
            with self._progress:
                for crowd in crowds:
                    base = begun.get(crowd.key, 0)
                    self._tasks[crowd.key] = self._progress.add_task(
                        crowd.title, total=crowd.count, completed=base, base=base, unit="deliveries"
                    )
                yield
        finally:
            self._progress = None

    def update(self, report: Report) -> None:
        """Show a report of the sending process."""
        if self._progress is None:
            self._line(report)
            return
        for crowd in self._crowds:
            self._progress.update(self._tasks[crowd.key], completed=report.done.get(crowd.key, 0))
        for key, (left, total) in report.uploads.items():
            if key not in self._tasks:
                self._tasks[key] = self._progress.add_task(f"[dim]↑ {self._upload(key)}", total=total, unit="bytes")
            self._progress.update(self._tasks[key], completed=left)

    def _upload(self, key: str) -> str:
        account, scope, name = key.split(" ", 2)
        mine = [crowd for crowd in self._crowds if crowd.account == account]
        fits = [crowd for crowd in mine if crowd.kind == scope] or mine
        return f"{name} → {fits[0].title}"

    def _line(self, report: Report) -> None:
        now = time.monotonic()
        if not report.done or (now - self._said_at < LINE_SECONDS and report.what != "idle"):
            return
        self._said_at = now
        parts = [f"{crowd.title} {report.done.get(crowd.key, 0)}/{crowd.count}" for crowd in self._crowds]
        for start in range(0, len(parts), PER_LINE):
            self.say("  " + " · ".join(parts[start : start + PER_LINE]))


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the result as lines of at most 80 columns."""
    head = f"{'':<12}{'targets':>8}{'sent':>7}{'uploads':>9}{'uploaded':>11}{'one by one':>12}{'sends/s':>9}"
    lines = [head, "─" * len(head)]
    for row in rows:
        mark = "" if row["shared"] else " *"
        lines.append(
            f"{row['title'][: 12 - len(mark)] + mark:<12}{row['targets']:>8,}{row['sent']:>7,}{row['uploads']:>9}"
            f"{size(row['uploaded_bytes']):>11}{size(row['one_by_one_bytes']):>12}{row['sends_per_second']:>9,.0f}"
        )
    total = {
        name: sum(row[name] for row in rows)
        for name in ("targets", "sent", "uploads", "uploaded_bytes", "one_by_one_bytes")
    }
    lines.append("─" * len(head))
    lines.append(
        f"{'together':<12}{total['targets']:>8,}{total['sent']:>7,}{total['uploads']:>9}"
        f"{size(total['uploaded_bytes']):>11}{size(total['one_by_one_bytes']):>12}"
    )
    return lines + ([] if all(row["shared"] for row in rows) else OWN)


def wide(text: str, columns: int) -> str:
    """Fill `text` up to `columns` as a terminal counts them, where a Chinese character takes two."""
    from rich.cells import cell_len

    return text + " " * max(0, columns - cell_len(text))
