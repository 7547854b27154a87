"""A program that sends a whole broadcast, or kills itself on the way; the plan says when.

It kills itself, since a watching process could not do so as exactly: on a busy machine it would come too late.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.engine import Engine
from yizhan.runtime.event_loop import run
from yizhan.sending.decide import Policy


class End(Struct):
    """When to be killed: so many seconds after so many deliveries have ended."""

    settled: int
    later: float


class Clockwork:
    """Counts down to the end."""

    def __init__(self, end: End) -> None:
        self.left = end.settled
        # From another thread, so that it falls between any two steps.
        self.timer = threading.Timer(end.later, os.kill, (os.getpid(), signal.SIGKILL))

    def settled(self, _target: object, _state: object) -> None:
        self.left -= 1
        self.look()

    def look(self) -> None:
        if self.left <= 0 and self.timer.ident is None:
            self.timer.start()


async def main(folder: Path, end: End | None) -> None:
    plan: Any = json.loads((folder / "plan.json").read_text())
    engine = await Engine.open(folder / "store", policy=Policy(first_delay=0.02, longest_delay=0.2))
    if not await engine.accounts():
        for name, settings in plan["accounts"].items():
            await engine.add_account(name, **settings)
    for name in plan["accounts"]:
        await engine.login(name, lambda step: None)
    from yizhan import File

    # The same key every time, so that the stored broadcast is found again.
    broadcast = await engine.broadcast(plan["targets"], File(folder / "paper.pdf", "paper.pdf"), key="news")
    if end is not None:
        clockwork = Clockwork(end)
        engine.on_settled(clockwork.settled)
        clockwork.look()
    await broadcast.wait()
    await engine.close()


if __name__ == "__main__":
    run(main(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=End | None)))
