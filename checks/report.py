"""Violations by room, compared with the list of finished rooms."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checks.rules import LONG_MODULE, Module, Violation, docstrings, long_functions, violations_of

FINISHED = Path(__file__).with_name("finished.toml")


@dataclass(frozen=True)
class Report:
    """Violations in finished rooms, violations elsewhere, and rooms that could join the list."""

    fallen_back: list[Violation]
    remaining: list[Violation]
    ready: list[str]
    unknown: list[str]
    """Finished rooms that do not exist: renamed, or misspelled."""

    @property
    def ok(self) -> bool:
        return not self.fallen_back and not self.unknown


def read_modules(package: Path) -> list[Module]:
    return [
        Module(path, path.relative_to(package).as_posix(), path.read_text("utf-8"))
        for path in sorted(package.rglob("*.py"))
    ]


def read_finished(path: Path = FINISHED) -> list[str]:
    rooms: list[str] = tomllib.loads(path.read_text("utf-8"))["rooms"]
    return rooms


def report(modules: Sequence[Module], finished: Sequence[str], cycles: Sequence[Sequence[str]] = ()) -> Report:
    """Sort every violation into finished and unfinished rooms; an import cycle counts for each module in it."""
    found: defaultdict[str, list[Violation]] = defaultdict(list)
    for module in modules:
        found[module.room] += violations_of(module)
        found[module.room] += [
            Violation(module.path, 1, "import cycle", ", ".join(cycle)) for cycle in cycles if module.dotted in cycle
        ]
    return Report(
        fallen_back=[one for room in finished for one in found.get(room, [])],
        remaining=[one for room, violations in found.items() if room not in finished for one in violations],
        ready=sorted(room for room, violations in found.items() if not violations and room not in finished),
        unknown=sorted(set(finished) - set(found)),
    )


def write_finished(rooms: Sequence[str], path: Path = FINISHED) -> None:
    """Write the list, keeping the comment above it."""
    comment = "".join(line for line in path.read_text("utf-8").splitlines(True) if line.startswith("#"))
    path.write_text(comment + "rooms = [\n" + "".join(f'    "{room}",\n' for room in sorted(rooms)) + "]\n", "utf-8")


def figures(modules: Sequence[Module], cycles: Sequence[Sequence[str]]) -> str:
    """Return the figures of the tree as text: lines by room, long modules, long functions, docstrings, cycles."""
    lines = Counter[str]()
    for module in modules:
        lines[module.room] += module.lines
    long = [f"  {module.lines:5} {module.name}" for module in modules if module.lines > LONG_MODULE]
    functions = [f"  {length:5} {name}" for module in modules for name, length in long_functions(module)]
    opened = [one for module in modules for one in violations_of(module) if one.rule == "docstring opening"]
    total = sum(1 for module in modules for _ in docstrings(module.tree))
    return "\n".join(
        [
            f"{sum(lines.values())} lines in {len(modules)} modules",
            *(f"  {count:5} {room}" for room, count in lines.most_common()),
            f"{len(long)} modules over {LONG_MODULE} lines",
            *long,
            f"{len(functions)} functions over 40 lines",
            *sorted(functions, reverse=True),
            f"{len(opened)} of {total} docstrings open with a clause",
            f"{len(cycles)} import cycles",
            *(f"  {', '.join(cycle)}" for cycle in cycles),
        ]
    )
