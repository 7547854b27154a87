"""Outputs that pages show as they were in one run: `python -m tests.docs.shown --write [demo] [ratios]`.

The tests compare the structure of the shown outputs with a run of their own, never the numbers.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence

from tests.docs.pages import ROOT, fill, marked, pages
from tests.docs.tables import words
from tests.support import PATIENCE

MEASURED = ("client", "pipeline", "import")
"""The measurements that the front page shows; the longer ones are left to `make bench`."""

SOMETIMES = re.compile(r"asked again under|are `unknown`|unknown, the sandbox says|They are settled:")
"""Lines of the demo that depend on the deliveries in flight when the process was killed."""


def demo(*arguments: str) -> str:
    """Run the demo and return its output."""
    command = [sys.executable, "-m", "yizhan.cli", "demo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * PATIENCE, check=True, cwd=ROOT)
    return done.stdout.strip()


def demo_block() -> str:
    return f"```text\n{demo()}\n```"


def shape(line: str) -> str:
    """A line without what differs from run to run: numbers, sizes, digests, ids, addresses."""
    line = re.sub(r"https?://\S+", "URL", line)
    line = re.sub(r"\b[0-9a-f]{12,}…?|\b[0-9A-F]{32}\b|\b[0-9a-zA-Z_-]+@im\.wechat", "ID", line)
    line = re.sub(r"\d[\d,.]*( [kMG]?B\b| s\b)?", "#", line)
    return " ".join(line.split()).replace("─", "")


def shapes(text: str) -> list[str]:
    """The shapes of an output, without its progress, whose lines come as often as time passes."""
    lines = [shape(line) for line in text.strip("`").removeprefix("text").strip().splitlines() if " · " not in line]
    return [line for line in lines if line]


def always(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not SOMETIMES.search(line)]


def ratios() -> str:
    """Run the measurements and return them as a table of ratios."""
    rows = []
    for name in MEASURED:
        command = [sys.executable, "-m", "bench", "--quick", name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT)
        rows += [row for line in done.stdout.splitlines()[1:] if (row := ratio(line))]
    assert rows, "nothing was measured"
    head = ["| what | ratio | wanted |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def ratio(line: str) -> tuple[str, str, str] | None:
    """Return a line of the measurements without absolute figures; None for another line."""
    match = re.match(r"(.{66}) +([\d.]+)  (.{14}) (?:yes|NO)", line)
    if match is None:
        return None
    target = match[3].strip()
    return match[1].strip(), match[2], target if re.fullmatch(r"[≤≥] [\d.]+", target) else "–"


def ratios_zh(english: str) -> str:
    """Return the table of ratios in Chinese."""
    rows = [line.strip("| ").split(" | ") for line in english.splitlines()[2:]]
    chinese = words("zh.ratios", {row[0] for row in rows})
    head = ["| 项目 | 比值 | 目标 |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| {' | '.join([chinese[row[0]], *row[1:]])} |" for row in rows)])


MAKERS: dict[str, Callable[[], str]] = {"demo": demo_block, "ratios": ratios}


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] != "--write" or set(arguments[1:]) - MAKERS.keys():
        sys.stdout.write(f"python -m tests.docs.shown --write [{'] ['.join(MAKERS)}]\n")
        return 2
    made = {name: MAKERS[name]() for name in arguments[1:] or MAKERS}
    if "ratios" in made:
        made["ratios-zh"] = ratios_zh(made["ratios"])
    before = {block.name: block.text for block in marked("shown")}
    for page in pages():
        fill(page, "shown", lambda name: made.get(name, before[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
