"""A program that sends a broadcast to its end; meant to be killed on the way. Run by test_killed.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from yizhan.delivery.retry import Policy
from yizhan.engine import Engine
from yizhan.model import State
from yizhan.net.loop import run


async def main(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    engine = await Engine.open(folder / "store", policy=Policy(first_delay=0.02, longest_delay=0.2))
    if not await engine.accounts():
        for name, settings in plan["accounts"].items():
            await engine.add_account(name, **settings)
    for name in plan["accounts"]:
        await engine.login(name, lambda step: None)
    from yizhan import File

    # The same key every time: whatever was stored before is found again.
    broadcast = await engine.broadcast(File(folder / "paper.pdf", "paper.pdf"), to=plan["targets"], key="news")
    print("SUBMITTED", flush=True)
    settled = 0

    def count(_target: object, _state: State) -> None:
        nonlocal settled
        settled += 1
        if settled % 20 == 0:
            print(f"SETTLED {settled}", flush=True)

    engine.on_settled(count)
    await broadcast.wait()
    await engine.close()
    print("DONE", flush=True)


if __name__ == "__main__":
    run(main(Path(sys.argv[1])))
