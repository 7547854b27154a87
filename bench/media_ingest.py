"""The rate of adding media, against the slower of its hashes alone, and the memory that it takes.

python bench/media_ingest.py [MiB]
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MIB = 1 << 20
TARGET = 0.7
"""Least (time of the slower hash alone ÷ time of the intake)."""
MOST_MEMORY = 150
"""MiB of peak resident memory of a process that adds one file."""


def run(mebibytes: int = 256, rounds: int = 3) -> list[dict[str, Any]]:
    """Return the measured rows: intake against the slower hash, and peak memory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        file = folder / "large.bin"
        _fill(file, mebibytes)
        alone = min(max(_hash(file, "sha256"), _hash(file, "md5")) for _ in range(rounds))
        taken, peak = min(_intake(file, folder / f"library-{i}") for i in range(rounds))
        return [
            {
                "what": f"intake of {mebibytes} MiB ÷ the slower of its hashes",
                "ratio": round(alone / taken, 2),
                "target": f"≥ {TARGET}",
                "met": alone / taken >= TARGET,
                "detail": f"{mebibytes / taken:.0f} MiB/s; the slower hash alone {mebibytes / alone:.0f} MiB/s",
            },
            {
                "what": f"peak memory while taking in {mebibytes} MiB",
                "ratio": round(peak, 1),
                "target": f"≤ {MOST_MEMORY} MiB",
                "met": peak <= MOST_MEMORY,
                "detail": "resident, of the whole process, imports included",
            },
        ]


def _fill(file: Path, mebibytes: int) -> None:
    with file.open("wb") as out:
        for _ in range(mebibytes):
            out.write(os.urandom(MIB))


def _hash(file: Path, algorithm: str) -> float:
    start = time.perf_counter()
    with file.open("rb") as source:
        hashlib.file_digest(source, algorithm)
    return time.perf_counter() - start


def _intake(file: Path, folder: Path) -> tuple[float, float]:
    """Seconds and MiB of one intake in a process of its own, so that its memory is only its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(file), str(folder)], check=True, capture_output=True, text=True
    )
    seconds, peak = json.loads(done.stdout)
    for left in folder.rglob("*"):
        if left.is_file():
            left.unlink()
    return seconds, peak


async def _one(file: Path, folder: Path) -> tuple[float, float]:
    from yizhan.media.blobs import open_blobs
    from yizhan.media.index import SqlMediaIndex
    from yizhan.media.library import Library
    from yizhan.runtime.clock import SystemClock
    from yizhan.storage.ledger import Ledger

    folder.mkdir()
    ledger = await Ledger.open(folder / "yizhan.db")
    library = Library(open_blobs(folder / "media"), SqlMediaIndex(ledger), SystemClock())
    await library.add(b"warm")
    start = time.perf_counter()
    await library.add(file)
    seconds = time.perf_counter() - start
    await ledger.close()
    return seconds, _peak()


def _peak() -> float:
    """MiB that this process has held at most. What getrusage says also counts the process that started this one."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        from yizhan.runtime.event_loop import run as run_loop

        print(json.dumps(run_loop(_one(Path(sys.argv[2]), Path(sys.argv[3])))))
        return
    for row in run(*map(int, sys.argv[1:2])):
        print(f"{row['what']}: {row['ratio']} (target {row['target']}) – {row['detail']}")


if __name__ == "__main__":
    main()
