"""Running a command: an event loop that signals stop cleanly, and the store."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from yizhan.cli import configured

if TYPE_CHECKING:
    from yizhan.config.settings import MediaSettings
    from yizhan.engine import Engine
    from yizhan.media.references import Trust

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; SIGTERM and the end of the terminal stop it as Ctrl-C does.

    Sends in progress are finished and recorded. The signal handlers of the caller are restored.
    """
    from yizhan.runtime import event_loop
    from yizhan.runtime.signals import restored_handlers

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in numbers:
            with suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    numbers = _stop_signals()
    with restored_handlers(signal.SIGINT, *numbers):
        return event_loop.run(stoppable())


def _stop_signals() -> list[signal.Signals]:
    """Return the signals that stop a command, without SIGHUP if `nohup` has it ignored."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hangup]


@asynccontextmanager
async def opened(
    store: Path, *, sending: bool = False, make: bool = False, allow: Sequence[str] | None = None
) -> AsyncIterator[Engine]:
    """Open the store at `store`.

    `sending`: send due deliveries while it is open, unless another process does. `make`: create it if there is none.
    `allow`: addresses that are not public and may be downloaded from.

    Raises:
        ConfigError: there is no store, or `allow` has something else than an address.
        StorageError: it cannot be used.
    """
    if not make and not (store / "yizhan.db").exists():
        raise configured.no_store(store)
    from yizhan.engine import Engine

    settings = configured.config().settings
    async with await Engine.open(store, sending=sending, key=settings.store.key or None, keep=settings.keep) as engine:
        engine.library.max_bytes = settings.media.max_bytes
        engine.library.trust = _trust(settings.media, allow or ())
        yield engine


def _trust(media: MediaSettings, allow: Sequence[str]) -> Trust:
    """Return the paths and addresses that a command may name: those of the configuration, and `allow`."""
    from yizhan.media.references import OWNER, Trust

    addresses = (*media.allow, *allow)
    fetch = Trust.allowing(*addresses).fetch if addresses else OWNER.fetch
    return Trust(folders=media.folders, fetch=fetch)
