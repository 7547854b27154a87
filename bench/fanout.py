"""Upload once against upload per target: one file to many, through the sandbox in a process of its own."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.common import Row, engine, folder, server

ONE_BY_ONE = 20
"""Targets that get an upload of their own, to see what that costs."""


async def fan_out(targets: int, size: int, rounds: int = 3) -> list[Row]:
    """Wall time of a broadcast with its upload ÷ the same sends with a ready handle; and what re-uploading costs."""
    from yizhan.model import File

    with server("yizhan.sandbox", "--port", "0") as base, folder() as path:
        people = await _people(base, 1 + targets * 2 * rounds + ONE_BY_ONE)
        async with engine(path, base) as yz:
            # Token, connections and imports are not measured.
            await yz.send(people.pop(), "hello")
            pairs = []
            for number in range(rounds):
                paper = _paper(path, size, number)
                with_upload = await _broadcast(yz, File(paper), [people.pop() for _ in range(targets)])
                ready = await _broadcast(yz, File(paper), [people.pop() for _ in range(targets)])
                pairs.append((with_upload, ready))
            uploads = yz.handles.tallies["qqbot.main"].uploads / rounds
            again = 0.0
            for number, target in enumerate(people):
                again += await _broadcast(yz, File(_paper(path, size, rounds + number)), [target])
    ratios = sorted(with_upload / ready for with_upload, ready in pairs)
    ratio = statistics.median(ratios)
    once = statistics.median(with_upload for with_upload, _ in pairs)
    each = again / ONE_BY_ONE * targets
    return [
        Row(
            f"one {size >> 20} MiB file to {targets:,}: with upload ÷ ready handle",
            ratio,
            "≤ 1.3",
            ratio <= 1.3,
            f"of {rounds} pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}",
        ),
        Row("uploads per scope", uploads, "1", uploads == 1),
        Row("uploading for every target ÷ uploading once, wall time", each / once, "> 5", each > 5 * once),
    ]


def _paper(path: Path, size: int, number: int) -> Path:
    """A file of `size` bytes, every number another."""
    paper = path / f"{number}.bin"
    paper.write_bytes(b"%PDF-1.4\n" + bytes([number]) * 256 + bytes(range(256)) * (size // 256 - 2))
    return paper


async def _broadcast(yz: Any, segment: Any, targets: list[str]) -> float:
    began = time.perf_counter()
    await (await yz.broadcast(targets, segment)).wait()
    return time.perf_counter() - began


async def _people(base: str, count: int) -> list[str]:
    async with aiohttp.ClientSession(base) as session:
        await session.post("/_sandbox/rules", json={"platform": "qqbot", "limits": False})
        wanted = {"platform": "qqbot", "kind": "user", "count": count}
        async with session.post("/_sandbox/people", json=wanted) as response:
            answer = await response.json()
    return [f"qqbot.main/user/{person}" for person in answer["ids"]]
