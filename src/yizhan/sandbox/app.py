"""The sandbox: every platform served over one world, with rules, chaos and a record around every exchange."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from yizhan.errors import ConfigError, did_you_mean
from yizhan.http.listener import HttpListener
from yizhan.http.router import Router
from yizhan.model import Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import Server, ServerOptions
from yizhan.platforms.spec import Platform, platforms
from yizhan.runtime.event_loop import run
from yizhan.sandbox.chaos import Chaos
from yizhan.sandbox.record import MAX_KEPT, Record
from yizhan.wire import Endpoint, HttpResponse
from yizhan.world import Blob, TurnableClock, World, populate

log = logging.getLogger(__name__)

DEFAULT_PORT = 8791
_TYPE_API = ("POST", "/api/")
"""What the platform serves that programs look for at a port of its own."""


class Around:
    """The one observer of every router: chaos before and after, the record at the end."""

    def __init__(self, chaos: Chaos, record: Record) -> None:
        self.before = chaos.before
        self.after = chaos.after
        self.done = record.done


class Sandbox:
    """Every platform (or those named in `platforms`) on one loopback origin, over a world that is `world_file`'s.

    `port` 0 takes a free one, found in `port` and `url` once started. `type_api_port`: a second listener for the local
    "type" API alone. `folder` keeps the bytes that arrive; without it they go with the sandbox. `extra` reaches the
    servers as `ServerOptions.extra`.

    Raises:
        ConfigError: the world file is not one, a platform is unknown, or two platforms serve the same path.
    """

    def __init__(
        self,
        world_file: Path | str | None = None,
        manual_logins: bool = False,
        platforms: Iterable[str | Platform] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        type_api_port: int | None = None,
        folder: Path | str | None = None,
        *,
        seed: int = 1,
        kept_requests: int = MAX_KEPT,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._world_file = Path(world_file) if world_file is not None else None
        self.host = host
        self.options = ServerOptions(manual_logins, dict(extra or {}))
        self.world = World(seed=seed, folder=Path(folder) if folder is not None else None)
        self.record = Record(self.world.now, kept_requests)
        self.chaos = Chaos(seed, self._calls)
        self.platforms: dict[str, Platform] = {}
        self.servers: dict[str, Server] = {}
        self._rules: dict[str, Rules] = {}
        try:
            populate(self.world, self._world_file)
            self._serve(platforms)
            self._door, self._type_door = self._doors(host, port, type_api_port)
        except BaseException:
            self.world.close()
            raise

    # --- running ------------------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Take requests.

        Raises:
            ConfigError: an address cannot be bound.
        """
        try:
            await self._door.start()
            if self._type_door is not None:
                await self._type_door.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """End sockets and long polls, then the listeners."""
        for name, server in self.servers.items():
            try:
                await server.close()
            except Exception:
                log.exception("platform did not close", extra={"platform": name})
        await self._door.close()
        if self._type_door is not None:
            await self._type_door.close()
        self.world.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def port(self) -> int:
        return self._door.port

    @property
    def url(self) -> str:
        """The one origin of all platforms, such as `http://127.0.0.1:8791`."""
        return self._door.url

    @property
    def type_api_url(self) -> str:
        """The origin of the second listener; empty where none was asked for."""
        return self._type_door.url if self._type_door is not None else ""

    @property
    def clock(self) -> TurnableClock:
        return self.world.clock

    # --- what a person or a test does to it ---------------------------------------------------------------------------

    def server(self, platform: str) -> Server:
        """Return the serving end of a platform.

        Raises:
            LookupError: it is not served here; the text names close ones.
        """
        if platform not in self.servers:
            known = ", ".join(self.servers)
            raise LookupError(
                f"the platform '{platform}' is not served.{did_you_mean(platform, self.servers)} Served: {known}."
            )
        return self.servers[platform]

    async def say(
        self,
        platform: str,
        sender: str,
        to: str = "bot",
        *,
        text: str = "",
        media: Blob | bytes | None = None,
        kind: Kind = "file",
        name: str = "",
    ) -> str:
        """Let a simulated person say something; return the platform's own id of it.

        Raises:
            LookupError: no such platform, person or group.
            ValueError: neither text nor media.
        """
        if not text and media is None:
            raise ValueError("somebody who says something needs text or media")
        blob = await self.world.blobs.add(media) if isinstance(media, bytes) else media
        return await self.server(platform).say(sender, to, text=text, media=blob, kind=kind, name=name)

    def people(self, platform: str, kind: Literal["user", "group"], count: int) -> list[str]:
        """Make people or groups who know the account; return the ids by which the platform addresses them."""
        return self.server(platform).people(kind, count)

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"], platform: str = "") -> None:
        """Play the phone at a QR login.

        Raises:
            LookupError: no platform has such a login.
        """
        if platform:
            return await self.server(platform).login(uuid, step)
        for server in self.servers.values():
            try:
                return await server.login(uuid, step)
            except LookupError:
                continue
        raise LookupError(f"no platform has a login '{uuid}'; it may have ended")

    def set_rules(
        self,
        platform: str,
        profile: str | None = None,
        changes: Mapping[str, Any] | None = None,
        limits: bool | None = None,
    ) -> Rules:
        """Change a platform's rules, in force from the next request on; return them.

        `profile` begins anew from that profile; without one, `changes` go on top of what is in force.

        Raises:
            LookupError: the platform is not served.
            ConfigError: no such profile, no such rule, or a value of the wrong kind.
        """
        server = self.server(platform)
        start = server.rules if profile is None else self.platforms[platform].rules(profile)
        server.rules = start.overridden({**(changes or {}), **({} if limits is None else {"limits": limits})})
        return server.rules

    async def set_webhook(self, platform: str, url: str) -> None:
        """Push that platform's events to `url`."""
        await self.server(platform).webhook(url)

    def reset(self) -> None:
        """Back to the start: world, clock, rules, chaos, record, and what the servers remember."""
        self.world.reset()
        populate(self.world, self._world_file)
        self.chaos.reset()
        for name, server in self.servers.items():
            server.rules = self._rules[name]
            server.reset()
        self.record.clear()

    # --- putting it together ------------------------------------------------------------------------------------------

    def _serve(self, wanted: Iterable[str | Platform] | None) -> None:
        around = Around(self.chaos, self.record)
        for platform, needed in _chosen(wanted):
            try:
                make = platform.load_server()
                rules = platform.rules()
                server = make(self.world, rules, self.options)
            except (ImportError, AttributeError, OSError) as error:
                if needed:
                    raise ConfigError(f"The platform '{platform.name}' cannot be served: {error}") from error
                log.warning("platform left out", extra={"platform": platform.name, "reason": str(error)})
                continue
            server.router.observer = around
            self.platforms[platform.name] = platform
            self.servers[platform.name] = server
            self._rules[platform.name] = rules

    def _doors(self, host: str, port: int, type_api_port: int | None) -> tuple[HttpListener, HttpListener | None]:
        from yizhan.sandbox.control import control_router

        if host not in ("127.0.0.1", "localhost", "::1"):
            log.warning("the sandbox has no passwords and listens beyond this machine", extra={"host": host})
        routers = [server.router for server in self.servers.values()]
        door = HttpListener(
            [control_router(self), *routers], host=host, port=port, root=_root(self.platforms), observer=self._around()
        )
        if type_api_port is None:
            return door, None
        return door, HttpListener(_of_type_api(routers), host=host, port=type_api_port, observer=self._around())

    def _around(self) -> Around:
        return Around(self.chaos, self.record)

    def _calls(self) -> list[tuple[str, Sequence[Endpoint[Any, Any]]]]:
        return [(name, server.router.endpoints) for name, server in self.servers.items()]


