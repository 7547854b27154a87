"""An unanswered send of web WeChat and a new login: it arrives once, or ends as unknown."""

from __future__ import annotations

import pytest

from tests.support import until
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed
from yizhan.model import State
from yizhan.testing import RunningSandbox

ALICE = "webwechat.me/user/Alice"


async def test_an_unanswered_send_is_not_repeated_after_a_new_login(sandbox: RunningSandbox, engine: Engine) -> None:
    await engine.send(ALICE, "warm up")
    sandbox.chaos("webwxsendmsg", cut="after", times=1)
    adapter = await engine.adapter("webwechat.me")
    (receipt,) = await engine.submit(ALICE, "only once please")
    await until(lambda: [p for p in sandbox.posts(ALICE) if p.text == "only once please"])
    await adapter.webwx.webwxlogout()  # type: ignore[attr-defined]
    await engine.login("webwechat.me", lambda step: None)
    with pytest.raises(DeliveryFailed) as failed:
        await engine.wait([receipt])

    assert State.UNKNOWN == failed.value.receipts[0].state
    assert 1 == [post.text for post in sandbox.posts(ALICE)].count("only once please")
