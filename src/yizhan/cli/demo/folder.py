"""The demo's folder: a temporary one, or a named one that is empty or has an earlier demo's files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from yizhan.errors import ConfigError

PICTURE, BOOK, STORE, WORLD, LOG = "station.png", "book.pdf", "store", "world", "sandbox.log"
TEMPORARY = "tmp"
"""The temporary folder of the demo's processes: killed processes leave files behind, which the demo removes."""
MARK = ".yizhan-demo"
"""Marks a folder that a demo made, and that the next demo may replace."""


def make_folder(wanted: Path | None) -> Path:
    """Return an empty folder for a demo, as an absolute path.

    Raises:
        ConfigError: it cannot be made, or has a file that no demo made.
    """
    try:
        if wanted is None:
            folder = Path(tempfile.mkdtemp(prefix="yizhan-demo-")).absolute()
        else:
            folder = wanted.absolute()
            folder.mkdir(parents=True, exist_ok=True)
            _clear(folder)
        (folder / TEMPORARY).mkdir()
    except OSError as error:
        what = "No temporary folder can be made" if wanted is None else f"{wanted} cannot be used"
        raise ConfigError(f"{what}: {error}. Name a folder that can be written to: --folder DIR.") from error
    return folder


def _clear(folder: Path) -> None:
    """Remove the files of an earlier demo."""
    there = [name for name in (STORE, WORLD, TEMPORARY, PICTURE, BOOK, LOG) if (folder / name).exists()]
    if there and not (folder / MARK).exists():
        raise ConfigError(
            f"{folder} has '{there[0]}' in it, which no demo made, and this one would overwrite it. "
            "Name another folder, or one that does not exist yet."
        )
    (folder / MARK).touch()
    for name in (STORE, WORLD, TEMPORARY):
        shutil.rmtree(folder / name, ignore_errors=True)
