"""An account with a proxy: everything goes through it, and nothing leaves when it cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.end_to_end.files import png
from tests.support import until
from yizhan.engine import Engine
from yizhan.errors import ConfigError, Unavailable
from yizhan.model import Image, State
from yizhan.testing import RunningSandbox


class Proxy:
    """Takes requests with whole addresses, one to a connection, and carries them on."""

    def __init__(self) -> None:
        self.carried: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, address, version = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.carried.append(f"{method} {address}")
            where = urlsplit(address)
            rest = address.partition(where.netloc)[2] or "/"
            far_reader, far_writer = await asyncio.open_connection(where.hostname, where.port)
            lines = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"connection:")]
            first = f"{method} {rest} {version}".encode()
            far_writer.write(b"\r\n".join([first, b"Connection: close", *lines]))
            both = asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
            await both
        writer.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield proxy
    server.close()


@pytest.fixture
async def bare(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    yield engine
    await engine.close()


@pytest.mark.parametrize("platform", ["qqbot", "webwechat", "ilink"])
async def test_everything_of_an_account_goes_through_its_proxy(
    platform: str, proxy: Proxy, bare: Engine, sandbox: RunningSandbox
) -> None:
    await add_accounts(bare, sandbox, (platform,), proxy=proxy.url)
    person = await person_of(bare, platform)
    stream = bare.events([ALL[platform]])
    if platform == "ilink":
        await asyncio.to_thread(sandbox.say, platform, person, "hi")
        await asyncio.wait_for(anext(stream), 60)

    receipt = await bare.send(person, Image(png()), "through the wall")

    assert State.SENT is receipt.state
    asked = sandbox.calls()
    await until(lambda: len(proxy.carried) >= asked)
    assert "***" == (await bare.accounts())[ALL[platform]]["proxy"]


async def test_a_proxy_that_is_not_there_means_that_nothing_was_sent(bare: Engine, sandbox: RunningSandbox) -> None:
    await add_accounts(bare, sandbox, ("qqbot",))
    with pytest.raises(Unavailable, match="could not be reached"):
        await add_accounts(bare, sandbox, ("qqbot",), proxy="http://127.0.0.1:9")


async def test_an_address_of_no_http_proxy_is_refused(bare: Engine, sandbox: RunningSandbox) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        await add_accounts(bare, sandbox, ("qqbot",), proxy="socks5://127.0.0.1:1080")
