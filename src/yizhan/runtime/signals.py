"""Signal handlers that are put back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def restored_handlers(*numbers: signal.Signals) -> Iterator[None]:
    """Restore the handlers of `numbers` at the end, which an event loop may have replaced.

    uvloop leaves its own handlers when a loop ends, and the program then ignores the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers, so nothing can have changed them.
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None is a handler that was not set from Python; it cannot be set from Python either.
            if handler is not None:
                signal.signal(number, handler)
