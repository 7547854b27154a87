"""The programs in `examples/`, run as they are, against the sandbox."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL, add_accounts, group_of, person_of
from tests.end_to_end.files import pdf, png
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.model import Target
from yizhan.testing import RunningSandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
async def store(sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """A store with an account on every platform, as `yizhan account add` and `yizhan login` leave it."""
    async with await Engine.open(tmp_path / "store", clock=sandbox.clock) as engine:
        await add_accounts(engine, sandbox, tuple(ALL))
    return tmp_path / "store"


@asynccontextmanager
async def running(example: str, *words: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run an example; at the end of the block it is ended if it has not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / example,
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUTF8": "1", "NO_PROXY": "127.0.0.1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ran(example: str, *words: object) -> list[str]:
    """Run an example and return its output."""
    async with running(example, *words) as process:
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert 0 == process.returncode, errors.decode()
    return out.decode().splitlines()


async def until(holds: Callable[[], bool], process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(holds):
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.05)


def listens(sandbox: RunningSandbox, platform: str) -> bool:
    """Return whether a push would be received; the other platforms keep messages until they are polled."""
    server: Any = sandbox.sandbox.server(platform)
    match platform:
        case "wechatsdk":
            return bool(server.pushes._receivers)
        case "ohwxapi":
            return bool(server.sockets._listeners)
    return True


def test_the_bridge_is_shorter_than_forty_lines() -> None:
    lines = (EXAMPLES / "bridge.py").read_text("utf-8").splitlines()

    assert len(lines) < 40


@pytest.mark.parametrize(
    ("here", "there"),
    [("qqbot", "webwechat"), ("webwechat", "qqbot"), ("wechatsdk", "qqbot"), ("ohwxapi", "webwechat")],
)
async def test_the_bridge_copies_text_pictures_and_files_from_one_group_to_another(
    sandbox: RunningSandbox, store: Path, here: str, there: str
) -> None:
    a, b = group_of(here), group_of(there)
    async with await Engine.open(store, sending=False) as engine:
        person = Target.parse(await person_of(engine, here)).id
    picture, paper = png(3), pdf(20_000, 3)
    async with running("bridge.py", store, a, b) as process:
        await until(lambda: listens(sandbox, here), process)
        room = Target.parse(a).id
        await asyncio.to_thread(sandbox.say, here, person, "你们好", to=room)
        await asyncio.to_thread(sandbox.say, here, person, to=room, media=picture, kind="image", name="a.png")
        await asyncio.to_thread(sandbox.say, here, person, to=room, media=paper, name="季度 报告（终）.pdf")
        await until(lambda: "file" in {post.kind for post in sandbox.posts(b)}, process)

    posts = sandbox.posts(b)
    assert any("你们好" in post.text for post in posts)
    assert {picture, paper} == {post.blob.read() for post in posts if post.blob}
    assert ["季度 报告（终）.pdf"] == [post.name for post in posts if post.kind == "file"]
    assert [] == sandbox.posts(a), "nothing comes back"


async def test_the_bridge_continues_when_a_picture_cannot_be_fetched(sandbox: RunningSandbox, store: Path) -> None:
    a, b = group_of("webwechat"), group_of("qqbot")
    room = Target.parse(a).id
    sandbox.chaos("webwxgetm*", status=500)
    async with running("bridge.py", store, a, b) as process:
        await asyncio.to_thread(sandbox.say, "webwechat", "Alice", to=room, media=png(3), kind="image", name="a.png")
        await asyncio.to_thread(sandbox.say, "webwechat", "Alice", "got it?", to=room)
        await until(lambda: bool(sandbox.posts(b)), process)

    assert ["Alice: got it?"] == [post.text for post in sandbox.posts(b)]


async def test_the_reply_bot_answers_and_gives_back_by_reference(sandbox: RunningSandbox, store: Path) -> None:
    async with await Engine.open(store, sending=False) as engine:
        people = [await person_of(engine, platform) for platform in ("ilink", "webwechat")]
    picture = png(4)
    async with running("reply_bot.py", store, ALL["ilink"], ALL["webwechat"]) as process:
        for person in people:
            target = Target.parse(person)
            await asyncio.to_thread(sandbox.say, target.platform, target.id, "hello")
            await asyncio.to_thread(sandbox.say, target.platform, target.id, media=picture, kind="image")
        await until(lambda: all(any(p.blob for p in sandbox.posts(person)) for person in people), process)

    for person in people:
        posts = sandbox.posts(person)
        assert "You said: hello" in [post.text for post in posts]
        assert [picture] == [post.blob.read() for post in posts if post.blob]
    assert 0 == sandbox.calls("*upload*")


async def test_upload_once_places_a_file_once_for_fifty(sandbox: RunningSandbox, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "季度.pdf"
    file.write_bytes(pdf())

    printed = await ran("upload_once.py", store, file, *sandbox.users(50, ALL["webwechat"]))

    assert ["50 sent"] == printed
    assert 1 == sandbox.calls("webwxuploadmedia")
    assert {("季度.pdf", file.read_bytes())} == {
        (post.name, post.blob and post.blob.read()) for post in sandbox.posts(platform="webwechat")
    }


async def test_blocking_sends_and_takes_back(sandbox: RunningSandbox, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png())

    sent, recalled = await ran("blocking.py", store, "webwechat.me/user/Alice", file)

    posts = sandbox.posts("webwechat.me/user/Alice")
    assert ["sent", *(post.message_id for post in posts)] == sent.split()
    assert "recalled" == recalled
    assert [True, True] == [post.recalled for post in posts]
