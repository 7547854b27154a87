"""The command line's use of the engine: looking without sending, and settling unknown deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sending.fake import Network, fake_network
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, LoginNeeded, OutcomeUnknown, UnknownAccount
from yizhan.model import State


@pytest.fixture
def network() -> Iterator[Network]:
    with fake_network() as network:
        yield network


async def test_deliveries_of_a_process_that_does_not_send_wait_for_one_that_does(
    network: Network, tmp_path: Path
) -> None:
    async with await Engine.open(tmp_path, sending=False) as looking:
        await looking.add_account("fake.me")
        (receipt,) = await looking.submit("fake.me/user/a", "hi")
        assert not network.arrived
        async with await Engine.open(tmp_path) as sending:
            (settled,) = await sending.wait([receipt])

    assert State.SENT == settled.state
    assert 1 == len(network.arrived)


async def test_once_the_part_in_doubt_is_known_to_have_arrived_the_rest_follows(
    network: Network, tmp_path: Path
) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut") if len(network.arrived) == 1 else None
    async with await Engine.open(tmp_path) as engine:
        await engine.add_account("fake.me")
        with pytest.raises(DeliveryFailed) as caught:
            await engine.send("fake.me/user/a", "first", "second")

        await engine.settle(caught.value.receipts[0], as_="arrived")
        (settled,) = await engine.wait(caught.value.receipts[0])

    assert State.SENT == settled.state
    assert ["a first", "a second"] == network.order
    assert ["", "m2"] == [part.id for part in settled.platform_ids]


async def test_a_single_part_that_arrived_is_sent_at_once(network: Network, tmp_path: Path) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut")
    async with await Engine.open(tmp_path) as engine:
        await engine.add_account("fake.me")
        with pytest.raises(DeliveryFailed) as caught:
            await engine.send("fake.me/user/a", "first")

        settled = await engine.settle(caught.value.receipts[0], as_="arrived")

    assert State.SENT == settled.state
    assert 1 == len(network.arrived)


async def test_a_sending_process_notices_deliveries_settled_by_another_one(network: Network, tmp_path: Path) -> None:
    network.after = lambda target, number: OutcomeUnknown("cut") if number == 1 else None
    async with await Engine.open(tmp_path) as sending, await Engine.open(tmp_path, sending=False) as looking:
        await sending.add_account("fake.me")
        with pytest.raises(DeliveryFailed) as caught:
            await sending.send("fake.me/user/a", "hi")

        await looking.settle(caught.value.receipts[0], as_="again")
        (settled,) = await looking.wait(caught.value.receipts[0])

    assert State.SENT == settled.state
    assert 2 == len(network.arrived)


async def test_the_newest_deliveries_are_listed_oldest_first(network: Network, tmp_path: Path) -> None:
    async with await Engine.open(tmp_path, sending=False) as engine:
        await engine.add_account("fake.me")
        await engine.submit([f"fake.me/user/{n}" for n in range(5)], "hi")

        newest = await engine.deliveries(limit=2, newest=True)

    assert ["d4", "d5"] == [receipt.delivery for receipt in newest]


async def test_an_account_that_is_gone_keeps_no_other_from_sending(network: Network, tmp_path: Path) -> None:
    async with await Engine.open(tmp_path, sending=False) as engine:
        await engine.add_account("fake.gone")
        await engine.add_account("fake.here")
        (lost,) = await engine.submit("fake.gone/user/a", "hi")
        (there,) = await engine.submit("fake.here/user/b", "hi")
        await engine.remove_account("fake.gone")

    async with await Engine.open(tmp_path) as engine:
        (sent,) = await engine.wait(there)
        with pytest.raises(UnknownAccount, match=r"no account 'fake\.gone'"):
            await engine.wait(lost)

    assert State.SENT == sent.state


async def test_a_login_in_another_process_resumes_a_paused_account(network: Network, tmp_path: Path) -> None:
    logged_in = False
    network.script = lambda target, number: None if logged_in else LoginNeeded("scan the code")
    async with await Engine.open(tmp_path) as sending, await Engine.open(tmp_path, sending=False) as other:
        await sending.add_account("fake.me")
        (receipt,) = await sending.submit("fake.me/user/a", "hi")
        with pytest.raises(LoginNeeded):
            await sending.wait(receipt)

        logged_in = True
        await other.login("fake.me", lambda step: None)
        (settled,) = await other.wait(receipt)

    assert State.SENT == settled.state
