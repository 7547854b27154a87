"""An engine on a new store, with an account on every platform of the sandbox, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.accounts import add_accounts
from yizhan.engine import Engine
from yizhan.sending.decide import Policy
from yizhan.testing import RunningSandbox

QUICK = Policy(first_delay=0.02, longest_delay=0.2)


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await add_accounts(engine, sandbox)
    yield engine
    await engine.close()
