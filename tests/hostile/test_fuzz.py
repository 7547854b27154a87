"""Mutated requests of real clients, sent to a sandbox in a process of its own: always an answer, never a traceback.

`YIZHAN_FUZZ_SEED` repeats a run, `YIZHAN_FUZZ_SECONDS` makes it longer (per platform).
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.hostile.corpus import Recorded, recorded_requests
from tests.hostile.login import Credentials, log_in
from tests.hostile.mutation import mutated

SEED = int(os.environ.get("YIZHAN_FUZZ_SEED", "20261201"))
SECONDS = float(os.environ.get("YIZHAN_FUZZ_SECONDS", "6"))
"""Longest time for one platform. REQUESTS ends a run earlier on a quick machine."""
REQUESTS = 1500
FEWEST = 100
"""Requests without which a run proves nothing."""
AT_ONCE = 16
ANSWER_SECONDS = 1.0
"""Long polls answer nothing for longer than that, and a body that is shorter than stated is waited for."""
GROWTH_MIB = 200
PLATFORMS = ("ilink", "ohwxapi", "qqbot", "webwechat", "wechatsdk")


@dataclass
class Sandboxed:
    """A sandbox process: its port, its id and the log that it writes."""

    port: int
    pid: int
    log: Path

    def resident_mib(self) -> float:
        """Return the process's resident memory, or 0 where the system does not tell."""
        with suppress(OSError):
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
            return int(found[1]) / 1024 if found else 0.0
        return 0.0


@pytest.fixture
async def sandboxed(tmp_path: Path) -> AsyncIterator[Sandboxed]:
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "yizhan.sandbox", "--port", "0"), stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    reading = asyncio.create_task(process.stdout.read())
    yield Sandboxed(int(re.findall(r":(\d+)", line)[-1]), process.pid, log)
    process.terminate()
    await process.wait()
    await reading


@dataclass
class Run:
    """One platform's requests, and every answer that should not have come."""

    sandboxed: Sandboxed
    seeds: list[Recorded]
    credentials: Credentials
    chance: random.Random
    sent: int = 0
    answered: int = 0
    failures: list[str] = field(default_factory=list)

    async def until(self, end: float) -> None:
        while time.monotonic() < end and self.sent < REQUESTS:
            self.sent += 1
            request = mutated(self.credentials.put_into(self.chance.choice(self.seeds)), self.chance)
            answer = await self._ask(request)
            self.answered += bool(answer)
            if re.match(rb"HTTP/1\.[01] 5\d\d", answer) and not self.credentials.documented(answer):
                self.failures.append(f"{request[:600]!r} → {answer[:300]!r}")

    async def _ask(self, request: bytes) -> bytes:
        """Send `request` on a connection of its own; return as much of the answer as comes within a second."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.sandboxed.port)
        answer = b""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(request)
                answer = await reader.read(1 << 16)
        writer.close()
        return answer


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_mutated_requests_of_real_clients_get_an_answer_and_no_traceback(
    platform: str, sandboxed: Sandboxed
) -> None:
    url = f"http://127.0.0.1:{sandboxed.port}"
    credentials = await log_in(platform, url)
    run = Run(sandboxed, recorded_requests(platform), credentials, random.Random(f"{SEED} {platform}"))
    before = sandboxed.resident_mib()
    end = time.monotonic() + SECONDS
    await asyncio.gather(*(run.until(end) for _ in range(AT_ONCE)))
    async with aiohttp.ClientSession() as session, session.get(f"{url}/_sandbox/") as answer:
        alive = answer.status

    assert [] == run.failures
    assert "Traceback" not in sandboxed.log.read_text("utf-8", "replace")
    assert 200 == alive
    assert sandboxed.resident_mib() - before < GROWTH_MIB
    assert run.sent >= FEWEST
    assert run.answered > run.sent / 2


async def test_the_fuzzer_reports_an_answer_of_500(sandboxed: Sandboxed) -> None:
    url = f"http://127.0.0.1:{sandboxed.port}"
    rule = [{"endpoint": "*", "status": 500}]
    async with aiohttp.ClientSession() as session, session.post(f"{url}/_sandbox/chaos", json=rule) as answer:
        assert 200 == answer.status
    run = Run(sandboxed, recorded_requests("wechatsdk"), Credentials("wechatsdk"), random.Random(SEED))

    while not run.failures and run.sent < REQUESTS:
        await run.until(time.monotonic() + 0.2)

    assert "HTTP/1.1 500" in run.failures[0]
