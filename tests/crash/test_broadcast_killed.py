"""A broadcast, killed at any commit while it is stored, fed, paused and recalled, reaches everyone at most once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.broadcast_child import KEY
from yizhan.broadcasts.broadcast import Broadcast
from yizhan.engine import Engine
from yizhan.model import State
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

KILLS = int(os.environ.get("KILLS", "14"))
SEED = os.environ.get("SEED", "7")
PEOPLE = 400


async def child(folder: Path, action: str, commit: int = 0, when: str = "after") -> int:
    words = ["-m", "tests.crash.broadcast_child", str(folder), action, str(commit), when]
    process = await asyncio.create_subprocess_exec(sys.executable, *words)
    return await process.wait()


@pytest.mark.crash
@pytest.mark.timeout(3600)
async def test_a_broadcast_killed_at_any_commit_reaches_everybody_at_most_once(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    chance = random.Random(f"broadcast {SEED}")
    sandbox.rules("qqbot", limits=False)
    settings = {**platform_named("qqbot").sandbox_settings, "base_url": sandbox.url, "rules": {"limits": False}}
    people = sandbox.users(PEOPLE)
    (tmp_path / "plan.json").write_text(json.dumps({"account": settings, "people": people}))
    kills = 0

    async def kill_again_and_again(action: str, times: int) -> None:
        nonlocal kills
        for _ in range(times):
            # Early commits are those of opening and storing; each run gets on by a few, so that all are met.
            code = await child(tmp_path, action, chance.randint(1, 30), chance.choice(("before", "after")))
            assert code in (0, -signal.SIGKILL)
            kills += code != 0

    await kill_again_and_again("run", KILLS // 2)
    await kill_again_and_again("pause", KILLS // 4)
    assert 0 == await child(tmp_path, "pause")
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock, sending=False) as engine:
        broadcast = await the_broadcast(engine)
        assert people == [row.target async for row in broadcast.recipients()]
        rows = Counter([row.state async for row in broadcast.recipients()])
        assert "done" == (await broadcast.row()).state
    times = Counter(post.target for post in sandbox.posts())
    assert {"sent", "unknown"} >= rows.keys()
    assert PEOPLE == rows.total()
    assert 1 == max(times.values())
    assert rows["sent"] <= len(times) <= PEOPLE
    assert rows["unknown"] <= kills * 8, "no more than were on the wire"

    before = kills
    await kill_again_and_again("recall", KILLS // 4 + 1)
    assert 0 == await child(tmp_path, "recall")
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock, sending=False) as engine:
        broadcast = await the_broadcast(engine)
        assert "recalled" == (await broadcast.row()).state
        ended = [row async for row in broadcast.recipients()]
    withdrawn = {post.target for post in sandbox.posts() if post.recalled}
    recalled = {row.target.rpartition("/")[2] for row in ended if row.state == State.RECALLED}
    assert recalled <= withdrawn
    # A kill between the platform's answer and its record leaves a message that the platform finds withdrawn already.
    doubtful = [row for row in ended if row.state == State.SENT]
    assert all(row.recall for row in doubtful)
    assert len(doubtful) <= (kills - before) * 8
    assert kills > KILLS / 2


async def the_broadcast(engine: Engine) -> Broadcast:
    (broadcast,) = await engine.broadcasts.list()
    assert KEY == (await broadcast.row()).key
    return broadcast
