"""A logged-in account at the sandbox, and short ways to use it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from PIL import Image as Picture

from tests.support import MemoryStateStore, Served, context, serve
from yizhan.model import BytesContent, Event, Handle, Kind, Media, PlatformId, SegmentLike, SendKey, Target, message_of
from yizhan.platforms.adapter import MediaNeed
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import PLATFORM
from yizhan.platforms.webwechat.client import Adapter

QUICK = {"synccheck.hold_seconds": 0.05, "login.hold_seconds": 0.05}
MP4 = b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(2000)


def png(width: int = 300, height: int = 200) -> bytes:
    data = io.BytesIO()
    Picture.new("RGB", (width, height), (10, 20, 30)).save(data, "PNG")
    return data.getvalue()


class CountedClock:
    """A clock that advances only in `sleep`; counts the sleeps and raises after `most`."""

    def __init__(self, most: int = 1000) -> None:
        self.at = 1_000_000.0
        self.slept = 0
        self._most = most

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.at += seconds
        if self.slept >= self._most:
            raise TimeoutError("slept enough")


def target(id: str, kind: str = "user") -> Target:
    return Target("webwechat.main", kind, id)


class Account:
    """One adapter that is logged in, with the media that it may be asked for."""

    def __init__(self, served: Served, state_store: MemoryStateStore | None = None, **more: Any) -> None:
        self.served = served
        self.server: Any = served.server
        self.adapter = Adapter(context(PLATFORM, served, {"base_url": served.url}, state_store=state_store, **more))
        self.contents: dict[str, bytes] = {}
        self.tokens = 0
        self.started = served.world.now()
        self.handles: dict[MediaNeed, Handle] = {}
        self.events = self.adapter.events()

    def media(self, data: bytes, kind: Kind, format: str, mime: str = "", name: str = "") -> Media:
        digest = hashlib.sha256(data).hexdigest()
        self.contents[digest] = data
        md5, crc = hashlib.md5(data).hexdigest(), zlib.crc32(data)
        return Media(digest, md5, crc, len(data), kind, mime or f"{kind}/{format}", format, name=name)

    async def send(
        self, *segments: SegmentLike, to: Target | str = "Alice", token: int = 0, keep: bool = True
    ) -> Sequence[PlatformId]:
        """Send every part under a key of its own; `keep` reuses handles."""
        receiver = target(to) if isinstance(to, str) else to
        message = message_of(*segments)
        sent = []
        for part in self.adapter.compose(message, receiver):
            for need in part.needs:
                if not keep or need not in self.handles:
                    content = BytesContent(self.contents[need.media.sha256])
                    self.handles[need] = await self.adapter.upload(need, content, receiver)
            self.tokens += 1
            number = token or self.tokens
            key = SendKey(number, 1, at=self.started, serial=number)
            sent.append(await self.adapter.send(part, self.handles, receiver, key, message))
        return sent

    async def next(self) -> Event:
        """Return the next event."""
        return await asyncio.wait_for(anext(self.events), 60)


@asynccontextmanager
async def account(
    *, state_store: MemoryStateStore | None = None, client_rules: Any = None, **rules: Any
) -> AsyncIterator[Account]:
    """One account, logged in at a server with these rules (dots written as double underscores)."""
    named = {name.replace("__", "."): value for name, value in rules.items()}
    async with serve(PLATFORM, rules={**QUICK, **named}, options=ServerOptions()) as served:
        made = Account(served, state_store, rules=client_rules)
        await made.adapter.login(lambda step: None)
        served.exchanges.clear()
        try:
            yield made
        finally:
            await made.adapter.close()
