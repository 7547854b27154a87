"""Messages and acts of people reach the program, on all five platforms, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from tests.end_to_end.accounts import ALL, QQ_USER, add_accounts, group_of, person_of
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.ear import forward_of, listening
from tests.end_to_end.files import pdf, png
from tests.media.support import film, silk
from tests.support import PATIENCE, until
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, Refused, Unsupported
from yizhan.model import Forward, Kind, State, Target
from yizhan.receiving import listener
from yizhan.testing import RunningSandbox

PLACES = [(platform, "user") for platform in ALL] + [(platform, "group") for platform in ALL if group_of(platform)]


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await add_accounts(engine, sandbox, tuple(ALL))
    yield engine
    await engine.close()


async def place_of(engine: Engine, platform: str, kind: str) -> tuple[Target, str]:
    """Return the conversation, and `to` for messages of people in it."""
    person = Target.parse(await person_of(engine, platform))
    group = group_of(platform)
    return (person, "bot") if kind == "user" else (Target.parse(group), Target.parse(group).id)


@pytest.mark.parametrize(("platform", "kind"), PLACES)
async def test_a_message_arrives_and_is_answered_in_its_conversation(
    sandbox: RunningSandbox, engine: Engine, platform: str, kind: str
) -> None:
    place, to = await place_of(engine, platform, kind)
    person = Target.parse(await person_of(engine, platform)).id
    async with listening(engine, platform) as ear:
        said = await asyncio.to_thread(sandbox.say, platform, person, "你好 👋 <b>&amp;", to=to)
        event = await ear.message(said)
        receipt = await engine.reply(event, "好的")

    assert event.message is not None
    assert ("你好 👋 <b>&amp;", place, person) == (event.message.text, event.target, event.sender)
    assert State.SENT is receipt.state
    assert ["好的"] == [post.text for post in sandbox.posts(place)]


MEDIA: list[tuple[Kind, str, bytes]] = [
    ("image", "图.png", png(7)),
    ("file", "季度 报告（终）.pdf", pdf(30_000, 7)),
    ("voice", "note.silk", silk(1.0)),
    ("video", "film.mp4", film("mp4", "libx264")),
]


@pytest.mark.parametrize(("platform", "place_kind"), PLACES)
async def test_received_media_are_saved_byte_by_byte(
    sandbox: RunningSandbox, engine: Engine, platform: str, place_kind: str
) -> None:
    _, to = await place_of(engine, platform, place_kind)
    person = Target.parse(await person_of(engine, platform)).id
    saved = []
    async with listening(engine, platform) as ear:
        for kind, name, data in MEDIA:
            said = await asyncio.to_thread(sandbox.say, platform, person, to=to, media=data, kind=kind, name=name)
            forward = forward_of(await ear.message(said))
            media = await engine.save(forward, as_received=True)
            content = b"".join([piece async for piece in engine.library.open(media).chunks()])
            saved.append((forward.kind, data == content))
            if kind == "file":
                assert name == media.name == forward.name

    assert [(kind, True) for kind, _, _ in MEDIA] == saved


DOWNLOADS = {
    "qqbot": "download",
    "webwechat": "webwxgetm*",
    "wechatsdk": "cdn_download",
    "ohwxapi": "CdnDownload",
    "ilink": "cdn_download",
}
UPLOADS = {
    "qqbot": "upload*",
    "webwechat": "webwxupload*",
    "wechatsdk": "cdn_upload",
    "ohwxapi": "CdnUpload",
    "ilink": "*upload*",
}


@pytest.mark.parametrize("platform", ALL)
async def test_received_media_are_sent_on_by_reference_without_download_and_upload(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    person = Target.parse(await person_of(engine, platform))
    picture, paper = png(8), pdf(25_000, 8)
    async with listening(engine, platform) as ear:
        media: list[tuple[Kind, str, bytes]] = [("image", "a.png", picture), ("file", "纪要.pdf", paper)]
        for kind, name, data in media:
            said = await asyncio.to_thread(sandbox.say, platform, person.id, media=data, kind=kind, name=name)
            receipt = await engine.send(person, forward_of(await ear.message(said)))
            assert State.SENT is receipt.state

    posts = sandbox.posts(person)
    assert [picture, paper] == [post.blob.read() for post in posts if post.blob]
    assert ["纪要.pdf"] == [post.name for post in posts if post.kind == "file"]
    assert not engine.handles.tallies
    if platform == "qqbot":
        # QQ fetches its own link again: that is a call, but no bytes pass through here.
        uploads = sandbox.requests(UPLOADS[platform], platform=platform)
        assert [True, True] == ["url" in request.body and "file_data" not in request.body for request in uploads]
    else:
        assert 0 == sandbox.calls(UPLOADS[platform], platform=platform)
        assert 0 == sandbox.calls(DOWNLOADS[platform], platform=platform)


@pytest.mark.parametrize("platform", ALL)
async def test_received_media_go_to_all_other_platforms_with_one_download(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    person = Target.parse(await person_of(engine, platform))
    others = [Target.parse(await person_of(engine, other)) for other in ALL if other != platform]
    paper = pdf(25_000, 9)
    async with listening(engine, platform) as ear:
        said = await asyncio.to_thread(
            sandbox.say, platform, person.id, media=paper, kind="file", name="季度 报告（终）.pdf"
        )
        event = await ear.message(said)
    assert event.message is not None

    broadcast = await engine.broadcast([*others, person], event.message)
    counts = await broadcast.wait(PATIENCE)

    assert {State.SENT: 5} == counts, await broadcast.receipts()
    for target in (*others, person):
        (post,) = sandbox.posts(target)
        assert ("季度 报告（终）.pdf", paper) == (post.name, post.blob and post.blob.read()), target
    assert 1 == sandbox.calls(DOWNLOADS[platform], platform=platform)
    for receipt in await broadcast.receipts():
        assert f"fetched once from {ALL[platform]}" in receipt.detail


async def test_media_that_can_no_longer_be_downloaded_are_refused_and_nothing_is_sent(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    gone = Forward("image", {"url": f"{sandbox.url}/qqmedia/nothing"}, account=ALL["qqbot"])

    with pytest.raises(Refused, match=r"cannot be fetched either.*Leave it out"):
        await engine.send(await person_of(engine, "webwechat"), gone)
    assert [] == await engine.deliveries()


async def test_the_eleventh_message_on_ilink_waits_and_leaves_first_once_the_person_wrote(
    sandbox: RunningSandbox, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "CATCH_UP_SECONDS", 0.0)
    person = await person_of(engine, "ilink")
    # No events are requested: an account whose windows open by received messages listens while it sends.
    await engine.supervisor.worker.wake(ALL["ilink"])
    await until(lambda: engine.supervisor.listeners.latest)
    for number in range(1, 11):
        assert State.SENT is (await engine.send(person, str(number))).state
    held = [await engine.send(person, number) for number in ("11", "12")]
    assert [State.HELD, State.HELD] == [receipt.state for receipt in held]
    assert "until the other side writes" in held[0].detail
    assert 10 == sandbox.calls("sendmessage", platform="ilink")

    await asyncio.to_thread(sandbox.say, "ilink", Target.parse(person).id, "go on")
    await engine.wait(held, timeout=PATIENCE, until_held=False)
    await engine.send(person, "13")

    assert [str(number) for number in range(1, 14)] == [post.text for post in sandbox.posts(person)]


async def test_counts_and_ends_of_answers_outlive_the_program(
    sandbox: RunningSandbox, engine: Engine, tmp_path: Path
) -> None:
    async with listening(engine, "qqbot") as ear:
        said = await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "hello bot")
        event = await ear.message(said)
        for number in range(2):
            await engine.reply(event, f"answer {number}")
    await engine.close()

    again = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    try:
        (known,) = await again.recent_events(ALL["qqbot"])
        await again.reply(known, "answer 2")
        await again.reply(known, "answer 3")
        with pytest.raises(DeliveryFailed, match="passive"):
            await again.reply(known, "one too many")
        late = await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "and now?")
        async with listening(again, "qqbot") as ear:
            question = await ear.message(late)
            sandbox.clock.advance(3601)
            with pytest.raises(DeliveryFailed, match="passive"):
                await again.reply(question, "too late")
    finally:
        await again.close()

    assert [f"answer {n}" for n in range(4)] == [post.text for post in sandbox.posts(f"{ALL['qqbot']}/user/{QQ_USER}")]


async def test_a_webhook_is_answered_once_its_event_is_stored_and_a_repeated_push_is_seen_once(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    pushed: list[tuple[Mapping[str, str], bytes]] = []

    async def hook(request: web.Request) -> web.Response:
        pushed.append((request.headers, await request.read()))
        status, body = await engine.receive_webhook(ALL["qqbot"], *pushed[-1])
        return web.Response(status=status, body=body, content_type="application/json")

    await add_accounts(engine, sandbox, ("qqbot",), receive="webhook")
    app = web.Application()
    app.router.add_post("/qq", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with listening(engine, "qqbot") as ear:
            await asyncio.to_thread(sandbox.webhook, "qqbot", f"http://127.0.0.1:{runner.addresses[0][1]}/qq")
            said = await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "over the webhook")
            event = await ear.message(said)
            again = await engine.receive_webhook(ALL["qqbot"], *pushed[-1])
            await engine.reply(event, "answered")
            forged = await engine.receive_webhook(ALL["qqbot"], *_forged(pushed[-1]))
            last = await asyncio.to_thread(sandbox.say, "qqbot", QQ_USER, "the last one")
            await ear.message(last)
    finally:
        await runner.cleanup()

    assert 200 == again[0], "a repeat is not asked for again"
    assert 401 == forged[0]
    assert [said, last] == [event.id for event in ear.heard]
    assert ["answered"] == [post.text for post in sandbox.posts(f"{ALL['qqbot']}/user/{QQ_USER}")]
    assert [said, last] == [event.id for event in await engine.recent_events(ALL["qqbot"])]


def _forged(push: tuple[Mapping[str, str], bytes]) -> tuple[Mapping[str, str], bytes]:
    headers, body = push
    return headers, body.replace(b"over the webhook", b"over the mountain")


async def test_only_platforms_with_webhooks_take_pushes(engine: Engine) -> None:
    with pytest.raises(Unsupported, match="events"):
        await engine.receive_webhook(ALL["webwechat"], {}, b"{}")


async def test_a_send_does_not_wait_for_messages_written_while_the_program_was_away(
    sandbox: RunningSandbox, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yizhan.receiving.listener.CATCH_UP_SECONDS", PATIENCE)
    person = await person_of(engine, "ilink")
    for number in range(10):
        await engine.send(person, str(number))
    await engine.close()
    await asyncio.to_thread(sandbox.say, "ilink", Target.parse(person).id, "still interested")

    async with await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK) as again:
        receipt = await again.send(person, "good morning")

    assert State.SENT is receipt.state


PICTURE_DOWNLOADS = {
    "ilink": "cdn_download",
    "webwechat": "webwxgetmsgimg",
    "ohwxapi": "CdnDownload",
    "wechatsdk": "cdn_download",
}


@pytest.mark.parametrize("platform", PICTURE_DOWNLOADS)
async def test_one_failure_of_a_download_is_not_the_end_of_it(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    _, to = await place_of(engine, platform, "user")
    person = Target.parse(await person_of(engine, platform)).id
    async with listening(engine, platform) as ear:
        said = await asyncio.to_thread(sandbox.say, platform, person, to=to, media=png(9), kind="image", name="图.png")
        forward = forward_of(await ear.message(said))
        sandbox.chaos(PICTURE_DOWNLOADS[platform], platform=platform, status=502, times=1)
        saving = asyncio.create_task(engine.save(forward))
        while not saving.done():
            await asyncio.sleep(0.05)
            sandbox.clock.advance(1)

    assert "png" == (await saving).format
