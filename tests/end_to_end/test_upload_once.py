"""Upload once, send to many: over real sockets, through both platforms' own doors."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.end_to_end.accounts import QQ_GROUP, QQ_USER
from tests.end_to_end.files import pdf, png
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed
from yizhan.model import Event, File, Image, State, Target
from yizhan.testing import RunningSandbox


def uploads(sandbox: RunningSandbox, platform: str) -> int:
    """How many files were placed: one answer with a handle each, however many parts it took."""
    names = {"qqbot": "*files*", "webwechat": "webwxuploadmedia"}
    return sandbox.calls(names[platform], platform=platform)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_one_file_to_300_users_and_300_groups_makes_exactly_2_uploads(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    sandbox.rules("qqbot", limits=False)
    await _lift(engine, sandbox)
    picture = png()
    targets = [*sandbox.users(300), *sandbox.groups(300)]

    broadcast = await engine.broadcast(targets, Image(picture))
    counts = await broadcast.wait()

    assert {State.SENT: 600} == counts
    assert 2 == engine.handles.tallies["qqbot.main"].uploads
    posts = sandbox.posts(platform="qqbot")
    assert 600 == len(posts) == len({post.target for post in posts})
    assert {digest(picture)} == {post.blob.sha256 for post in posts if post.blob}


async def test_one_file_to_100_wechat_contacts_is_uploaded_once_and_keeps_its_name(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    paper = pdf()
    targets = sandbox.users(100, "webwechat.me")

    counts = await (await engine.broadcast(targets, File(paper, "季度 报告（终）.pdf"))).wait()

    assert {State.SENT: 100} == counts
    assert 1 == uploads(sandbox, "webwechat")
    posts = sandbox.posts(platform="webwechat", kind="file")
    assert 100 == len({post.target for post in posts})
    assert {"季度 报告（终）.pdf"} == {post.name for post in posts}
    assert {digest(paper)} == {post.blob.sha256 for post in posts if post.blob}


async def test_a_handle_that_ends_in_the_middle_of_a_broadcast_is_renewed_by_exactly_one_upload(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    sandbox.rules("qqbot", set={"handle.seconds": 600}, limits=False)
    await _lift(engine, sandbox)
    settled = 0

    def count(_target: Target, _state: State) -> None:
        nonlocal settled
        settled += 1
        if settled == 60:
            sandbox.clock.advance(601)

    engine.on_settled(count)
    counts = await (await engine.broadcast(sandbox.users(150), Image(png()))).wait()

    assert {State.SENT: 150} == counts
    assert 2 == engine.handles.tallies["qqbot.main"].uploads
    assert 150 == len({post.target for post in sandbox.posts(platform="qqbot")})


async def test_twenty_replies_to_one_message_from_three_tasks_never_collide(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    sandbox.rules("qqbot", limits=False)
    await _lift(engine, sandbox)
    event = await _hear(engine, sandbox, "hello bot")

    async def answer(start: int) -> None:
        for number in range(start, 20, 3):
            await engine.reply(event, f"answer {number}")

    await asyncio.gather(answer(0), answer(1), answer(2))

    texts = [post.text for post in sandbox.posts(platform="qqbot")]
    assert sorted(f"answer {number}" for number in range(20)) == sorted(texts)
    assert 20 == len(sandbox.requests("sendToUser", status=200))
    assert 20 == sandbox.calls("sendToUser")


async def test_answers_over_the_platforms_limit_fail_with_the_reason(sandbox: RunningSandbox, engine: Engine) -> None:
    event = await _hear(engine, sandbox, "hello bot")
    for number in range(4):
        await engine.reply(event, f"answer {number}")

    with pytest.raises(DeliveryFailed, match="passive"):
        await engine.reply(event, "one too many")

    assert 4 == len(sandbox.posts(platform="qqbot"))
    assert 4 == sandbox.calls("sendToUser")


async def test_a_quota_holds_and_is_released_by_the_worlds_clock(sandbox: RunningSandbox, engine: Engine) -> None:
    target = f"qqbot.main/group/{QQ_GROUP}"
    receipts = [receipt for n in range(21) for receipt in await engine.submit(target, f"news {n}")]

    async def one_is_held() -> bool:
        return 1 == len(await engine.deliveries(states=[State.HELD]))

    await engine.supervisor.waiting.until(one_is_held, PATIENCE)
    assert 20 == sandbox.calls("sendToGroup")
    sandbox.clock.advance(61)
    done = await engine.wait(receipts, until_held=False)

    assert {State.SENT} == {receipt.state for receipt in done}
    assert 21 == sandbox.calls("sendToGroup")


@pytest.mark.parametrize("fault", [1205, 1101, -1, 1201])
async def test_a_failure_under_http_200_is_never_shown_as_sent(
    sandbox: RunningSandbox, engine: Engine, fault: int
) -> None:
    sandbox.chaos("webwxsendmsg", fault=fault, times=1)

    (receipt,) = await engine.submit("webwechat.me/user/Alice", "hi")

    async def tried() -> bool:
        return bool(await engine.records.attempts_of(1)) or (await engine.receipt(receipt.delivery)).state.final

    async def agrees() -> bool:
        # The next attempt may arrive between the two looks, and is recorded a moment later.
        arrived = bool(sandbox.posts(platform="webwechat"))
        return arrived == (State.SENT == (await engine.receipt(receipt.delivery)).state)

    await engine.supervisor.waiting.until(tried, PATIENCE)
    await engine.supervisor.waiting.until(agrees, PATIENCE)
    assert await agrees()


async def test_a_recalled_message_is_gone_on_the_other_side(sandbox: RunningSandbox, engine: Engine) -> None:
    for target in (f"qqbot.main/user/{QQ_USER}", f"qqbot.main/group/{QQ_GROUP}", "webwechat.me/user/Alice"):
        receipt = await engine.send(target, "oops")
        recalled = await engine.recall(receipt)
        assert State.RECALLED == recalled.state

    assert [True, True, True] == [post.recalled for post in sandbox.posts()]


async def test_a_recall_after_its_window_says_so(sandbox: RunningSandbox, engine: Engine) -> None:
    receipt = await engine.send(f"qqbot.main/user/{QQ_USER}", "oops")
    sandbox.clock.advance(121)

    with pytest.raises(Exception, match="40064004"):
        await engine.recall(receipt)
    assert State.SENT == (await engine.receipt(receipt.delivery)).state


async def test_a_saved_session_survives_a_restart(sandbox: RunningSandbox, engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    logins = sandbox.calls("jslogin")
    await engine.close()

    again = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    receipt = await again.send("webwechat.me/user/filehelper", "still here")
    await again.close()

    assert State.SENT == receipt.state
    assert logins == sandbox.calls("jslogin")


async def _lift(engine: Engine, sandbox: RunningSandbox) -> None:
    """Lift the quotas on our side too."""
    from tests.end_to_end.accounts import add_accounts

    await add_accounts(engine, sandbox, ("qqbot",), rules={"limits": False})


async def _hear(engine: Engine, sandbox: RunningSandbox, text: str) -> Event:
    """Let a person write to the bot, and return the event once it is received."""
    stream = engine.events(["qqbot.main"])
    first = asyncio.ensure_future(anext(stream))
    # The platform keeps messages until the socket is open, so there is nothing to wait for.
    await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, text)
    event = await asyncio.wait_for(first, PATIENCE)
    await stream.aclose()
    return event
