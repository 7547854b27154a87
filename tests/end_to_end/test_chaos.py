"""Twenty per cent of all exchanges fail, and the receipts are still true."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.end_to_end.accounts import NAMES, add_accounts
from yizhan.engine import Engine
from yizhan.model import State, Target
from yizhan.testing import RunningSandbox

EACH = 2500


@pytest.mark.slow
async def test_5000_deliveries_through_chaos_all_end_in_a_true_state(sandbox: RunningSandbox, engine: Engine) -> None:
    for platform in NAMES:
        sandbox.rules(platform, limits=False)
    await add_accounts(engine, sandbox, rules={"limits": False})
    targets = [*sandbox.users(EACH), *sandbox.users(EACH, "webwechat.me")]
    for call in ("sendToUser", "webwxsendmsg"):
        sandbox.chaos(call, status=503, rate=0.04)
        sandbox.chaos(call, status=502, rate=0.04)
        sandbox.chaos(call, status=429, rate=0.04)
        sandbox.chaos(call, cut="before", rate=0.04)
        sandbox.chaos(call, cut="after", rate=0.04)

    counts = await (await engine.broadcast(targets, "news")).wait()

    assert sum(counts.values()) == 2 * EACH
    assert counts.keys() <= {State.SENT, State.UNKNOWN, State.FAILED}
    arrived = Counter((post.platform, post.target) for post in sandbox.posts())
    lies = []
    for receipt in await engine.records.receipts(limit=10_000):
        target = Target.parse(receipt.target)
        times = arrived[target.platform, target.id]
        truth = {State.SENT: times == 1, State.FAILED: times == 0, State.UNKNOWN: times <= 1}[receipt.state]
        if not truth:
            lies.append((receipt.target, receipt.state, times, receipt.detail))
    assert [] == lies[:5]
    # Where the wire recognizes a repeat, no outcome is unknown.
    states = Counter(r.state for r in await engine.records.receipts(account=NAMES["webwechat"], limit=10_000))
    assert states[State.UNKNOWN] <= EACH // 100
    assert 0.85 * 2 * EACH <= counts[State.SENT]
