"""A program that does everything at once on five platforms, and kills itself at a random moment.

Run N sends a text and a file under the key of run N, recalls what run N - 1 sent, and changes an account's settings.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.end_to_end.accounts import person_of
from yizhan import File, Text
from yizhan.engine import Engine
from yizhan.errors import YizhanError
from yizhan.runtime.event_loop import run
from yizhan.sending.decide import Policy

LONGEST_LIFE = 1.2
"""Seconds: about the time of a whole run."""


async def main(folder: Path, number: int, chance: random.Random, *, kill: bool) -> None:
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    if kill:
        threading.Timer(chance.random() * LONGEST_LIFE, os.kill, (os.getpid(), signal.SIGKILL)).start()
    engine = await Engine.open(folder / "store", policy=Policy(first_delay=0.02, longest_delay=0.2))
    for name, settings in plan.items():
        # Every other run has other settings: an account is changed while deliveries of the run before wait.
        rules = {"chunks.concurrency": 1 + number % 2} if name.startswith("qqbot") else {}
        await engine.add_account(name, **{**settings, "rules": {**settings["rules"], **rules}})
        await engine.login(name, lambda step: None)
    targets = [await person_of(engine, name.partition(".")[0]) for name in plan]
    paper = b"%PDF-1.4\n" + random.Random(number).randbytes(90_000)
    async with asyncio.TaskGroup() as group:
        group.create_task(_send(engine, targets, number, paper))
        group.create_task(_recall(engine, number - 1))
    await engine.close()


async def _send(engine: Engine, targets: list[str], number: int, paper: bytes) -> None:
    content = [Text(f"run {number}"), File(paper, f"{number}.pdf")]
    broadcast = await engine.broadcast(targets, content, key=f"run {number}")
    await broadcast.wait()


async def _recall(engine: Engine, number: int) -> None:
    sent = [receipt for receipt in await engine.records.receipts(limit=10_000) if receipt.state == "sent"]
    for receipt in sent[-5:]:
        with suppress(YizhanError):  # not every wire recalls, and none after its time
            await engine.recall(receipt.delivery)


if __name__ == "__main__":
    place, number, seed, kill = sys.argv[1:]
    run(main(Path(place), int(number), random.Random(f"{seed} {number}"), kill=kill == "kill"))
