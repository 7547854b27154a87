"""The local "type" API through the engine: received, saved, placed once, sent to many."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import QUICK
from tests.end_to_end.files import png
from yizhan.engine import Engine
from yizhan.model import Event, EventKind, File, Forward, MiniProgram, State
from yizhan.platforms.wechat_xml import parse_card
from yizhan.testing import RunningSandbox

ACCOUNT = "wechatsdk.main"
PAPER = b"minutes of the meeting\n" * 1000


async def test_a_received_file_goes_to_200_people_with_one_upload_and_back_with_none(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    try:
        await engine.add_account(ACCOUNT, base_url=sandbox.url)
        event = await _received(engine, sandbox)
        assert event.message is not None
        (forward,) = event.message.segments
        assert isinstance(forward, Forward)
        media = await engine.save(ACCOUNT, forward.reference, forward.name)
        people = sandbox.users(200, ACCOUNT)
        counts = await (await engine.broadcast(people, File(media, "纪要.txt"))).wait()
        answered = await engine.reply(event, event.message)

        assert {State.SENT: 200} == counts
        assert State.SENT == answered.state
        assert 1 == sandbox.calls("cdn_upload", platform="wechatsdk")
        posts = [post for post in sandbox.posts(platform="wechatsdk") if post.call == "forward_file"]
        assert 200 == len({post.target for post in posts}) == len({post.message_id for post in posts})
        assert {("纪要.txt", media.sha256)} == {(post.name, post.blob and post.blob.sha256) for post in posts}
        (back,) = [post for post in sandbox.posts(platform="wechatsdk") if post.call == "send_xml"]
        assert ("wxid_alice", "minutes.txt", media.sha256) == (back.target, back.name, back.blob and back.blob.sha256)
    finally:
        await engine.close()


async def test_a_mini_program_goes_to_many_with_a_cover_from_a_file_that_is_placed_once(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / "cover.png").write_bytes(png())
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    try:
        await engine.add_account(ACCOUNT, base_url=sandbox.url)
        card = MiniProgram("wx00112233445566aa", "gh_1@app", "Order", media=str(tmp_path / "cover.png"))
        people = sandbox.users(20, ACCOUNT)
        counts = await (await engine.broadcast(people, card)).wait()

        assert {State.SENT: 20} == counts
        assert 1 == sandbox.calls("cdn_upload", platform="wechatsdk")
        covers = {
            parse_card(post.extra["xml"]).text("appattach/cdnthumbmd5")
            for post in sandbox.posts(platform="wechatsdk")
            if post.kind == "mini_program"
        }
        (cover,) = covers
        placed = sandbox.world.blobs.by_md5(cover)
        # A PNG became the small JPEG that a cover is.
        assert placed is not None
        assert b"\xff\xd8\xff" == placed.head(3)
    finally:
        await engine.close()


async def _received(engine: Engine, sandbox: RunningSandbox) -> Event:
    """What arrives when Alice sends a file; the listener is registered by the first look at the events."""

    async def first() -> Event:
        async for event in engine.events():
            if event.kind is EventKind.MESSAGE:
                return event
        raise AssertionError("the events ended")

    waiting = asyncio.ensure_future(first())
    adapter: Any = await engine.adapter(ACCOUNT)
    async with asyncio.timeout(60):
        await adapter.registration.done.wait()
        await asyncio.to_thread(sandbox.say, "wechatsdk", "wxid_alice", media=PAPER, kind="file", name="minutes.txt")
        return await waiting
