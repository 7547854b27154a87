"""Put faults into copies of the code, run the tests that cover them, and list the faults that none notices.

    python -m mutants [ROOM …] [--count 60] [--seed 1] [--workers 2]

Exits with 1 when fewer than 85 % of the faults are noticed, or when one survives that `mutants/survivors.toml` does not
explain.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutants.coverage_map import CoverageMap, environment, measure
from mutants.faults import Fault, chosen, faults_in

ROOT = Path(__file__).parents[1]
SURVIVORS = Path(__file__).parent / "survivors.toml"
GOAL = 0.85
TIMEOUT_SECONDS = 90.0
"""A mutant that runs for longer hangs, which its tests notice."""


@dataclass(frozen=True)
class Room:
    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "sending": Room(("src/yizhan/sending",), ("tests/sending", "tests/end_to_end", "tests/cli/test_settle.py")),
    "storage": Room(("src/yizhan/storage",), ("tests/storage", "tests/sending", "tests/media/test_library.py")),
    "http": Room(
        ("src/yizhan/http",),
        ("tests/http", "tests/wire", "tests/sandbox", "src/yizhan/testing/conformance", "tests/platforms/qqbot"),
    ),
    "webwechat": Room(
        ("src/yizhan/platforms/webwechat/convert", "src/yizhan/platforms/webwechat/client"),
        ("tests/platforms/webwechat",),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}; all if none is named")
    parser.add_argument("--count", type=int, default=60, help="faults for each room (60)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the faults (1)")
    parser.add_argument("--workers", type=int, default=2, help="faults tried at once (2)")
    options = parser.parse_args()
    if unknown := [name for name in options.rooms if name not in ROOMS]:
        parser.error(f"no room {', '.join(unknown)}; there are: {', '.join(ROOMS)}")
    explained = tomllib.loads(SURVIVORS.read_text("utf-8")).get("survivors", {})
    failed = False
    for name in options.rooms or ROOMS:
        tried, survivors = _try_room(ROOMS[name], options.count, options.seed, options.workers)
        unexplained = [fault for fault in survivors if fault.name not in explained]
        share = 1 - len(survivors) / max(1, len(tried))
        print(f"{name}: {len(tried)} faults, {len(survivors)} not noticed: {share:.0%} noticed (goal {GOAL:.0%})")
        for fault in survivors:
            print(f"  {fault.file}:{fault.line} {fault.operator}: {fault.text}\n    {explained.get(fault.name, '???')}")
        failed = failed or share < GOAL or bool(unexplained)
    return int(failed)


def _try_room(room: Room, count: int, seed: int, workers: int) -> tuple[list[Fault], list[Fault]]:
    """Return the faults that were tried, and those that no test noticed."""
    with _copies(workers) as trees:
        covered = measure(trees[0], room.sources, room.tests)
        files = sorted({str(p.relative_to(ROOT)) for s in room.sources for p in (ROOT / s).rglob("*.py")})
        faults = chosen(faults_in(ROOT, files), count, seed)
        survivors: list[Fault] = []
        waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
        for fault in faults:
            waiting.put(fault)
        threads = [threading.Thread(target=_work, args=(tree, waiting, covered, survivors)) for tree in trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return faults, sorted(survivors, key=lambda fault: fault.name)


def _work(tree: Path, waiting: queue.SimpleQueue[Fault], covered: CoverageMap, survivors: list[Fault]) -> None:
    while not waiting.empty():
        try:
            fault = waiting.get_nowait()
        except queue.Empty:
            return
        if not _noticed(tree, fault, covered.tests_of(fault.file, fault.line)):
            survivors.append(fault)


def _noticed(tree: Path, fault: Fault, tests: Sequence[str]) -> bool:
    """Whether one of `tests` fails, or hangs, with `fault` in the code of `tree`."""
    file = tree / fault.file
    original = file.read_text("utf-8")
    changed = fault.applied_to(original)
    if changed is None or not tests:
        return changed is None
    file.write_text(changed, "utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment(tree), capture_output=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(original, "utf-8")
    return done.returncode != 0


@contextmanager
def _copies(count: int) -> Iterator[list[Path]]:
    """Copies of the tracked files, one for each worker; faults never touch the checkout itself."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [Path(folder) / str(number) for number in range(count)]
        for tree in trees:
            for name in filter(None, listed.split("\0")):
                if (ROOT / name).exists():
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, tree / name)
        yield trees


if __name__ == "__main__":
    sys.exit(main())
