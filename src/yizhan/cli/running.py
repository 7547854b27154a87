"""How a command runs: a loop that ends in good order on SIGTERM, and a store that is opened."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from yizhan.errors import ConfigError

if TYPE_CHECKING:
    from yizhan.engine import Engine

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; SIGTERM, or a terminal that is closed, ends it as Ctrl-C does.

    What is under way is finished and recorded.
    """
    from yizhan.runtime import event_loop

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in _endings():
            with suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    return event_loop.run(stoppable())


def _endings() -> list[signal.Signals]:
    """The signals that end a command; `nohup` has the terminal's ignored, and that stays so."""
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hangup]


@asynccontextmanager
async def opened(
    store: Path, *, sending: bool = False, make: bool = False, allow: Sequence[str] | None = None
) -> AsyncIterator[Engine]:
    """Open the store at `store`.

    `sending`: send what is due while it is open, unless another process does. `make`: begin one if there is none.
    `allow`: addresses that are not public, from which files may be downloaded all the same.

    Raises:
        ConfigError: there is none, or an address is none.
        StorageError: it cannot be used.
    """
    if not make and not (store / "yizhan.db").exists():
        raise ConfigError(
            f"There is no store at {store}. Begin one by adding an account (yizhan account add qqbot.main …), "
            "or name another with --store or YIZHAN_STORE."
        )
    from yizhan.engine import Engine

    async with await Engine.open(store, sending=sending) as engine:
        if allow:
            from yizhan.media.references import Trust

            engine.library.trust = Trust.allowing(*allow)
        yield engine
