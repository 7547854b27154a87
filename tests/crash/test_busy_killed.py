"""Five platforms at once, killed at random: nothing is lost or sent twice, and doubt is reported.

`make torture` runs it with 1,000 kills; the environment variable KILLS says how many, SEED which.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.accounts import ALL
from tests.storage.test_migrations import DELIVERY, OLD_STORES
from yizhan.engine import Engine
from yizhan.model import State, Target
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

KILLS = int(os.environ.get("KILLS", "14"))
SEED = os.environ.get("SEED", "7")
OPEN = """
import asyncio, os, signal, sqlite3, sys, threading
from pathlib import Path
from yizhan.storage.ledger import Ledger

moment, number = sys.argv[2], float(sys.argv[3])
steps = 0

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def step():
    global steps
    steps += 1
    if moment == "step" and steps == number:
        kill()
    return 0

def saw(statement):
    if moment == "commit" and statement == "COMMIT":
        threading.Timer(number, kill).start()

def watched(*given, connect=sqlite3.connect, **named):
    connection = connect(*given, **named)
    connection.set_progress_handler(step, 1000)
    connection.set_trace_callback(saw)
    return connection

async def main():
    sqlite3.connect = watched
    await Ledger.open(Path(sys.argv[1]))
    print(steps, flush=True)
    if moment != "never":
        kill()
    os._exit(0)

asyncio.run(main())
"""
"""Opens a store and is killed: at a `step` of the database (1,000 of its instructions), some seconds after its `commit`
began, or once it is `opened`. Prints the steps that it took."""


async def run_child(folder: Path, number: int, *, kill: bool) -> int:
    words = ["-m", "tests.crash.busy_child", str(folder), str(number), SEED, "kill" if kill else "live"]
    child = await asyncio.create_subprocess_exec(sys.executable, *words)
    return await child.wait()


@pytest.mark.crash
@pytest.mark.timeout(3600)
async def test_five_platforms_killed_at_random_lose_nothing_and_send_nothing_twice(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    for platform in ALL:
        sandbox.rules(platform, limits=False)
    sandbox.rules("qqbot", set={"chunks.block_bytes": 20_000})
    more = {"qqbot": {"files.inline_max_bytes": 1000}}
    plan = {
        name: {
            **platform_named(platform).sandbox_settings,
            "base_url": sandbox.url,
            "rules": {"limits": False, **more.get(platform, {})},
        }
        for platform, name in ALL.items()
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))

    codes = [await run_child(tmp_path, number, kill=True) for number in range(KILLS)]
    assert 0 == await run_child(tmp_path, KILLS, kill=False)

    assert {0, -signal.SIGKILL} >= set(codes)
    assert codes.count(-signal.SIGKILL) > KILLS / 2
    arrived = Counter((post.platform, post.target, post.text) for post in sandbox.posts() if post.text)
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock, sending=False) as engine:
        receipts = await engine.records.receipts(limit=100_000)
        texts = {seq: await _text_of(engine, receipt.delivery) for seq, receipt in enumerate(receipts)}
    assert len(receipts) >= len(ALL)
    for seq, receipt in enumerate(receipts):
        target = Target.parse(receipt.target)
        times = arrived[target.platform, target.id, texts[seq]]
        assert times <= 1, receipt
        assert receipt.state in (State.SENT, State.UNKNOWN, State.RECALLED), receipt
        if receipt.state is not State.UNKNOWN:
            assert 1 == times, receipt
    unknown = sum(receipt.state is State.UNKNOWN for receipt in receipts)
    assert unknown <= codes.count(-signal.SIGKILL) * len(ALL)


async def _text_of(engine: Engine, delivery: str) -> str:
    body = json.loads(await engine.records.message_of(int(delivery[1:])))
    return str(next(segment["text"] for segment in body["segments"] if "text" in segment))


@pytest.mark.crash
@pytest.mark.timeout(3600)
async def test_a_migration_killed_at_any_moment_leaves_the_old_store_or_the_new_one(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    template = tmp_path / "old.db"
    with sqlite3.connect(template) as connection:
        connection.executescript(OLD_STORES[0].read_text())
        connection.execute(DELIVERY)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(deliveries)")]
        listed = ", ".join("r.n + 7" if name == "seq" else f'"{name}"' for name in columns if name != "key")
        names = ", ".join(f'"{name}"' for name in columns if name != "key")
        connection.execute(
            "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20000) "
            f"INSERT INTO deliveries ({names}) SELECT {listed} FROM deliveries, r"
        )
    connection.close()

    steps = await _open_and_kill(template, tmp_path / "whole.db", "never", 0)
    times = max(KILLS, 10)
    # Steps are the same in every run, however slow the machine is.
    moments: list[tuple[str, float]] = [("step", chance.randint(1, steps)) for _ in range(times)]
    moments += [("commit", chance.random() / 50) for _ in range(times // 3)]
    moments += [("opened", 0.0)]
    ended: dict[str, Counter[str]] = {moment: Counter() for moment, _ in moments}
    for number, (moment, at) in enumerate(moments):
        file = tmp_path / f"{number}.db"
        await _open_and_kill(template, file, moment, at)
        connection = sqlite3.connect(file)
        new = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_revision'").fetchone()
        ended[moment]["new" if new else "old"] += 1
        assert [(20001, 1 if new else 0)] == connection.execute(
            "SELECT count(*), (SELECT count(*) FROM pragma_table_info('deliveries') WHERE name = 'in_doubt') "
            "FROM deliveries"
        ).fetchall()
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
        file.unlink()

    assert ended["step"]["old"] > times / 2
    assert 1 == ended["opened"]["new"]


async def _open_and_kill(template: Path, file: Path, moment: str, at: float) -> int:
    """Open a copy of a store in a process that is killed then; return how many steps it took, 0 if it was killed."""
    file.write_bytes(template.read_bytes())
    words = ["-c", OPEN, str(file), moment, str(at)]
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    assert child.returncode == (0 if moment == "never" else -signal.SIGKILL)
    return int(said or 0)
