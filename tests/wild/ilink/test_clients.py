"""Third-party iLink clients, unmodified, against the sandbox: login, receive, text, picture, video, file, typing."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.ilink.recordings.recorded import asset
from tests.support import Served, serve
from tests.wild.envs import Driver, drive, node_env, python_env
from yizhan.platforms.ilink import PLATFORM

HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"
RULES = {"getupdates.hold_seconds": 3}
OFFICIAL = ("@tencent-weixin/openclaw-weixin@2.4.9", "qrcode-terminal@0.12.0", "zod@4.6.7")
INBOUND: list[tuple[Any, str]] = [
    ("image", "photo.png"),
    ("file", "report.pdf"),
    ("voice", "voice.silk"),
    ("video", "clip.mp4"),
]

pytestmark = [pytest.mark.wild, pytest.mark.timeout(900), pytest.mark.xdist_group("wild-ilink")]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files that the clients send, by name."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, source in (("picture.png", "photo.png"), ("clip.mp4", "clip.mp4"), ("说明 文件.txt", "unicode-name.txt")):
        (folder / name).write_bytes(asset(source))
    return folder


@asynccontextmanager
async def driven(command: list[str], cwd: Path, files: Path) -> AsyncIterator[tuple[Served, Driver, Any]]:
    """Serve, start a client, and let its person say one of everything once it is logged in."""
    state = files.parent / "state"
    state.mkdir()
    more = {"FILES": str(files), "STATE": str(state), "OPENCLAW_STATE_DIR": str(state), "HOME": str(state)}
    async with serve(PLATFORM, rules=RULES) as served, drive(command, served.url, cwd, **more) as driver:
        login = await driver.report("login")
        for kind, name in INBOUND:
            blob = await served.world.blobs.add(asset(name))
            await served.server.say(login["user"], "bot", media=blob, kind=kind, name=name)
        await served.server.say(login["user"], "bot", text="go on")
        yield served, driver, login
        assert [] == [e.endpoint for e in served.exchanges if e.note == "handler failed"]


async def received(served: Served, driver: Driver) -> dict[str, Any]:
    found: dict[str, Any] = await driver.report("received")
    assert ["hi", "go on"] == found["texts"]
    assert [sha256(asset(name)).hexdigest() for _, name in INBOUND] == found["saved"]
    assert [post.message_id for post in served.world.select(call="say")] == [str(id) for id in found["ids"]]
    return found


def arrived(served: Served) -> list[tuple[str, str, str]]:
    """Kind, shown text or name, and whether the phone shows it."""
    posts = served.world.select(platform="ilink", call="sendmessage")
    return [(post.kind, post.text or post.name, post.extra["shown"]) for post in posts]


def blobs(served: Served) -> list[bytes]:
    posts = served.world.select(platform="ilink", call="sendmessage")
    return [post.blob.read() for post in posts if post.blob is not None]


async def test_the_official_client(files: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    folder = node_env("openclaw-weixin", ("--legacy-peer-deps", *OFFICIAL))
    async with driven(["node", str(DRIVERS / "openclaw_weixin.mjs")], folder, files) as (served, driver, login):
        assert {"ret": 0} == await driver.report("started")
        assert served.url == login["base"]
        await received(served, driver)
        await driver.report("ready")

        sent = [("text", "hello from the official client", "yes"), ("text", "a caption", "yes"), ("image", "", "yes")]
        sent += [("video", "", "yes"), ("file", "说明 文件.txt", "yes")]
        assert sent == arrived(served)[:5]
        assert [asset(n) for n in ("photo.png", "clip.mp4", "unicode-name.txt")] == blobs(served)
        assert 10 == len(arrived(served))
        refusals = driver.reports["refusals"]
        assert ["sendMessage ret=-2 errmsg=prepare failed"] * 3 == refusals
        posts = list(served.world.select(platform="ilink", call="sendmessage"))
        assert posts[0].message_id == driver.reports["text"]
        assert posts[4].message_id == driver.reports["说明 文件.txt"]
        assert 2 == served.calls("sendtyping")
        assert {"ret": 0} == driver.reports["stopped"]


async def test_weilink(files: Path) -> None:
    python = python_env("weilink", HERE / "requirements" / "weilink.txt")
    async with driven([str(python), str(DRIVERS / "weilink_bot.py")], files, files) as (served, driver, _):
        await received(served, driver)
        await driver.report("ready")

        assert [
            ("text", "hello from weilink", "yes"),
            ("text", "a caption", "yes"),
            ("image", "", "yes"),
            ("file", "说明 文件.txt", "yes"),
            ("video", "", "yes"),
            ("image", "", "yes"),
            ("image", "", "yes"),
        ] == arrived(served)[:7]
        photo, note, clip = (asset(n) for n in ("photo.png", "unicode-name.txt", "clip.mp4"))
        assert [photo, note, clip, photo, photo] == blobs(served)
        assert 10 == len(arrived(served))
        assert 5 == driver.reports["refusals"]
        assert 2 == served.calls("sendtyping")


async def test_weixin_ilink(files: Path) -> None:
    python = python_env("weixin-ilink", HERE / "requirements" / "weixin-ilink.txt")
    async with driven([str(python), str(DRIVERS / "weixin_ilink_bot.py")], files, files) as (served, driver, _):
        assert ["waiting", "scanned"] == await driver.report("states")
        await received(served, driver)
        await driver.report("ready")

        assert [
            ("text", "hello from weixin-ilink", "yes"),
            ("text", "a caption", "yes"),
            ("image", "", "yes"),
            ("file", "说明 文件.txt", "yes"),
            ("video", "", "yes"),
        ] == arrived(served)
        assert [asset(n) for n in ("photo.png", "unicode-name.txt", "clip.mp4")] == blobs(served)
        assert 1 == served.calls("sendtyping")
