"""Marks the fast tests: those of pure code, without sockets and processes. `make quick` runs them alone.

A test is fast unless its folder, its module's imports or its marks say otherwise. In a run of the fast ones, a test
that opens a socket or starts a process anyway is skipped at that point.
"""

from __future__ import annotations

import re
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

SLOW_FOLDERS = frozenset({"cli", "crash", "docs", "end_to_end", "hostile", "sandbox", "wild"})
SLOW_MARKS = ("slow", "crash", "wild")
USES_SOCKETS = re.compile(
    r"^(from|import) (aiohttp|psutil|subprocess|yizhan\.(testing(?!\.conformance)|sandbox|media\.convert))\b"
    r"|^from yizhan\.media import convert|ConversionPool",
    re.MULTILINE,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_fast(item):
            item.add_marker("fast")


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Not earlier: pytest-xdist starts its workers as processes.
    if item.config.option.markexpr == "fast":
        _forbid_sockets()


def _is_fast(item: pytest.Item) -> bool:
    folders = set(item.path.relative_to(item.config.rootpath).parts[1:])
    if folders & SLOW_FOLDERS or any(item.get_closest_marker(mark) for mark in SLOW_MARKS):
        return False
    return "sandbox" not in getattr(item, "fixturenames", ()) and not _imports_sockets(item.path)


@cache
def _imports_sockets(module: Path) -> bool:
    return bool(USES_SOCKETS.search(module.read_text("utf-8")))


@cache
def _forbid_sockets() -> None:
    for name in ("bind", "connect", "connect_ex"):
        setattr(socket.socket, name, _skipping(getattr(socket.socket, name)))
    subprocess.Popen.__init__ = _skip  # type: ignore[method-assign]


def _skipping(method: Any) -> Any:
    def call(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _skip()
        return method(self, *args)

    return call


def _skip(*_: object, **__: object) -> NoReturn:
    pytest.skip("opens a socket or starts a process")
