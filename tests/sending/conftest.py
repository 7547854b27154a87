"""An engine on a new store, over the network in memory, on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sending.fake import Network, fake_network
from yizhan.engine import Engine
from yizhan.sending.decide import Policy
from yizhan.world import TurnableClock


@pytest.fixture
def network() -> Iterator[Network]:
    with fake_network() as network:
        yield network


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
async def engine(network: Network, clock: TurnableClock, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=clock, policy=Policy(first_delay=0.01, longest_delay=0.05))
    await engine.add_account("fake.me")
    yield engine
    await engine.close()
