"""iLink under the engine: held sends, replies, media received and sent on."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.media.support import silk
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed
from yizhan.model import Event, Forward, Image, Receipt, State, Target, Voice
from yizhan.platforms.adapter import LoginStep
from yizhan.sending.decide import Policy
from yizhan.testing import RunningSandbox

ACCOUNT = "ilink.main"
QUICK = Policy(first_delay=0.02, longest_delay=0.2)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6368000000820081"
    "77cd72b60000000049454e44ae426082"
)


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await engine.add_account(ACCOUNT, base_url=sandbox.url)
    await engine.login(ACCOUNT, lambda step: None)
    yield engine
    await engine.close()


async def hi(engine: Engine) -> tuple[Target, AsyncIterator[Event]]:
    """Return the sender of the first event, and the stream of the following ones."""
    stream = engine.events()
    event = await asyncio.wait_for(anext(stream), 30)
    assert event.target is not None
    return event.target, stream


def texts(sandbox: RunningSandbox) -> list[str]:
    return [post.text for post in sandbox.posts(platform="ilink", call="sendmessage")]


async def test_the_eleventh_send_is_held_and_leaves_first_after_the_person_wrote(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    target, _ = await hi(engine)
    numbers = [str(number) for number in range(1, 11)]
    for number in numbers:
        assert State.SENT is (await engine.send(target, number)).state
    held = [await engine.send(target, number) for number in ("11", "12")]

    assert [State.HELD, State.HELD] == [receipt.state for receipt in held]
    assert numbers == texts(sandbox)
    # It was the budget that held them: the platform was never asked for an eleventh.
    assert 10 == sandbox.calls("sendmessage", platform="ilink")
    sandbox.say("ilink", target.id, "go on")
    receipts = await engine.wait(held, timeout=30, until_held=False)
    await engine.send(target, "13")

    assert [State.SENT, State.SENT] == [receipt.state for receipt in receipts]
    assert [*numbers, "11", "12", "13"] == texts(sandbox)


async def test_after_a_day_of_silence_a_send_is_held_until_the_person_writes(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    target, _ = await hi(engine)
    sandbox.clock.advance(24 * 3600 + 1)

    held = await engine.send(target, "good morning")
    sandbox.say("ilink", target.id, "are you there?")
    (receipt,) = await engine.wait(held, timeout=30, until_held=False)

    assert (State.HELD, State.SENT) == (held.state, receipt.state)


async def test_a_send_is_held_where_only_the_platform_knows_that_the_window_is_closed(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    await engine.add_account(ACCOUNT, base_url=sandbox.url, rules={"limits": False})
    session = (await engine.adapter(ACCOUNT)).calls.session  # type: ignore[attr-defined]
    sandbox.clock.advance(24 * 3600 + 1)

    held = await engine.send(f"{ACCOUNT}/user/{session.user_id}", "no limits are known here")

    assert State.HELD is held.state
    assert "prepare failed" in held.detail


async def test_waiting_messages_do_not_all_ask_whether_a_closed_window_is_open(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    target, _ = await hi(engine)
    await engine.add_account(ACCOUNT, base_url=sandbox.url, rules={"limits": False})
    sandbox.clock.advance(24 * 3600 + 1)
    waiting = await engine.submit(target, "1")
    for content in ("2", Image(PNG), "4"):
        waiting += await engine.submit(target, content)
    held = await engine.wait(waiting, timeout=30)
    knocks = sandbox.calls("sendmessage", platform="ilink")

    sandbox.say("ilink", target.id, "go on")
    sent = await engine.wait(waiting, timeout=30, until_held=False)

    assert ([State.HELD] * 4, 1) == ([receipt.state for receipt in held], knocks)
    assert ([State.SENT] * 4, ["1", "2", "", "4"]) == ([receipt.state for receipt in sent], texts(sandbox))


async def test_a_reply_past_the_window_is_held_and_not_given_up(sandbox: RunningSandbox, engine: Engine) -> None:
    stream = engine.events()
    event = await asyncio.wait_for(anext(stream), 30)
    for number in range(10):
        await engine.reply(event, str(number))

    held = await engine.reply(event, "one more")

    assert State.HELD is held.state


async def test_a_file_is_uploaded_once_for_one_person_and_again_for_another(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    sandbox.rules("ilink", limits=False)
    target, _ = await hi(engine)
    others = sandbox.users(3, ACCOUNT)
    everybody = [str(target), *others]

    for _ in range(2):
        counts = await (await engine.broadcast(everybody, Image(PNG))).wait(30)
        assert {State.SENT: 4} == counts

    assert 4 == sandbox.calls("cdn_upload", platform="ilink")
    posts = sandbox.posts(platform="ilink", call="sendmessage")
    assert 8 == len(posts)
    assert [PNG] * 8 == [post.blob.read() for post in posts if post.blob]


async def test_a_receipt_says_that_a_voice_went_as_a_file(sandbox: RunningSandbox, engine: Engine) -> None:
    target, _ = await hi(engine)

    receipt = await engine.send(target, Voice(silk(), "note.silk"))

    assert "sent as a file" in receipt.detail
    assert [("file", "note.mp3")] == [
        (post.kind, post.name) for post in sandbox.posts(platform="ilink", call="sendmessage")
    ]


async def test_received_media_are_saved_and_sent_on_without_an_upload(sandbox: RunningSandbox, engine: Engine) -> None:
    target, stream = await hi(engine)
    sandbox.say("ilink", target.id, media=PNG, kind="image")
    event = await asyncio.wait_for(anext(stream), 30)
    assert event.message is not None
    (forward,) = event.message.segments
    assert isinstance(forward, Forward)

    saved = await engine.save(ACCOUNT, forward.reference, "x.png")
    receipt = await engine.send(target, forward)

    assert (sha256(PNG).hexdigest(), State.SENT) == (saved.sha256, receipt.state)
    assert 0 == sandbox.calls("getuploadurl", platform="ilink")
    assert [PNG] == [post.blob.read() for post in sandbox.posts(platform="ilink", call="sendmessage") if post.blob]


async def test_a_received_voice_is_sent_on_in_a_format_that_opens(sandbox: RunningSandbox, engine: Engine) -> None:
    target, stream = await hi(engine)
    sandbox.say("ilink", target.id, media=silk(), kind="voice")
    event = await asyncio.wait_for(anext(stream), 30)
    assert event.message is not None

    receipt = await engine.send(target, event.message)

    assert "sent as a file" in receipt.detail
    (post,) = sandbox.posts(platform="ilink", call="sendmessage")
    assert post.blob is not None
    assert ("file", "mp3") == (post.kind, (await engine.library.add(post.blob.read())).format)


async def test_received_media_are_uploaded_anew_where_references_are_not_trusted(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    target, stream = await hi(engine)
    sandbox.say("ilink", target.id, media=PNG, kind="image")
    event = await asyncio.wait_for(anext(stream), 30)
    assert event.message is not None
    by_reference = await engine.send(target, event.message)
    sandbox.rules("ilink", set={"forward.by_reference": False})
    await engine.add_account(ACCOUNT, base_url=sandbox.url, rules={"forward.by_reference": False})

    receipt = await engine.send(target, event.message)

    assert "not proven" in by_reference.detail
    assert "fetched once" in receipt.detail
    assert 1 == sandbox.calls("cdn_upload", platform="ilink")
    shown = [post.extra["shown"] for post in sandbox.posts(platform="ilink", call="sendmessage")]
    assert ["yes", "yes"] == shown


async def test_a_message_accepted_without_an_id_ends_as_unknown(sandbox: RunningSandbox, engine: Engine) -> None:
    target, _ = await hi(engine)
    sandbox.rules("ilink", set={"sendmessage.silent": True})

    with pytest.raises(DeliveryFailed) as caught:
        await engine.send(target, "into the void")
    assert [State.UNKNOWN] == [receipt.state for receipt in caught.value.receipts]
    assert [] == texts(sandbox)


async def test_a_request_with_a_lost_answer_is_repeated_and_nothing_arrives_twice(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    target, _ = await hi(engine)
    sandbox.chaos("sendmessage", cut="after", times=2)

    receipt = await engine.send(target, "once")

    assert State.SENT is receipt.state
    assert ["once"] == texts(sandbox)


async def test_more_than_one_window_of_held_messages_leaves_in_order(sandbox: RunningSandbox, engine: Engine) -> None:
    target, _ = await hi(engine)
    receipts: list[Receipt] = []
    for number in range(25):
        receipts += await engine.submit(target, str(number))
    await engine.wait(receipts, timeout=PATIENCE)
    for end in (20, 25):
        sandbox.say("ilink", target.id, "more")
        await engine.wait(receipts[:end], timeout=PATIENCE, until_held=False)

    assert [str(number) for number in range(25)] == texts(sandbox)


async def test_a_login_survives_a_restart_and_nothing_comes_twice(sandbox: RunningSandbox, tmp_path: Path) -> None:
    shown: list[LoginStep] = []
    seen: list[str] = []
    for turn in range(2):
        engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
        if turn == 0:
            await engine.add_account(ACCOUNT, base_url=sandbox.url)
        await engine.login(ACCOUNT, shown.append)
        user = (await engine.adapter(ACCOUNT)).calls.session.user_id  # type: ignore[attr-defined]
        stream = engine.events()
        if turn == 1:
            sandbox.say("ilink", user, "second")
        event = await asyncio.wait_for(anext(stream), 30)
        seen.append(event.message.text if event.message else "")
        await engine.send(event.target, f"answer {turn}")  # type: ignore[arg-type]
        await engine.close()

    assert ["hi", "second"] == seen
    assert ["answer 0", "answer 1"] == texts(sandbox)
    assert 1 == sum(step.state == "qr" for step in shown)


async def test_the_store_has_no_secret_of_a_bot_in_clear(sandbox: RunningSandbox, tmp_path: Path) -> None:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await engine.add_account(ACCOUNT, base_url=sandbox.url)
    await engine.login(ACCOUNT, lambda step: None)
    target, stream = await hi(engine)
    await engine.send(target, Image(PNG))
    pending = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    token = (await engine.adapter(ACCOUNT)).calls.session.bot_token  # type: ignore[attr-defined]
    pending.cancel()
    await asyncio.gather(pending, return_exceptions=True)
    await engine.close()

    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert target.id.encode() in stored
    for secret in (token, token.partition(":")[2]):
        assert secret.encode() not in stored
        for shift in range(3):
            assert b64encode(b"x" * shift + secret.encode())[4:-4] not in stored
    assert b"AARzJWAF" not in stored
