"""Spoiled answers to sends, on every platform: receipts agree with the sandbox's posts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL
from tests.hostile.proxy import SPOILS, HostileProxy
from yizhan import DeliveryFailed
from yizhan.engine import Engine
from yizhan.model import State, Target
from yizhan.platforms.spec import platform_named
from yizhan.sending.decide import Policy
from yizhan.testing import RunningSandbox

QUICK = Policy(first_delay=0.01, longest_delay=0.05, max_attempts=2, max_resends=1)
PEOPLE = {
    "qqbot": "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4",
    "webwechat": "Alice",
    "wechatsdk": "wxid_alice",
    "ohwxapi": "wxid_alice",
}
BEFORE_ACTING = {"301", "307", "308", "404 page", "413", "429", "503"}
"""Answers that are known to come before a platform acts (docs/errors.md): they never leave a delivery in doubt."""
AT_ONCE = 12


@pytest.fixture
async def proxy(sandbox: RunningSandbox) -> AsyncIterator[HostileProxy]:
    proxy = HostileProxy(int(sandbox.url.rpartition(":")[2]), limit=3)
    await proxy.start()
    yield proxy
    await proxy.close()


async def _account(engine: Engine, platform: str, sandbox: RunningSandbox, proxy: HostileProxy) -> str:
    """Add an account that reaches `sandbox` through `proxy`; return a target of it."""
    name = ALL[platform]
    sandbox.rules(platform, limits=False)
    await engine.add_account(
        name, **platform_named(platform).sandbox_settings, base_url=proxy.url, rules={"limits": False}
    )
    await engine.login(name, lambda step: None)
    if platform == "ilink":
        adapter: Any = await engine.adapter(name)
        return f"{name}/user/{adapter.calls.session.user_id}"
    return f"{name}/user/{PEOPLE[platform]}"


async def _ending(engine: Engine, target: str, text: str) -> State:
    try:
        return (await engine.send(target, text, timeout=60)).state
    except DeliveryFailed as failure:
        return failure.receipts[0].state


def _truth(state: State, arrived: int) -> bool:
    match state:
        case State.SENT:
            return arrived == 1
        case State.UNKNOWN:
            return arrived <= 1
        case _:
            return arrived == 0


def _whens(name: str) -> Sequence[str]:
    return ("ignored",) if name in BEFORE_ACTING else ("acted", "ignored")


@pytest.mark.parametrize("platform", ALL)
async def test_a_receipt_is_true_for_any_answer_to_a_send(
    platform: str, sandbox: RunningSandbox, proxy: HostileProxy, tmp_path: Path
) -> None:
    texts = [f"SPOIL<{name}|{when}>" for name in SPOILS for when in _whens(name)]
    async with await Engine.open(tmp_path / "store", policy=QUICK) as engine:
        target = await _account(engine, platform, sandbox, proxy)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(text: str) -> State:
            async with turns:
                return await _ending(engine, target, text)

        states = dict(zip(texts, await asyncio.gather(*map(one, texts)), strict=True))
    posts = [post.text for post in sandbox.posts(platform=platform)]
    lies = {
        text: (str(state), posts.count(text)) for text, state in states.items() if not _truth(state, posts.count(text))
    }
    in_doubt = [name for name in BEFORE_ACTING if states[f"SPOIL<{name}|ignored>"] is State.UNKNOWN]

    assert {} == lies
    assert [] == in_doubt
    assert set(texts) == set(proxy.spoiled), "some sends met no spoiled answer"
    assert Target.parse(target).account == ALL[platform]
