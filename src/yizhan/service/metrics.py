"""Metrics of one process in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from yizhan.engine import Engine
from yizhan.runtime.notifier import DeliveryChanged


class Metrics:
    """Counts what happens from now on; gauges are read at every scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        self._settled = Counter(
            "yizhan_deliveries_settled",
            "Deliveries that ended in this process.",
            ("account", "state"),
            registry=self._registry,
        )
        self._stored = Gauge("yizhan_deliveries", "Stored deliveries by state.", ("state",), registry=self._registry)
        self._leading = Gauge("yizhan_leading", "1 while this process sends for the store.", registry=self._registry)
        self._stopped = Gauge(
            "yizhan_account_stopped", "1 for an account that does not send.", ("account",), registry=self._registry
        )
        engine.supervisor.notifier.delivery_changed.subscribe(self._count)

    async def text(self) -> bytes:
        """Return all metrics."""
        for state, count in (await self._engine.records.counts()).items():
            self._stored.labels(state.value).set(count)
        self._leading.set(self._engine.supervisor.worker.leading)
        self._stopped.clear()
        for account in self._engine.supervisor.statuses.not_active():
            self._stopped.labels(account).set(1)
        return generate_latest(self._registry)

    def _count(self, change: DeliveryChanged) -> None:
        if change.state.final:
            self._settled.labels(change.target.account, change.state.value).inc()