def _chosen(wanted: Iterable[str | Platform] | None) -> list[tuple[Platform, bool]]:
    """The platforms to serve, and whether each was asked for by name."""
    known = platforms()
    if wanted is None:
        return [(platform, False) for platform in known.values()]
    chosen = []
    for item in wanted:
        if isinstance(item, str) and item not in known:
            raise ConfigError(f"There is no platform '{item}'.{did_you_mean(item, known)} Known: {', '.join(known)}.")
        chosen.append((known[item] if isinstance(item, str) else item, True))
    return chosen


def _of_type_api(routers: Sequence[Router]) -> list[Router]:
    found = [router for router in routers if _TYPE_API in router.paths]
    if not found:
        raise ConfigError(f"No platform that is served has {' '.join(_TYPE_API)}; leave the second listener out.")
    return found


def _root(served: Mapping[str, Platform]) -> HttpResponse:
    lines = ["yizhan sandbox", "", *(f"{p.name}: {p.title}" for p in served.values()), "", "Control: /_sandbox/"]
    return HttpResponse(200, [("Content-Type", "text/plain; charset=utf-8")], "\n".join([*lines, ""]).encode())


def serve(*, ready: Callable[[str], None] | None = None, **options: Any) -> None:
    """Run a sandbox until SIGINT or SIGTERM. `options` as for `Sandbox`; `port` is 8791 unless given.

    Calls `ready` with the one line that says where it listens (printed and flushed by default).

    Raises:
        ConfigError: as `Sandbox`, or an address cannot be bound.
    """
    options.setdefault("port", DEFAULT_PORT)
    run(_serve_until_told(ready or _say_ready, options))


async def _serve_until_told(ready: Callable[[str], None], options: Mapping[str, Any]) -> None:
    # The record keeps many small objects; looking them all over again and again took half of what it costs.
    gc.set_threshold(10_000, 20, 20)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    async with Sandbox(**options) as sandbox:
        ready(f"sandbox ready on {sandbox.url}")
        await stop.wait()


def _say_ready(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
