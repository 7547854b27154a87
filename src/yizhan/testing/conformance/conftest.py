"""Runs each test once for each chosen platform, and for each of its calls, kinds of target or segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from yizhan.errors import did_you_mean
from yizhan.platforms.spec import Platform, platforms
from yizhan.testing.conformance.samples import SEGMENTS, endpoints_of

Cases = Sequence[Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.fixturenames
    if "platform" not in names:
        return
    chosen = _chosen(metafunc.config.getoption("--conform"))
    if "endpoint" in names:
        metafunc.parametrize(("platform", "endpoint"), _by_endpoint(chosen))
    elif "segment_name" in names:
        metafunc.parametrize(("platform", "kind", "segment_name"), list(_by_segment(chosen)))
    elif "kind" in names:
        metafunc.parametrize(("platform", "kind"), _by_kind(chosen))
    else:
        metafunc.parametrize("platform", [pytest.param(platform, id=platform.name) for platform in chosen])


def _chosen(words: str) -> list[Platform]:
    known = platforms()
    wanted = [name.strip() for name in words.split(",") if name.strip()] or list(known)
    for name in wanted:
        if name not in known:
            raise pytest.UsageError(
                f"--conform: no platform '{name}' is registered under the entry-point group yizhan.platforms."
                f"{did_you_mean(name, known)} Registered: {', '.join(known)}."
            )
    return [known[name] for name in wanted]


def _by_endpoint(chosen: list[Platform]) -> Cases:
    return [
        pytest.param(platform, endpoint, id=f"{platform.name}-{endpoint.name}")
        for platform in chosen
        for endpoint in endpoints_of(platform)
    ]


def _by_kind(chosen: list[Platform]) -> Cases:
    return [
        pytest.param(platform, kind, id=f"{platform.name}-{kind}")
        for platform in chosen
        for kind in platform.capabilities
    ]


def _by_segment(chosen: list[Platform]) -> Iterator[Any]:
    for platform in chosen:
        for kind in platform.capabilities:
            for name in SEGMENTS:
                yield pytest.param(platform, kind, name, id=f"{platform.name}-{kind}-{name}")
