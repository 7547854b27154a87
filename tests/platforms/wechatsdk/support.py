"""One account and its client, for tests that send and listen."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support import Served, context
from yizhan.model import Event, Media, Message, SendKey, Target
from yizhan.platforms.wechatsdk import PLATFORM
from yizhan.platforms.wechatsdk.client import Adapter


def media_of(data: bytes, kind: Any = "file", format: str = "txt", **more: Any) -> Media:
    import zlib

    return Media(
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        crc32=zlib.crc32(data),
        size=len(data),
        kind=kind,
        mime="",
        format=format,
        **more,
    )


@asynccontextmanager
async def adapter_of(served: Served, **settings: Any) -> AsyncIterator[Adapter]:
    adapter = Adapter(context(PLATFORM, served, {"base_url": served.url, **settings}))
    try:
        yield adapter
    finally:
        await adapter.close()


@asynccontextmanager
async def listening(adapter: Adapter) -> AsyncIterator[AsyncIterator[Event]]:
    """Events of an adapter, once the client knows its listener."""
    events = adapter.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.wait_for(adapter.registration.done.wait(), 30)

    async def one_by_one() -> AsyncIterator[Event]:
        yield await asyncio.wait_for(first, 30)
        while True:
            yield await asyncio.wait_for(anext(events), 30)

    try:
        yield one_by_one()
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await events.aclose()  # type: ignore[attr-defined]


async def send(adapter: Adapter, message: Message, target: Target, handles: dict[Any, Any]) -> str:
    """A small engine: compose, upload once, send."""
    id = ""
    for part in adapter.compose(message, target):
        for need in part.needs:
            if need not in handles:
                handles[need] = await adapter.upload(need, handles["content"], target)
        id = (await adapter.send(part, handles, target, SendKey(1, 1), message)).id
    return id
