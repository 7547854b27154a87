"""A listener to an engine in a test: received events, and waiting for further ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.end_to_end.accounts import ALL
from tests.support import PATIENCE
from yizhan.engine import Engine
from yizhan.model import Event, EventKind, Forward


class Ear:
    """Every event that an engine has shown, in order."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._rung = asyncio.Event()

    def take(self, event: Event) -> None:
        self.heard.append(event)
        self._rung.set()

    async def event(self, fits: Callable[[Event], bool]) -> Event:
        """Return the first event that fits, waiting for it if need be."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._rung.clear()
                found = next((event for event in self.heard if fits(event)), None)
                if found is not None:
                    return found
                await self._rung.wait()

    async def message(self, id: str) -> Event:
        return await self.event(lambda event: event.id == id and event.kind is EventKind.MESSAGE)

    async def kind(self, kind: EventKind, account: str) -> Event:
        return await self.event(lambda event: event.kind is kind and event.account == account)


@asynccontextmanager
async def listening(engine: Engine, *platforms: str) -> AsyncIterator[Ear]:
    """Listen to the accounts of these platforms (all if none is named), and return once each is connected."""
    ear = Ear()
    names = [ALL[platform] for platform in platforms or ALL]

    async def listen() -> None:
        async for event in engine.events(names):
            ear.take(event)

    task = asyncio.create_task(listen())
    try:
        for name in names:
            await connected(engine, name)
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connected(engine: Engine, account: str) -> None:
    """Wait until pushes reach the account; the other platforms keep events until they are polled."""
    adapter: Any = await engine.adapter(account)
    async with asyncio.timeout(PATIENCE):
        match account.partition(".")[0]:
            case "wechatsdk":
                await adapter.registration.done.wait()
            case "ohwxapi":
                while adapter.line._socket is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


def forward_of(event: Event) -> Forward:
    """Return the media of an event."""
    assert event.message is not None
    (found,) = [segment for segment in event.message.segments if isinstance(segment, Forward)]
    return found
