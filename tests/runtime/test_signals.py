"""Signal handlers after a loop has ended are those that were there before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from yizhan.cli.running import run as run_command
from yizhan.runtime.event_loop import run
from yizhan.runtime.signals import restored_handlers
from yizhan.sandbox import serve

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _mine(*_: object) -> None: ...


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, _mine)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_served_sandbox_leaves_the_handlers_of_the_program() -> None:
    serve(ready=lambda line: os.kill(os.getpid(), signal.SIGTERM), port=0, platforms=["qqbot"])

    assert [_mine] * 3 == [signal.getsignal(number) for number in SIGNALS]


def test_a_command_leaves_the_handlers_of_the_program() -> None:
    async def command() -> int:
        return 7

    assert 7 == run_command(command())
    assert [_mine] * 3 == [signal.getsignal(number) for number in SIGNALS]


def test_a_command_that_fails_leaves_them_too() -> None:
    async def command() -> int:
        raise ValueError

    with pytest.raises(ValueError):
        run_command(command())
    assert [_mine] * 3 == [signal.getsignal(number) for number in SIGNALS]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def command() -> object:
        return signal.getsignal(signal.SIGHUP)

    assert signal.SIG_IGN == run_command(command())
    assert signal.SIG_IGN == signal.getsignal(signal.SIGHUP)


def test_a_thread_that_may_not_set_handlers_runs_too() -> None:
    ended: list[int] = []

    async def work() -> int:
        return 3

    def in_thread() -> None:
        with restored_handlers(*SIGNALS):
            ended.append(run(work()))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()

    assert [3] == ended


def test_a_program_ends_by_a_signal_after_serving() -> None:
    program = (
        "import os, signal, yizhan.sandbox\n"
        "end = lambda line: os.kill(os.getpid(), signal.SIGTERM)\n"
        "yizhan.sandbox.serve(ready=end, port=0, platforms=['qqbot'])\n"
        "print('served', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('still here', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (-signal.SIGTERM, "served\n") == (done.returncode, done.stdout)
