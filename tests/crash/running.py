"""The child of the crash tests as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from tests.crash.child import End


async def start_child(folder: Path, end: End | None = None) -> asyncio.subprocess.Process:
    """Carry out the plan in `folder`, until it is done or the child is killed at `end`."""
    words = str(folder), msgspec.json.encode(end).decode()
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.crash.child", *words)
