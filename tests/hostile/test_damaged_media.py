"""Media that are damaged in the store or on their way in, on every platform."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL
from tests.hostile.test_answers import PEOPLE, QUICK
from yizhan import DeliveryFailed, File
from yizhan.engine import Engine
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with await Engine.open(tmp_path / "store", policy=QUICK) as engine:
        yield engine


async def target_of(engine: Engine, platform: str, sandbox: RunningSandbox) -> str:
    name = ALL[platform]
    await engine.add_account(name, **platform_named(platform).sandbox_settings, base_url=sandbox.url)
    await engine.login(name, lambda step: None)
    if platform == "ilink":
        adapter: Any = await engine.adapter(name)
        return f"{name}/user/{adapter.calls.session.user_id}"
    return f"{name}/user/{PEOPLE[platform]}"


@pytest.mark.parametrize("damage", ["truncated", "changed"])
@pytest.mark.parametrize("platform", ALL)
async def test_a_damaged_file_fails_its_delivery_and_is_named(
    platform: str, damage: str, engine: Engine, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    target = await target_of(engine, platform, sandbox)
    media = await engine.upload(random.Random(damage).randbytes(300_000), "报告.bin")
    path = tmp_path / "store" / "blobs" / media.sha256[:2] / media.sha256
    if damage == "truncated":
        os.truncate(path, 1000)
    else:
        with path.open("r+b") as file:
            file.write(b"EVILEVIL")

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send(target, File(media, "报告.bin"))

    (receipt,) = caught.value.receipts
    assert ("failed", "MediaDamaged") == (receipt.state.value, receipt.error)
    assert "报告.bin" in receipt.detail
    assert [] == [post for post in sandbox.posts(platform=platform) if post.blob]
