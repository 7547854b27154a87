"""How long `import yizhan` takes over bare Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.common import Row


def import_time(rounds: int = 15) -> list[Row]:
    """`import yizhan` in milliseconds over bare Python, and as a ratio to it."""
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(_run("pass"))
        ours.append(_run("import yizhan"))
    over = (statistics.median(ours) - statistics.median(bare)) * 1000
    ratio = statistics.median(ours) / statistics.median(bare)
    return [Row("import yizhan ÷ bare Python", ratio, "≤ 60 ms over", over <= 60, f"{over:.1f} ms over")]


def _run(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began
