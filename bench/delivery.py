"""The client against raw aiohttp, the durable pipeline against the same loop, scale, and who overtakes whom."""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from typing import Any

from bench.common import Row, engine, folder, rate, raw_posts, server, users

TEXT = "hello from the other side of the river"


async def client_overhead(count: int) -> list[Row]:
    from yizhan.model import Message, SendKey, Target, Text

    with server() as base, folder() as path:
        async with engine(path, base) as yz:
            adapter = await yz.adapter("qqbot.main")
            message = Message((Text(TEXT),))
            key = SendKey(1, 1)

            async def one(number: int) -> None:
                target = Target("qqbot.main", "user", f"{number:032X}")
                for part in adapter.compose(message, target):
                    await adapter.send(part, {}, target, key, message)

            await one(0)
            ratios = await _paired(lambda: raw_posts(base, count, _body()), lambda: rate(count, one))
    ratio, detail = ratios
    return [Row("client ÷ raw aiohttp, sends/s", ratio, "≥ 0.6", ratio >= 0.6, detail)]


async def pipeline(count: int) -> list[Row]:
    with server() as base, folder() as path:
        async with engine(path, base) as yz:
            await yz.send(users(1)[0], TEXT)
            start = 1

            async def durable() -> float:
                nonlocal start
                began = time.perf_counter()
                broadcast = await yz.broadcast(users(count, start), TEXT)
                await broadcast.wait()
                start += count
                return count / (time.perf_counter() - began)

            ratio, detail = await _paired(lambda: raw_posts(base, count, _body()), durable)
    return [Row("durable pipeline ÷ raw aiohttp, sends/s", ratio, "≥ 0.35", ratio >= 0.35, detail)]


async def scale(small: int, large: int) -> list[Row]:
    """Cost per delivery at many targets against few, each on a store of its own; memory on the way."""
    costs: dict[int, float] = {}
    memory: dict[int, float] = {}
    with server() as base:
        for count in (small, large):
            with folder() as path:
                async with engine(path, base) as yz:
                    await yz.send(users(1)[0], TEXT)
                    before = _memory()
                    began = time.perf_counter()
                    broadcast = await yz.broadcast(users(count, 1), TEXT)
                    await broadcast.wait()
                    costs[count] = (time.perf_counter() - began) / count
                    memory[count] = _memory() - before
    ratio = costs[large] / costs[small]
    detail = f"peak grew {memory[small]:.0f} MiB at {small:,}, {memory[large]:.0f} MiB at {large:,}"
    return [Row(f"cost per delivery, {large:,} ÷ {small:,} targets", ratio, "≤ 1.2", ratio <= 1.2, detail)]


async def overtaking(count: int, singles: int) -> list[Row]:
    """p99 of a single send while a broadcast runs, against the same when nothing else does."""
    with server() as base, folder() as path:
        async with engine(path, base) as yz:
            await yz.send(users(1)[0], TEXT)
            idle = await _singles(yz, singles, 10_000_000)
            broadcast = await yz.broadcast(users(count, 1), TEXT)
            await asyncio.sleep(0.2)
            busy = await _singles(yz, singles, 20_000_000, broadcast)
            await broadcast.wait()
    ratio = _p99(busy) / _p99(idle)
    detail = f"p50 {statistics.median(busy) / statistics.median(idle):.1f}×, {len(busy)} singles while it ran"
    return [Row(f"p99 of a single send during a broadcast of {count:,} ÷ idle", ratio, "≤ 3", ratio <= 3, detail)]


async def _singles(yz: Any, count: int, start: int, while_running: Any = None) -> list[float]:
    times = []
    for target in users(count, start):
        if while_running is not None:
            from yizhan.model import State

            if not (await while_running.counts()).get(State.QUEUED):
                break
        began = time.perf_counter()
        await yz.send(target, TEXT)
        times.append(time.perf_counter() - began)
    return times


def _p99(times: list[float]) -> float:
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]


async def _paired(raw: Any, ours: Any, rounds: int = 5) -> tuple[float, str]:
    """Measure both in turn and return the median of the ratios: noise hits both alike."""
    await raw()
    await ours()
    pairs = [(await raw(), await ours()) for _ in range(rounds)]
    ratios = sorted(our / base for base, our in pairs)
    return statistics.median(ratios), f"of {rounds} pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}"


def _body() -> bytes:
    return b'{"msg_type":0,"content":"%s"}' % TEXT.encode()


def _memory() -> float:
    """The most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
