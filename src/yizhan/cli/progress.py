"""Bars on standard error, on a terminal only: bytes, deliveries and conversions with rate and time left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from yizhan.engine import Engine
    from yizhan.model import Media
    from yizhan.platforms.adapter import MediaNeed


class Bars:
    """Shows bars in its `with` block; without a terminal (or with `show=False`) it does nothing."""

    def __init__(self, *, show: bool = True) -> None:
        self._progress: Progress | None = None
        self._uploads: dict[Any, tuple[TaskID, int]] = {}
        self._conversions: dict[tuple[str, str], TaskID] = {}
        if show and sys.stderr.isatty():
            self._progress = new_progress(sys.stderr)

    def watch(self, engine: Engine) -> None:
        """Show the conversions and uploads of `engine` from now on."""
        engine.handles.on_bytes = self.uploading
        engine.supervisor.variants.on_progress = self.converting

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def bytes(self, what: str, total: int | None) -> Callable[[int], None]:
        """Add a bar; return a function to call with each number of bytes."""
        if self._progress is None:
            return _nothing
        task = self._progress.add_task(what, total=total, unit="bytes")
        return lambda count: self._advance(task, count)

    def converting(self, media: Media, recipe: str, share: float) -> None:
        """Show the progress of a conversion; for `Variants.on_progress`."""
        key = media.sha256, recipe
        if self._progress is None or (share >= 1 and key not in self._conversions):
            return
        if key not in self._conversions:
            name = recipe.partition(";")[0]
            self._conversions[key] = self._progress.add_task(f"{media.name} → {name}", total=1.0, unit="share")
        self._to(self._conversions[key], share)

    def deliveries(self, what: str, total: int) -> Callable[[int], None]:
        """Add a bar; return a function to call with the number that are done so far."""
        if self._progress is None or total < 2:
            return _nothing
        task = self._progress.add_task(what, total=total, unit="deliveries")
        return lambda count: self._to(task, count)

    def uploading(self, account: str, need: MediaNeed, count: int) -> None:
        """Count bytes of an upload; for `HandleCache.on_bytes`."""
        if self._progress is None:
            return
        key = account, need
        if key not in self._uploads:
            name = need.name or need.media.name or need.media.kind
            what = f"{name} → {account} ({need.scope})"
            self._uploads[key] = self._progress.add_task(what, total=need.media.size, unit="bytes"), 0
        task, left = self._uploads[key]
        # A wire that needs base64, or a second try, sends more than the media has.
        step = min(count, need.media.size - left)
        self._uploads[key] = task, left + step
        self._progress.advance(task, step)

    def _advance(self, task: TaskID, count: int) -> None:
        if self._progress is not None:
            self._progress.advance(task, count)

    def _to(self, task: TaskID, count: float) -> None:
        if self._progress is not None:
            self._progress.update(task, completed=count)


def _nothing(count: int) -> None:
    pass


def new_progress(stream: Any, *, transient: bool = True) -> Progress:
    """Return bars on `stream`, which is a terminal; tasks have a field `unit`: `bytes`, `deliveries` or `share`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    from yizhan.cli.output import size

    class Amount(ProgressColumn):
        """The amount that is done, and its rate."""

        def render(self, task: Any) -> Text:
            speed = task.speed or 0
            if task.finished and task.finished_time:
                # The amount at the beginning (`base`) took no time here.
                speed = (task.total - task.fields.get("base", 0)) / task.finished_time
            if task.fields.get("unit") == "share":
                return Text(f"{task.completed:.0%}", justify="right")
            if task.fields.get("unit") == "bytes":
                return Text(f"{size(task.completed)}, {size(speed)}/s", justify="right")
            return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f}, {speed:,.0f}/s", justify="right")

    return Progress(
        TextColumn("{task.description}", table_column=_fixed(28)),
        BarColumn(bar_width=None),
        Amount(table_column=_fixed(21)),
        TimeRemainingColumn(compact=True),
        console=Console(file=stream),
        expand=True,
        transient=transient,
    )


def _fixed(width: int) -> Any:
    """Return a column of a fixed width, so that the bars stand still."""
    from rich.table import Column

    return Column(width=width, overflow="ellipsis", no_wrap=True)
