"""The sending process of the demo, from the outside: started, read, killed, started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from yizhan.cli.demo.processes import command, process_options
from yizhan.cli.demo.worker import Order, Report
from yizhan.errors import YizhanError

STILL_SECONDS = 60.0
"""A process that reports nothing new for so many seconds is stuck."""
MAX_LINE = 1 << 22


class Sender:
    """One run of the sending process."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self.last = Report("")

    async def start(self) -> Report:
        """Start it; return its first report, once every account is logged in."""
        self._process = await asyncio.create_subprocess_exec(
            *command("yizhan.cli.demo.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            **process_options(Path(self._order.temporary)),
        )
        await self._write(msgspec.json.encode(self._order))
        return await self.until(lambda report: report.what == "ready")

    async def submit(self, targets: Sequence[str]) -> Report:
        """Name the targets; return once the broadcast is in the outbox. A repeat finds the stored one."""
        await self._write(msgspec.json.encode(targets))
        return await self.until(lambda report: report.what == "begun")

    async def until(self, enough: Callable[[Report], bool]) -> Report:
        """Read reports until one is `enough`.

        Raises:
            YizhanError: it ended or failed before, or reported nothing new for a minute.
        """
        while True:
            try:
                async with asyncio.timeout(STILL_SECONDS):
                    report = await self._changed()
            except TimeoutError:
                raise YizhanError(f"The sending process has done nothing for {STILL_SECONDS:.0f} s.") from None
            if report.what == "error" or (report.what == "idle" and report.text):
                raise YizhanError(f"The sending process failed: {report.text}")
            if enough(report):
                return report

    async def _changed(self) -> Report:
        """Return the next report that differs from the last."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            before, self.last = self.last, msgspec.json.decode(line, type=Report)
            if self.last != before or self.last.what == "idle":
                return self.last
        raise YizhanError("The sending process has ended before its work was done.")

    async def go_on(self) -> None:
        """Let an idle process send the deliveries that were queued again."""
        await self._write(b"go on")

    async def kill(self) -> None:
        """Kill it (SIGKILL), so that it cannot write anything more."""
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
