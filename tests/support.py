"""What tests share: one platform's server over a real socket, without the rest of the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from yizhan.http.router import Exchange
from yizhan.model import BytesContent, Content, Target
from yizhan.platforms.adapter import AccountContext
from yizhan.platforms.server import Server, ServerOptions
from yizhan.platforms.spec import Platform
from yizhan.testing.conformance.samples import MemoryStateStore
from yizhan.wire import HttpResponse
from yizhan.world import World, populate

PATIENCE = 90.0
"""Seconds of real time that a wait may take; only where something is broken it does."""


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.002)


@dataclass
class Served:
    """A served platform, and everything that a test wants to look at."""

    url: str
    server: Server
    world: World
    exchanges: list[Exchange] = field(default_factory=list)

    async def before(self, exchange: Exchange) -> HttpResponse | None:
        return None

    async def after(self, exchange: Exchange) -> None:
        pass

    def done(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    def calls(self, endpoint: str) -> int:
        return sum(1 for exchange in self.exchanges if exchange.endpoint == endpoint)


@asynccontextmanager
async def serve(
    platform: Platform,
    *,
    profile: str | None = None,
    rules: Mapping[str, Any] | None = None,
    options: ServerOptions | None = None,
) -> AsyncIterator[Served]:
    """Serve one platform on a free loopback port, over the default world."""
    world = World()
    populate(world)
    server = platform.load_server()(world, platform.rules(profile, rules), options or ServerOptions())
    app = web.Application(client_max_size=1 << 30)
    server.router.mount(app)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    served = Served(f"http://127.0.0.1:{port}", server, world)
    server.router.observer = served
    try:
        yield served
    finally:
        await server.close()
        await runner.cleanup()
        world.close()


def context(
    platform: Platform, served: Served, settings: Mapping[str, Any], *, name: str = "main", **more: Any
) -> AccountContext:
    """Return the context of an adapter, on the world's clock and with a state store in memory."""
    import msgspec

    media: dict[str, bytes] = more.pop("media", {})

    def open_media(sha256: str) -> Content:
        return BytesContent(media[sha256])

    contexts: Mapping[Target, Mapping[str, Any]] = more.pop("contexts", {})
    return AccountContext(
        name=f"{platform.name}.{name}",
        settings=msgspec.convert(dict(settings), platform.settings),
        clock=served.world.clock,
        state_store=more.pop("state_store", None) or MemoryStateStore(),
        rules=platform.rules(more.pop("profile", None), more.pop("rules", None)),
        open_media=open_media,
        context_of=lambda target: contexts.get(target, {}),
    )


RECORDINGS = Path(__file__).parent / "recordings"
