"""A program that stores, runs, pauses or recalls one broadcast, and is killed at one of its commits.

`broadcast_child FOLDER ACTION COMMIT WHEN`: killed `before` or `after` that commit; commit 0 lets it live.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from yizhan.broadcasts import create, feeder, recall
from yizhan.engine import Engine
from yizhan.errors import Refused
from yizhan.runtime.event_loop import run
from yizhan.sending.decide import Policy
from yizhan.storage.ledger import Ledger

KEY = "the news"


def killed_at(commit: int, when: str) -> None:
    """Have this process killed at a commit of its own."""
    commit_jobs, count = Ledger._commit, 0

    def counted(self: Ledger, jobs: list[Any]) -> None:
        nonlocal count
        count += 1
        if count == commit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit_jobs(self, jobs)
        if count == commit:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger._commit = counted  # type: ignore[method-assign]


async def main(folder: Path, action: str) -> None:
    create.SLICE, feeder.PORTION, feeder.LOW, recall.PORTION = 60, 40, 20, 30
    plan = json.loads((folder / "plan.json").read_text())
    async with await Engine.open(
        folder / "store", policy=Policy(first_delay=0.02, longest_delay=0.2), concurrency=8
    ) as engine:
        await engine.add_account("qqbot.main", **plan["account"])
        broadcast = await engine.broadcast(plan["people"], "news", key=KEY)
        match action:
            case "pause":
                with suppress(Refused):  # it is done, or was paused by a run before
                    await broadcast.pause()
                with suppress(Refused):
                    await broadcast.resume()
            case "recall":
                with suppress(Refused):  # a run before began it
                    await broadcast.recall()
        await broadcast.wait()


if __name__ == "__main__":
    place, action, commit, when = sys.argv[1:]
    if int(commit):
        killed_at(int(commit), when)
    run(main(Path(place), action))
