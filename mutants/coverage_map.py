"""Which tests run which lines of a room, from one run of the room's tests under coverage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

MOST_TESTS = 30
"""Tests run against one mutant; the ones that cover the fewest lines, which are the most specific."""


@dataclass(frozen=True)
class CoverageMap:
    """Test ids by file and line."""

    tests_by_line: Mapping[tuple[str, int], frozenset[str]]
    lines_by_test: Mapping[str, int]
    """How many lines a test covers."""

    def tests_of(self, file: str, line: int) -> list[str]:
        """Return the tests to run against a fault in `line` of `file`, most specific first."""
        found = self.tests_by_line.get((file, line), frozenset())
        return sorted(found, key=lambda test: (self.lines_by_test[test], test))[:MOST_TESTS]


def measure(tree: Path, sources: Sequence[str], tests: Sequence[str]) -> CoverageMap:
    """Run `tests` in `tree` once and return what each covers of `sources` (paths below `tree`).

    Raises:
        SystemExit: the tests do not pass as they are.
    """
    data_file = tree / ".coverage"
    options = [f"--cov={source}" for source in sources]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *options, "--cov-context=test"]
    done = subprocess.run([*command, "--cov-report="], cwd=tree, env=environment(tree), check=False)
    if done.returncode != 0:
        raise SystemExit(f"The tests of {' '.join(sources)} fail without any fault; mend them first.")
    data = CoverageData(str(data_file))
    data.read()
    return _inverted(data, tree)


def _inverted(data: CoverageData, tree: Path) -> CoverageMap:
    tests_by_line: dict[tuple[str, int], set[str]] = defaultdict(set)
    lines_by_test: dict[str, int] = defaultdict(int)
    for measured in data.measured_files():
        name = str(Path(measured).relative_to(tree))
        for line, contexts in data.contexts_by_lineno(measured).items():
            for test in {context.partition("|")[0] for context in contexts if context}:
                tests_by_line[name, line].add(test)
                lines_by_test[test] += 1
    return CoverageMap({place: frozenset(found) for place, found in tests_by_line.items()}, lines_by_test)


def environment(tree: Path) -> dict[str, str]:
    """Return the environment in which Python imports the code of `tree`."""
    return {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "PYTHONDONTWRITEBYTECODE": "1"}
