"""`yizhan run`: the service, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yizhan.cli import configured
from yizhan.cli.exits import SENT
from yizhan.cli.options import DEFAULT_STORE, Json, Quiet, Store
from yizhan.cli.output import Output, write
from yizhan.cli.running import opened
from yizhan.cli.running import run as run_work
from yizhan.errors import ConfigError

if TYPE_CHECKING:
    from yizhan.config.reloading import LiveConfig
    from yizhan.config.settings import LogSettings
    from yizhan.engine import Engine

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


def run(
    host: Annotated[
        str | None, typer.Option("--host", help="Address for /healthz, /readyz and /metrics; 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port of that address; 8790. 0 takes a free one.")
    ] = None,
    store: Store = DEFAULT_STORE,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Send, listen and tidy until SIGTERM or Ctrl-C.

    While another process sends for the same store, this one stands by and takes over when that ends. SIGHUP reads
    [log] and [keep] again.
    """
    return run_work(_run(store, host, port, Output(as_json, quiet)))


async def _run(store: Path, host: str | None, port: int | None, out: Output) -> int:
    from yizhan.config.reloading import LiveConfig

    live = LiveConfig(os.environ, file=configured.before().file, options={"run.host": host, "run.port": port})
    _set_up_log(live)
    # SIGTERM cancels this task, which is the regular end of a service.
    with suppress(asyncio.CancelledError):
        async with opened(store, sending=True, make=True) as engine:
            await _serve(engine, live, store, out)
    return SENT


async def _serve(engine: Engine, live: LiveConfig, store: Path, out: Output) -> None:
    from yizhan.service.health import HealthServer
    from yizhan.service.notify import notify

    server = HealthServer(engine, host=live.config.settings.run.host, port=live.config.settings.run.port)
    await server.start()
    try:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _reload, engine, live)
        await engine.listen()
        address = f"http://{live.config.settings.run.host}:{server.port}"
        await _announce(engine, store, address, out)
        notify("READY=1")
        if await _took_over(engine):
            await _announce(engine, store, address, out)
        await asyncio.Event().wait()
    finally:
        notify("STOPPING=1")
        await server.close()


async def _took_over(engine: Engine) -> bool:
    """Wait until this process sends; return False if it sent from the start."""
    if _is_sending(engine):
        return False
    while not _is_sending(engine):  # noqa: ASYNC110 - another process ends without a signal
        await asyncio.sleep(LOOK_SECONDS)
    return True


def _is_sending(engine: Engine) -> bool:
    return engine.supervisor.worker.leading


async def _announce(engine: Engine, store: Path, address: str, out: Output) -> None:
    state = "sending" if _is_sending(engine) else "standby"
    out.value({"state": state, "store": str(store.absolute()), "address": address})
    if state == "sending":
        out.line(f"Sending for {store.absolute()}; health at {address}/readyz.")
    else:
        out.line(f"Another process sends for {store.absolute()}: standing by; health at {address}/readyz.")
    write(flush=True)
    log.info("service is %s", state, extra={"store": str(store.absolute()), "address": address})


def _reload(engine: Engine, live: LiveConfig) -> None:
    from yizhan.service.notify import notify

    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        reloaded = live.reload()
    except ConfigError as error:
        log.error("the configuration is not read again", extra={"reason": str(error)})
    else:
        engine.supervisor.retention.keep = live.config.settings.keep
        _set_up_log(live)
        log.info("configuration read again", extra={"changed": reloaded.changed})
        if reloaded.restart:
            log.warning("restart for the other changes", extra={"settings": reloaded.restart})
    notify("READY=1")


def _set_up_log(live: LiveConfig) -> None:
    from yizhan.runtime.log_lines import set_up_log

    settings: LogSettings = live.config.settings.log
    level = "info" if live.config.origin("log.level") == "default" else settings.level
    set_up_log(level, settings.format)
