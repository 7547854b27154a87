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
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.model import State, Target
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

KILLS = int(os.environ.get("KILLS", "14"))
SEED = os.environ.get("SEED", "7")
OPEN = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
from yizhan.storage.ledger import Ledger
async def main():
    began = time.monotonic()
    threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
    await Ledger.open(Path(sys.argv[1]))
    print(time.monotonic() - began, flush=True)
    os._exit(0)
asyncio.run(main())
"""


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

    seconds = await _open_and_kill(template, tmp_path / "whole.db", PATIENCE)
    revisions = Counter[str]()
    for number in range(max(KILLS, 10)):
        file = tmp_path / f"{number}.db"
        await _open_and_kill(template, file, seconds * 1.3 * (number + chance.random()) / max(KILLS, 10))
        connection = sqlite3.connect(file)
        new = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_revision'").fetchone()
        revisions["new" if new else "old"] += 1
        assert [(20001, 1 if new else 0)] == connection.execute(
            "SELECT count(*), (SELECT count(*) FROM pragma_table_info('deliveries') WHERE name = 'in_doubt') "
            "FROM deliveries"
        ).fetchall()
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
        connection.close()
        file.unlink()

    assert 2 == len(revisions), "kills before and after the commit"


async def _open_and_kill(template: Path, file: Path, after: float) -> float:
    """Open a copy of a store in a process that is killed after so many seconds; return how long it took to open."""
    file.write_bytes(template.read_bytes())
    words = ["-c", OPEN, str(file), str(after)]
    child = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    return float(said or 0.0)
