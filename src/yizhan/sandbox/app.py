"""The sandbox as a service: its listeners, and `serve`, which runs one until a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from yizhan.errors import ConfigError
from yizhan.http.listener import HttpListener
from yizhan.http.router import Router
from yizhan.platforms.spec import Platform
from yizhan.runtime.event_loop import run
from yizhan.runtime.signals import restored_handlers
from yizhan.sandbox.control import control_router
from yizhan.sandbox.request_log import MAX_KEPT
from yizhan.sandbox.state import SandboxState
from yizhan.wire import HttpResponse

log = logging.getLogger(__name__)

DEFAULT_PORT = 8791
_TYPE_API = ("POST", "/api/")
"""The path of the local "type" API, which programs expect at a port of its own."""


class Sandbox(SandboxState):
    """Every platform (or those named in `platforms`) on one loopback origin, over the world of `world_file`.

    `port` 0 takes a free one; `port` and `url` tell it after the start. `type_api_port`: a second listener for the
    local "type" API alone. `folder` keeps received bytes after the end; without it they are deleted then. `extra`
    reaches the servers as `ServerOptions.extra`.

    Raises:
        ConfigError: the world file cannot be read, a platform is unknown, or two platforms serve the same path.
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
        super().__init__(
            world_file, manual_logins, platforms, folder, seed=seed, kept_requests=kept_requests, extra=extra
        )
        self.host = host
        try:
            self._listener, self._type_listener = self._listeners(host, port, type_api_port)
        except BaseException:
            self.world.close()
            raise

    async def start(self) -> Self:
        """Take requests.

        Raises:
            ConfigError: an address cannot be bound.
        """
        try:
            await self._listener.start()
            if self._type_listener is not None:
                await self._type_listener.start()
                self.type_api_url = self._type_listener.url
        except BaseException:
            await self.close()
            raise
        self.url = self._listener.url
        return self

    async def close(self) -> None:
        """End sockets and long polls, then the listeners."""
        for name, server in self.servers.items():
            try:
                await server.close()
            except Exception:
                log.exception("platform did not close", extra={"platform": name})
        await self._listener.close()
        if self._type_listener is not None:
            await self._type_listener.close()
        self.world.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def port(self) -> int:
        return self._listener.port

    def _listeners(self, host: str, port: int, type_api_port: int | None) -> tuple[HttpListener, HttpListener | None]:
        if host not in ("127.0.0.1", "localhost", "::1"):
            log.warning("the sandbox has no passwords and listens beyond this machine", extra={"host": host})
        routers = [server.router for server in self.servers.values()]
        listener = HttpListener(
            [control_router(self), *routers], host=host, port=port, root=_root(self.platforms), observer=self.observer
        )
        if type_api_port is None:
            return listener, None
        return listener, HttpListener(_of_type_api(routers), host=host, port=type_api_port, observer=self.observer)


def _of_type_api(routers: Sequence[Router]) -> list[Router]:
    found = [router for router in routers if _TYPE_API in router.paths]
    if not found:
        raise ConfigError(f"No served platform has {' '.join(_TYPE_API)}; leave the second listener out.")
    return found


def _root(served: Mapping[str, Platform]) -> HttpResponse:
    lines = ["yizhan sandbox", "", *(f"{p.name}: {p.title}" for p in served.values()), "", "Control: /_sandbox/"]
    return HttpResponse(200, [("Content-Type", "text/plain; charset=utf-8")], "\n".join([*lines, ""]).encode())


def serve(*, ready: Callable[[str], None] | None = None, **options: Any) -> None:
    """Run a sandbox until SIGINT or SIGTERM. `options` as for `Sandbox`; `port` is 8791 unless given.

    Calls `ready` with the one line that tells the address (printed and flushed by default). Signal handlers and the
    garbage collector's thresholds are the caller's again when it returns.

    Raises:
        ConfigError: as `Sandbox`, or an address cannot be bound.
    """
    options.setdefault("port", DEFAULT_PORT)
    with restored_handlers(signal.SIGINT, signal.SIGTERM), _rare_collections():
        run(_serve_until_signal(ready or _print_ready, options))


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect garbage less often: scanning the request log's many small objects took half of its cost."""
    before = gc.get_threshold()
    gc.set_threshold(10_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _serve_until_signal(ready: Callable[[str], None], options: Mapping[str, Any]) -> None:
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


def _print_ready(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
