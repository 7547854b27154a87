"""Starting the demo's own programs: in any folder, with any environment, and without leftovers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this program."""
    return [sys.executable, "-m", module, *arguments]


def process_options(temporary: Path) -> dict[str, Any]:
    """Return options for starting a process in `temporary`, an empty folder that goes with the demo.

    Python imports from the current folder first, and a `random.py` in the caller's must not be found. Files that
    the system's temporary folder would take goes here as well, since a killed process cleans nothing up. Ctrl-C in the
    terminal reaches the demo alone, which ends the others.
    """
    return {"cwd": temporary, "env": _environment(temporary), "start_new_session": True}


def _environment(temporary: Path) -> Mapping[str, str]:
    """Return the environment without variables that set options of commands, such as YIZHAN_SANDBOX_PORT."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("YIZHAN_")}
    return {**kept, "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(_python_path())}


def _python_path() -> list[str]:
    """Return a module path on which a child process finds the same modules, installed or not."""
    import yizhan

    given = [str(Path(entry).absolute()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    here = Path(yizhan.__file__).parents[1]
    return given if here.name.endswith("-packages") else [str(here), *given]
