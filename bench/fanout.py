"""Upload once against upload per target: one file to many, through the sandbox in a process of its own."""

from __future__ import annotations

import time
from typing import Any

import aiohttp

from bench.common import Row, engine, folder, server


async def fan_out(targets: int, size: int) -> list[Row]:
    """Wall time of a broadcast with its upload ÷ the same sends with a ready handle; and what re-uploading costs."""
    from yizhan.model import File

    with server("yizhan.sandbox", "--port", "0") as base, folder() as path:
        people = await _people(base, targets * 2 + 20)
        async with engine(path, base) as yz:
            paper = path / "paper.bin"
            paper.write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * (size // 256))
            with_upload = await _broadcast(yz, File(paper), people[:targets])
            ready = await _broadcast(yz, File(paper), people[targets : 2 * targets])
            uploads = yz.shelf.tallies["qqbot.main"].uploads
            again = 0.0
            for number, target in enumerate(people[2 * targets :]):
                other = path / f"{number}.bin"
                other.write_bytes(paper.read_bytes() + bytes([number]))
                again += await _broadcast(yz, File(other), [target])
    ratio = with_upload / ready
    each = again / 20 * targets
    return [
        Row(f"one {size >> 20} MiB file to {targets:,}: with upload ÷ ready handle", ratio, "≤ 1.3", ratio <= 1.3),
        Row("uploads per scope", uploads, "1", uploads == 1),
        Row(
            "uploading for every target ÷ uploading once, wall time", each / with_upload, "> 5", each > 5 * with_upload
        ),
    ]


async def _broadcast(yz: Any, segment: Any, targets: list[str]) -> float:
    began = time.perf_counter()
    await (await yz.broadcast(segment, to=targets)).wait()
    return time.perf_counter() - began


async def _people(base: str, count: int) -> list[str]:
    async with aiohttp.ClientSession(base) as session:
        await session.post("/_sandbox/rules", json={"platform": "qqbot", "limits": False})
        wanted = {"platform": "qqbot", "kind": "user", "count": count}
        async with session.post("/_sandbox/people", json=wanted) as response:
            answer = await response.json()
    return [f"qqbot.main/user/{person}" for person in answer["ids"]]
