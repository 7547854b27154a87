"""A recall withdraws every part, and one that fails half-way says which parts are gone."""

from __future__ import annotations

import pytest

from tests.sending.fake import Network
from yizhan.engine import Engine
from yizhan.errors import OutcomeUnknown, Refused, Rejected
from yizhan.model import PlatformId, Receipt, State, Target

ALICE = "fake.me/user/alice"


def refuse_part(monkeypatch: pytest.MonkeyPatch, network: Network, adapter: object, refused: str) -> None:
    """Have the recall of the part with the id `refused` fail once."""
    refusals = iter([refused])

    async def recall(sent: PlatformId, target: Target, receipt: Receipt) -> None:
        if sent.id == refused and next(refusals, None):
            raise Rejected("two minutes are over")
        network.recalled.append(sent.id)

    monkeypatch.setattr(adapter, "recall", recall)


async def test_a_recall_that_fails_half_way_says_which_parts_are_gone(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_part(monkeypatch, network, await engine.adapter("fake.me"), "m2")
    receipt = await engine.send(ALICE, "one", "two", "three")

    words = r"d1: part 1 of 3 is withdrawn, part 2, 3 of 3 is not: two minutes are over Recall it again"
    with pytest.raises(Rejected, match=words):
        await engine.recall(receipt)
    half = await engine.receipt("d1")

    assert State.SENT == half.state
    assert [True, False, False] == [part.recalled for part in half.platform_ids]


async def test_another_recall_withdraws_only_the_parts_that_are_left(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_part(monkeypatch, network, await engine.adapter("fake.me"), "m2")
    receipt = await engine.send(ALICE, "one", "two", "three")
    with pytest.raises(Rejected):
        await engine.recall(receipt)

    recalled = await engine.recall(receipt)

    assert State.RECALLED == recalled.state
    assert ["m1", "m2", "m3"] == network.recalled


async def test_a_recall_that_fails_at_the_first_part_has_the_platforms_words(
    engine: Engine, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_part(monkeypatch, network, await engine.adapter("fake.me"), "m1")
    receipt = await engine.send(ALICE, "one", "two")

    with pytest.raises(Rejected, match=r"^two minutes are over$"):
        await engine.recall(receipt)


async def test_a_message_with_a_part_of_unknown_id_is_not_recalled_by_halves(engine: Engine, network: Network) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut") if len(network.arrived) == 2 else None
    (receipt,) = await engine.submit(ALICE, "one", "two")
    while not (await engine.receipt(receipt.delivery)).state.final:
        await engine.supervisor.waiting.for_all([1], 0.1)
    await engine.settle("d1", as_="arrived")

    with pytest.raises(Refused, match="the platform's id of part 2 of 2 is not known"):
        await engine.recall("d1")

    assert [] == network.recalled
