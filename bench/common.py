"""Shared parts of the measurements: a server process, a raw baseline, and rows of the table."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

CONCURRENCY = 64
ACCOUNT = {"app_id": "102000001", "secret": "DG5g3B4j9X2KOErG", "receive": "off"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a ratio and its target."""

    what: str
    ratio: float
    target: str
    met: bool
    detail: str = ""


@contextmanager
def server(module: str = "bench.stub", *arguments: str) -> Iterator[str]:
    """Run a server process; yields its address."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        yield line.split()[-1] if line.startswith("sandbox") else f"http://127.0.0.1:{line}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="yizhan-bench-") as name:
        yield Path(name)


@asynccontextmanager
async def engine(path: Path, base: str, **rules: Any) -> AsyncIterator[Any]:
    from yizhan.engine import Engine

    opened = await Engine.open(path, concurrency=CONCURRENCY)
    # Objects of the start are never garbage: a full collection would stop the loop for 30 to 60 ms.
    gc.collect()
    gc.freeze()
    rules = {"limits": False, **rules}
    await opened.add_account("qqbot.main", **ACCOUNT, base_url=base, rules=rules)
    try:
        yield opened
    finally:
        await opened.close()


async def raw_posts(base: str, count: int, body: bytes) -> float:
    """Post `body` `count` times as plain aiohttp does it; returns posts per second."""
    headers = {"Authorization": "QQBot bench-token-0123456789", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number: int) -> None:
            url = f"{base}/v2/users/{number:032X}/messages"
            async with session.post(url, data=body, headers=headers) as response:
                await response.json()

        return await rate(count, one)


async def rate(count: int, one: Callable[[int], Awaitable[Any]]) -> float:
    """Run `one` `count` times, CONCURRENCY at once; returns how many a second."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))
    return count / (time.perf_counter() - start)


def users(count: int, start: int = 0) -> list[str]:
    return [f"qqbot.main/user/{number:032X}" for number in range(start, start + count)]
