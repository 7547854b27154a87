"""Processes killed at chosen moments: nothing is lost or sent twice, and doubt is reported."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.child import End
from tests.crash.running import start_child
from tests.end_to_end.accounts import NAMES
from tests.end_to_end.files import pdf
from yizhan.engine import Engine
from yizhan.model import Receipt, State, Target
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

KILLS = 24
PER_PLATFORM = 1000


@pytest.mark.crash
@pytest.mark.timeout(900)
async def test_a_broadcast_to_2000_targets_survives_being_killed_again_and_again(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    for platform in NAMES:
        sandbox.rules(platform, limits=False)
    targets = [*sandbox.users(PER_PLATFORM), *sandbox.users(PER_PLATFORM, "webwechat.me")]
    (tmp_path / "paper.pdf").write_bytes(pdf())
    accounts = {
        name: {**platform_named(platform).sandbox_settings, "base_url": sandbox.url, "rules": {"limits": False}}
        for platform, name in NAMES.items()
    }
    (tmp_path / "plan.json").write_text(json.dumps({"accounts": accounts, "targets": targets}))

    kills = await _run_and_kill(tmp_path, random.Random(7))

    assert kills >= 20
    receipts = await _receipts(tmp_path, sandbox)
    assert sorted(targets) == sorted(receipt.target for receipt in receipts)
    arrived = Counter((post.platform, post.target) for post in sandbox.posts(kind="file"))
    for receipt in receipts:
        target = Target.parse(receipt.target)
        times = arrived[target.platform, target.id]
        if target.platform == "webwechat":
            # The wire recognizes a repeat under the same key: exactly once, and known.
            assert (receipt.state, times) == (State.SENT, 1), receipt
        elif receipt.state is State.SENT:
            assert times == 1, receipt
        else:
            # An active QQ message cannot be asked again: at most once, and said to be unknown.
            assert receipt.state is State.UNKNOWN, receipt
            assert times <= 1, receipt
    unknown = sum(receipt.state is State.UNKNOWN for receipt in receipts)
    assert unknown <= kills * 40


async def _run_and_kill(folder: Path, chance: random.Random) -> int:
    """Run the child until it is done, killed KILLS times at random points of the broadcast; returns how often."""
    for kills in range(KILLS):
        end = End(settled=chance.choice((0, 0, 20, 20, 20)), later=chance.random() * 0.02)
        code = await (await start_child(folder, end)).wait()
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, "the child ended by itself"
    assert 0 == await (await start_child(folder)).wait()
    return KILLS


async def _receipts(folder: Path, sandbox: RunningSandbox) -> list[Receipt]:
    engine = await Engine.open(folder / "store", clock=sandbox.clock)
    receipts = await engine.records.receipts(limit=10_000)
    await engine.close()
    return receipts
