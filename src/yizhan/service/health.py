"""The address on which the service answers for its health: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from yizhan.engine import Engine
from yizhan.errors import ConfigError, YizhanError

if TYPE_CHECKING:
    from yizhan.service.metrics import Metrics

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthServer:
    """Serves the health of `engine` at one address."""

    def __init__(self, engine: Engine, *, host: str, port: int) -> None:
        self._engine = engine
        self._host, self._wanted_port = host, port
        self._metrics: Metrics | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The bound port, once started."""

    async def start(self) -> None:
        """Begin to answer.

        Raises:
            ConfigError: the address cannot be bound.
        """
        from yizhan.service.metrics import Metrics

        self._metrics = Metrics(self._engine)
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._show_metrics),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted_port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            raise ConfigError(
                f"Cannot listen on {self._host}:{self._wanted_port}: {error}. Choose another port with --port or "
                "[run] port, or 0 for a free one."
            ) from error
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        """Report that the process lives."""
        return web.json_response({"status": "ok"})

    async def _readiness(self, _request: web.Request) -> web.Response:
        """Report whether the store can be read, whether this process sends, and the accounts that do not send."""
        supervisor = self._engine.supervisor
        try:
            await self._engine.accounts()
        except YizhanError as error:
            return web.json_response({"status": "error", "reason": type(error).__name__}, status=503)
        status = "sending" if supervisor.worker.leading else "standby"
        stopped = {name: str(supervisor.statuses.error(name)) for name in supervisor.statuses.not_active()}
        return web.json_response({"status": status, "stopped": stopped})

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        assert self._metrics is not None
        return web.Response(body=await self._metrics.text(), headers={"Content-Type": METRICS_TYPE})
