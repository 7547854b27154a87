"""`python -m checks`: 0 when no finished room falls back."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from checks.cycles import import_cycles
from checks.report import figures, read_finished, read_modules, report, write_finished
from checks.rules import Module

PACKAGE = Path(__file__).parent.parent / "src" / "yizhan"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="add every room that keeps the rules to the list")
    parser.add_argument("--all", action="store_true", help="show the violations in unfinished rooms, too")
    parser.add_argument("--figures", action="store_true", help="show the figures of the tree, and check nothing")
    given = parser.parse_args(arguments)
    modules, cycles = read_modules(PACKAGE), import_cycles("yizhan")
    if given.figures:
        print(figures(modules, cycles))
        return 0
    return _check(modules, cycles, show_all=given.all, write=given.write)


def _check(modules: Sequence[Module], cycles: Sequence[Sequence[str]], *, show_all: bool, write: bool) -> int:
    finished = read_finished()
    found = report(modules, finished, cycles)
    if write:
        write_finished([*finished, *found.ready])
    for violation in [*found.fallen_back, *(found.remaining if show_all else [])]:
        print(violation)
    for room in found.unknown:
        print(f"finished.toml: there is no room '{room}'")
    left = Counter(one.path.relative_to(PACKAGE).parts[0] for one in found.remaining)
    print(f"{len(finished)} rooms finished; {len(found.remaining)} violations in others", dict(left.most_common()))
    if found.ready and not write:
        print("ready for the list (python -m checks --write):", ", ".join(found.ready))
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
