"""Shared by the tests of the QQ bot: identities, media, an account on a served platform, and plain requests."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support import Served, context, serve
from yizhan.model import BytesContent, Media, Message, PlatformId, SendKey, Target
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.client import Adapter, Bot

APP_ID = "102000001"
SECRET = "DG5g3B4j9X2KOErG"
USER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
GROUP = "B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5"
CHANNEL = "1000001"
TO_USER = Target("qqbot.main", "user", USER)
TO_GROUP = Target("qqbot.main", "group", GROUP)
TO_CHANNEL = Target("qqbot.main", "channel", CHANNEL)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(100)
SILK = b"\x02#!SILK_V3" + bytes(100)


def media_of(data: bytes, kind: str = "image", format: str = "png", name: str = "a.png") -> Media:
    return Media(
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        crc32=zlib.crc32(data),
        size=len(data),
        kind=kind,  # type: ignore[arg-type]
        mime="application/octet-stream",
        format=format,
        name=name,
    )


def settings(served: Served, **more: Any) -> dict[str, Any]:
    return {"app_id": APP_ID, "secret": SECRET, "base_url": served.url, **more}


def adapter_for(served: Served, *, media: Mapping[str, bytes] | None = None, **more: Any) -> Adapter:
    kept = {hashlib.sha256(PNG).hexdigest(): PNG, **(media or {})}
    wanted = settings(served, **more.pop("settings", {}))
    return Adapter(context(PLATFORM, served, wanted, media=kept, **more))


@asynccontextmanager
async def bot_of(**more: Any) -> AsyncIterator[tuple[Served, Bot]]:
    """A served platform and a bot on its clock."""
    async with (
        serve(PLATFORM, **more) as served,
        Bot(APP_ID, SECRET, base_url=served.url, clock=served.world.clock) as bot,
    ):
        yield served, bot


async def deliver(
    adapter: Adapter, message: Message, target: Target, data: bytes = PNG, number: int = 1
) -> list[PlatformId]:
    """Compose, upload and send like the engine."""
    sent = []
    for part in adapter.compose(message, target):
        handles = {need: await adapter.upload(need, BytesContent(data), target) for need in part.needs}
        sent.append(await adapter.send(part, handles, target, SendKey(number, number), message))
        number += 1
    return sent


def stop_clock(served: Served) -> None:
    """Stop the world's clock: it moves only when a test turns it."""
    clock = served.world.clock
    began = clock.now() - clock.turned
    clock.now = lambda: began + clock.turned  # type: ignore[method-assign]


class Plain:
    """Plain requests, also some that our client would never make."""

    def __init__(self, served: Served, session: aiohttp.ClientSession) -> None:
        self.served = served
        self.session = session
        served.server.tokens.ends["t"] = served.world.now() + 7200  # type: ignore[attr-defined]

    async def __call__(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, token: str = "t"
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, the answer (decoded where it is JSON) and its headers."""
        data = body if isinstance(body, (bytes, aiohttp.FormData)) or body is None else json.dumps(body).encode()
        given = {"Authorization": f"QQBot {token}"} if token else {}
        if not isinstance(data, aiohttp.FormData):
            given["Content-Type"] = "application/json"
        async with self.session.request(
            method, self.served.url + path, data=data, headers={**given, **(headers or {})}
        ) as response:
            raw = await response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            return response.status, json.loads(raw) if is_json else raw, response.headers


@asynccontextmanager
async def plain_of(**more: Any) -> AsyncIterator[Plain]:
    async with serve(PLATFORM, **more) as served, aiohttp.ClientSession() as session:
        yield Plain(served, session)
