"""The debug log of a whole run over all platforms: one line per settled delivery, and no secret."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.end_to_end.conftest import QUICK
from tests.media.support import picture
from yizhan import Image
from yizhan.engine import Engine
from yizhan.errors import YizhanError
from yizhan.http.client import Caller
from yizhan.platforms.spec import platform_named
from yizhan.runtime.log_lines import set_up_log, stop_log
from yizhan.testing import RunningSandbox
from yizhan.wire.mask import is_secret


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    out = io.StringIO()
    set_up_log("debug", "json", out)
    yield out
    stop_log()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collect every secret value that travels in a body or a header while the test runs."""
    found: set[str] = set()
    exchange = Caller.exchange

    async def listening(caller: Caller, endpoint: Any, request: Any, **how: Any) -> Any:
        answer = await exchange(caller, endpoint, request, **how)
        found.update(_in_body(answer.body))
        found.update(value for name, value in answer.headers if is_secret(name))
        return answer

    monkeypatch.setattr(Caller, "exchange", listening)
    return found


def _in_body(body: bytes) -> Iterator[str]:
    try:
        yield from _in_value(json.loads(body))
    except ValueError:
        return


def _in_value(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if is_secret(name) and isinstance(inner, str):
                yield inner
            yield from _in_value(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _in_value(inner)


async def test_the_log_of_a_run_has_no_secret_and_a_line_for_every_delivery(
    sandbox: RunningSandbox, tmp_path: Path, log: io.StringIO, secrets: set[str]
) -> None:
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK) as engine:
        await add_accounts(engine, sandbox, tuple(ALL))
        targets = [await person_of(engine, platform) for platform in ALL]
        for target in targets:
            await engine.send(target, "good morning")
            await engine.send(target, Image(picture("png")))
        with pytest.raises(YizhanError):
            await engine.send("qqbot.main/user/00000000000000000000000000000000", "hello")
    for platform in ALL:
        declared = platform_named(platform)
        secrets.update(str(value) for key, value in declared.sandbox_settings.items() if key in declared.secrets)

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    settled = [line for line in lines if line["event"] == "delivery settled"]
    assert 2 * len(ALL) + 1 == len(settled)
    assert ["failed"] == [line["state"] for line in settled if line["reason"]]
    assert all({"time", "level", "event", "account", "delivery", "endpoint", "reason"} <= set(line) for line in lines)
    long_enough = {secret for secret in secrets if len(secret) > 5}
    assert 3 < len(long_enough)
    assert [] == [secret for secret in long_enough if secret in log.getvalue()]
