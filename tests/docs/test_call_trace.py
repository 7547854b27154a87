"""A send enters the files in the order of the drawing on the architecture page, and never climbs back up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from tests.docs.test_architecture import PATH, SOURCE, _tree_and_path
from tests.media.support import picture
from tests.sending.waiting import rested
from yizhan.engine import Engine
from yizhan.model import Image
from yizhan.platforms.spec import platform_named
from yizhan.testing import RunningSandbox

PICTURE = picture("PNG")
TOP = ("engine.py", "supervisor.py")
NOT_ENTERED = {"sending/decide.py", "platforms/adapter.py", "runtime/notifier.py"}
"""Files of the drawing for an error, for a declaration, and for signals that others await before the end as well."""


class Trace:
    """The order in which files are first entered, and calls of the topmost files by files below them."""

    def __init__(self) -> None:
        self.recording = False
        self.entered: dict[str, None] = {}
        self.climbs: list[str] = []

    def record(self, frame: FrameType, event: str, _argument: Any) -> None:
        if not self.recording or event != "call" or (file := _file(frame)) is None:
            return
        self.entered.setdefault(file)
        caller = None if frame.f_back is None else _file(frame.f_back)
        if file in TOP and caller is not None and caller not in TOP:
            self.climbs.append(f"{caller} calls {frame.f_code.co_name} of {file}")


@contextmanager
def profiled(trace: Trace) -> Iterator[None]:
    """Record the calls of this thread and of threads that start in the block."""
    threading.setprofile(trace.record)
    sys.setprofile(trace.record)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@lru_cache
def _file_of(name: str) -> str | None:
    path = Path(name)
    return path.relative_to(SOURCE).as_posix() if path.is_relative_to(SOURCE) else None


def _file(frame: FrameType) -> str | None:
    return _file_of(frame.f_code.co_filename)


async def test_a_send_enters_each_file_in_the_order_of_the_drawing(sandbox: RunningSandbox, tmp_path: Path) -> None:
    drawn = [name for name in dict.fromkeys(PATH.findall(_tree_and_path()[1])) if (SOURCE / name).is_file()]
    trace, (user,) = Trace(), sandbox.users(1)
    with profiled(trace):
        async with await Engine.open(tmp_path) as engine:
            await engine.add_account("qqbot.main", **platform_named("qqbot").sandbox_settings, base_url=sandbox.url)
            # Uploads once and fetches a token, so that the traced send meets neither.
            await engine.send(user, "see", Image(PICTURE))
            await rested(engine, "qqbot.main")
            trace.recording = True
            await engine.send(user, "see", Image(PICTURE))
            trace.recording = False

    entered = [file for file in trace.entered if file in drawn and file not in NOT_ENTERED]
    assert [file for file in drawn if file not in NOT_ENTERED] == entered
    assert [] == trace.climbs
