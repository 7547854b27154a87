"""An unanswered send and a new login, on the wires that know repeats by a key: it arrives once, or is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed
from yizhan.model import Receipt, State
from yizhan.platforms.spec import platform_named
from yizhan.sending.decide import Policy
from yizhan.testing import RunningSandbox

SENDS = {"webwechat": "webwxsendmsg", "ilink": "sendmessage"}
PATIENT = Policy(first_delay=60)
"""The repeat waits until the test has changed the account."""
TEXT = "only once please"


async def end_login(engine: Engine, platform: str) -> None:
    """End the login at the platform, so that the next one is a new session."""
    adapter: Any = await engine.adapter(ALL[platform])
    if platform == "webwechat":
        await adapter.webwx.webwxlogout()
    else:
        await adapter.context.state_store.put("session", None)
        adapter.calls.use(None)


async def move(engine: Engine, sandbox: RunningSandbox, platform: str) -> None:
    settings = platform_named(platform).sandbox_settings
    await engine.add_account(ALL[platform], **settings, base_url="http://127.0.0.1:9")


Change = Callable[[Engine, RunningSandbox, str], Awaitable[None]]


async def log_in_anew(engine: Engine, sandbox: RunningSandbox, platform: str) -> None:
    await end_login(engine, platform)
    await engine.login(ALL[platform], lambda step: None)


async def change_rules(engine: Engine, sandbox: RunningSandbox, platform: str) -> None:
    settings = platform_named(platform).sandbox_settings
    await engine.add_account(ALL[platform], **settings, base_url=sandbox.url, rules={"limits": False})


async def ended(engine: Engine, receipt: Receipt) -> Receipt:
    try:
        (receipt,) = await engine.wait([receipt], timeout=PATIENCE)
    except DeliveryFailed as failed:
        (receipt,) = failed.receipts
    return receipt


@pytest.mark.parametrize("platform", SENDS)
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize(
    ("change", "state"), [(log_in_anew, State.UNKNOWN), (move, State.UNKNOWN), (change_rules, State.SENT)]
)
async def test_an_unanswered_send_is_repeated_only_within_its_login(
    sandbox: RunningSandbox, tmp_path: Path, platform: str, change: Change, state: State, restart: bool
) -> None:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=PATIENT)
    await add_accounts(engine, sandbox, (platform,))
    person = await person_of(engine, platform)
    await engine.send(person, "warm up")
    sandbox.chaos(SENDS[platform], cut="after", times=1)
    (receipt,) = await engine.submit(person, TEXT)
    async with asyncio.timeout(PATIENCE):
        while not (await engine.receipt(receipt.delivery)).due_at:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.002)
    if restart:
        await engine.close()
        engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=PATIENT, sending=False)
    await change(engine, sandbox, platform)
    if restart:
        await engine.close()
        engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=PATIENT)
    sandbox.clock.advance(61)

    assert state is (await ended(engine, receipt)).state
    assert 1 == [post.text for post in sandbox.posts(person)].count(TEXT)
    await engine.close()
