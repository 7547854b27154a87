"""The sending process of the demo, seen from outside: started, read, killed, started again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import msgspec

from yizhan.cli.demo.control import clean_environment
from yizhan.cli.demo.worker import Order, Report
from yizhan.errors import YizhanError

SILENCE_SECONDS = 60.0
"""A process that reports nothing for so long is stuck."""
MAX_LINE = 1 << 22


class Sender:
    """One life of the sending process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self.last = Report("")

    async def start(self) -> Report:
        """Return its first report: everybody is logged in, and the order is in the outbox."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "yizhan.cli.demo.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            env=clean_environment(),
        )
        await self._write(msgspec.json.encode(self._order))
        return await self.until(lambda report: report.what == "begun")

    async def until(self, enough: Callable[[Report], bool]) -> Report:
        """Read reports until one is `enough`.

        Raises:
            YizhanError: it ended, failed or fell silent before.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            try:
                line = await asyncio.wait_for(self._process.stdout.readline(), SILENCE_SECONDS)
            except TimeoutError:
                raise YizhanError(f"The sending process has said nothing for {SILENCE_SECONDS:.0f} s.") from None
            if not line:
                raise YizhanError("The sending process has ended before its work was done.")
            self.last = msgspec.json.decode(line, type=Report)
            if self.last.what == "error" or (self.last.what == "idle" and self.last.text):
                raise YizhanError(f"The sending process failed: {self.last.text}")
            if enough(self.last):
                return self.last

    async def go_on(self) -> None:
        """Ask for what was put back into the queue since it was idle."""
        await self._write(b"go on")

    async def kill(self) -> None:
        """SIGKILL: it has no chance to write anything down."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        """Let it end by itself; kill it if it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _write(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()
