"""Media under signed addresses: whoever has one reads that file until its end, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.accounts import QQ_USER, add_accounts
from tests.media.support import HandClock, changed
from yizhan.engine import Engine
from yizhan.errors import ConfigError, StorageError
from yizhan.media.share import MAX_SECONDS, ShareServer, ShareSettings
from yizhan.model import BytesContent, Content, Media
from yizhan.testing import RunningSandbox

DATA = bytes(range(256)) * 40
MEDIA = Media("ab" * 32, "", 0, len(DATA), "image", "image/png", "png", name="图 片?.png")


class Proven(BytesContent):
    async def prove(self) -> None:
        """Find nothing wrong."""


class OneFile:
    """A library that holds `MEDIA`."""

    def open(self, sha256: str) -> Content:
        if sha256 != MEDIA.sha256:
            raise StorageError("no such blob")
        return Proven(DATA)


LIBRARY: Any = OneFile()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def sharing(clock: HandClock) -> AsyncIterator[ShareServer]:
    sharing = ShareServer(LIBRARY, clock, b"secret")
    yield sharing
    await sharing.close()


async def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    from yarl import URL

    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True), headers=headers) as answer,
    ):
        return answer.status, await answer.read(), answer.headers


async def test_an_address_gives_the_bytes_their_type_and_their_name(sharing: ShareServer) -> None:
    url = await sharing.address(MEDIA)
    status, body, headers = await fetch(url)

    assert (200, DATA, "image/png") == (status, body, headers["Content-Type"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/m/1000600/(ab){32}/[0-9a-f]{40}/%E5%9B%BE%20%E7%89%87%3F\.png", url)
    assert "nosniff" == headers["X-Content-Type-Options"]


async def test_the_same_media_has_the_same_address_after_a_restart(clock: HandClock) -> None:
    one, other = (ShareServer(LIBRARY, clock, b"secret", ShareSettings(base="https://x.y/z/")) for _ in range(2))
    addresses = [await sharing.address(MEDIA) for sharing in (one, other)]
    for sharing in (one, other):
        await sharing.close()

    assert addresses[0] == addresses[1]
    assert addresses[0].startswith("https://x.y/z/m/1000600/")


async def test_another_secret_makes_other_addresses(sharing: ShareServer, clock: HandClock) -> None:
    other = ShareServer(LIBRARY, clock, b"another")
    foreign = (await other.address(MEDIA)).split("/m/")[1]
    await other.close()
    ours = (await sharing.address(MEDIA)).split("/m/")[0]

    assert 404 == (await fetch(f"{ours}/m/{foreign}"))[0]


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("/m/1000600/", "/m/1000601/"),
        ("/m/1000600/", "/m/9999999999/"),
        ("/m/1000600/", "/m/x/"),
        ("ab" * 32, "cd" * 32),
        ("ab" * 32, "../../etc/passwd"),
        ("ab" * 32, "%2e%2e%2fetc%2fpasswd"),
        (".png", ".html"),
        (r"/[0-9a-f]{40}/", "/" + "0" * 40 + "/"),
        (r"/[0-9a-f]{40}/", "/" + "%C3%A9" * 20 + "/"),
        (r"/[0-9a-f]{40}/", "//"),
        (r"/m/.*", "/"),
        (r"/m/.*", "/m/"),
    ],
)
async def test_a_changed_address_leads_nowhere(sharing: ShareServer, found: str, instead: str) -> None:
    url = await sharing.address(MEDIA)
    wrong = re.sub(found, instead, url, count=1)

    assert url != wrong
    status, body, _ = await fetch(wrong)
    assert 404 == status
    assert DATA[:100] not in body


async def test_an_address_ends(sharing: ShareServer, clock: HandClock) -> None:
    url = await sharing.address(MEDIA, 60)
    clock.at += 60
    still = (await fetch(url))[0]
    clock.at += 1

    assert (200, 410) == (still, (await fetch(url))[0])


async def test_no_address_is_good_for_ever(sharing: ShareServer, clock: HandClock) -> None:
    url = await sharing.address(MEDIA, 10**9)

    assert f"/m/{int(clock.at + MAX_SECONDS)}/" in url


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=100-", 206, DATA[100:]),
        ("bytes=-5", 206, DATA[-5:]),
        ("bytes=0-999999", 200, DATA),
        ("bytes=-999999", 200, DATA),
        ("bytes=5-4", 416, b""),
        ("bytes=99999-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=-", 200, DATA),
        ("bytes=0-1,5-6", 200, DATA),
        ("lines=1-2", 200, DATA),
    ],
)
async def test_a_part_can_be_asked_for(sharing: ShareServer, wanted: str, status: int, body: bytes) -> None:
    answer = await fetch(await sharing.address(MEDIA), Range=wanted)

    assert (status, body) == answer[:2]
    if status == 206:
        assert str(len(body)) == answer[2]["Content-Length"]
        assert answer[2]["Content-Range"].endswith(f"/{len(DATA)}")


async def test_a_look_costs_no_bytes(sharing: ShareServer) -> None:
    status, body, headers = await fetch(await sharing.address(MEDIA), "HEAD")

    assert (200, b"", str(len(DATA))) == (status, body, headers["Content-Length"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(sharing: ShareServer, method: str) -> None:
    assert 405 == (await fetch(await sharing.address(MEDIA), method))[0]


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "application/xhtml+xml", "video/x; a=b\r\nX: y", ""])
async def test_nothing_runs_in_a_browser(sharing: ShareServer, mime: str) -> None:
    _, _, headers = await fetch(await sharing.address(changed(MEDIA, mime=mime)))

    assert "application/octet-stream" == headers["Content-Type"]


async def test_a_port_that_is_taken_is_an_error(sharing: ShareServer, clock: HandClock) -> None:
    port = int((await sharing.address(MEDIA)).split("/")[2].split(":")[1])
    other = ShareServer(LIBRARY, clock, b"secret", ShareSettings(port=port))

    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*Choose another port"):
        await other.address(MEDIA)
    await other.close()


async def test_a_platform_fetches_shared_media(sandbox: RunningSandbox, tmp_path: Any) -> None:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    await add_accounts(engine, sandbox, ("qqbot",))
    media = await engine.upload(b"%PDF-1.7\n" + DATA, "报告.pdf")
    adapter: Any = await engine.adapter("qqbot.main")

    placed = await adapter.bot.c2c.files(QQ_USER, file_type=4, url=await engine.share(media), file_name="报告.pdf")
    await adapter.bot.c2c.post_message(QQ_USER, media=placed)
    (post,) = sandbox.posts(platform="qqbot")

    assert post.blob is not None
    assert (media.sha256, "报告.pdf") == (post.blob.sha256, post.name)
    with pytest.raises(StorageError):
        await engine.share(MEDIA)
    await engine.close()
