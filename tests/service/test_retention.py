"""Retention: old rows are removed, some at a time; waiting and counted ones stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.accounts import add_accounts
from yizhan.config.settings import KeepSettings
from yizhan.config.values import FOREVER, Span
from yizhan.engine import Engine
from yizhan.errors import YizhanError
from yizhan.sending.outbox import prune as pruning
from yizhan.storage.statement import Statement
from yizhan.testing import RunningSandbox

DAY = 86400.0
ALICE, BOB = "webwechat.me/user/Alice", "webwechat.me/user/Bob"


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock) as engine:
        await add_accounts(engine, sandbox, ("webwechat",))
        for task in asyncio.all_tasks():
            # It would prune as well when the clock is turned.
            if task.get_name() == "yizhan tidying":
                task.cancel()
        yield engine


async def rows(engine: Engine, table: str) -> int:
    statement = Statement("count", sqlite=f"SELECT count(*) FROM {table}")
    return int(await engine.supervisor.ledger.read(lambda connection: connection.value(statement)))


def keep(engine: Engine, **spans: float) -> None:
    everything = dict.fromkeys(("deliveries", "attempts", "events", "media"), FOREVER)
    engine.supervisor.retention.keep = KeepSettings(**{**everything, **{k: Span(v) for k, v in spans.items()}})


async def test_old_deliveries_go_with_their_messages_and_new_ones_stay(engine: Engine, sandbox: RunningSandbox) -> None:
    await engine.send(ALICE, "old")
    sandbox.clock.advance(40 * DAY)
    new = await engine.send(ALICE, "new")
    keep(engine, deliveries=30 * DAY)

    removed = await engine.supervisor.retention.prune()

    assert 1 == removed["deliveries"]
    assert (1, 1) == (await rows(engine, "deliveries"), await rows(engine, "messages"))
    assert new.delivery == (await engine.deliveries())[0].delivery


async def test_a_delivery_that_waits_stays_however_old(engine: Engine, sandbox: RunningSandbox) -> None:
    await engine.submit(ALICE, "later", at=sandbox.clock.now() + 400 * DAY)
    sandbox.clock.advance(200 * DAY)
    keep(engine, deliveries=DAY)

    await engine.supervisor.retention.prune()

    assert 1 == await rows(engine, "deliveries")


async def test_an_ended_broadcast_goes_as_a_whole(engine: Engine, sandbox: RunningSandbox) -> None:
    broadcast = await engine.broadcast([ALICE, BOB], "hello")
    await broadcast.wait()
    sandbox.clock.advance(40 * DAY)
    keep(engine, deliveries=30 * DAY)

    removed = await engine.supervisor.retention.prune()

    assert (1, 2, 2) == (removed["broadcasts"], removed["deliveries"], removed["recipients"])
    for table in ("broadcasts", "deliveries", "recipients", "feeds", "broadcast_counts", "messages"):
        assert 0 == await rows(engine, table), table


async def test_many_rows_go_in_small_portions(
    engine: Engine, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await engine.send(ALICE, f"message {number}")
    sandbox.clock.advance(40 * DAY)
    keep(engine, deliveries=30 * DAY)
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    portions: list[int] = []
    drop = pruning._drop_deliveries

    def counted(connection: object, seqs: list[int]) -> int:
        portions.append(len(seqs))
        return drop(connection, seqs)  # type: ignore[arg-type]

    monkeypatch.setattr(pruning, "_drop_deliveries", counted)

    await engine.supervisor.retention.prune()

    assert [2, 2, 1] == portions


async def test_failed_attempts_go_before_their_deliveries(engine: Engine, sandbox: RunningSandbox) -> None:
    with pytest.raises(YizhanError):
        await engine.send("webwechat.me/user/nobody at all", "hello")
    assert 0 < await rows(engine, "attempts")
    sandbox.clock.advance(40 * DAY)
    keep(engine, attempts=30 * DAY)

    await engine.supervisor.retention.prune()

    assert (0, 1) == (await rows(engine, "attempts"), await rows(engine, "deliveries"))


async def test_unused_media_go_and_media_of_waiting_deliveries_stay(engine: Engine, sandbox: RunningSandbox) -> None:
    await engine.upload(b"unused", "unused.txt")
    needed = await engine.upload(b"needed", "needed.txt")
    await engine.submit(ALICE, needed, at=sandbox.clock.now() + 400 * DAY)
    sandbox.clock.advance(100 * DAY)
    keep(engine, media=90 * DAY)

    await engine.supervisor.retention.prune()

    assert ["needed.txt"] == [one.media.name for one in await engine.library.index.all()]


async def test_nothing_goes_that_is_kept_for_ever(engine: Engine, sandbox: RunningSandbox) -> None:
    await engine.send(ALICE, "old")
    sandbox.clock.advance(4000 * DAY)
    keep(engine)

    assert {0} == set((await engine.supervisor.retention.prune()).values())
