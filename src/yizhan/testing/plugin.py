"""The pytest plugin: the fixture `sandbox`, the marker with its options, and its requests beside a failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from yizhan.testing.running import RunningSandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("yizhan").addoption(
        "--conform",
        default="",
        metavar="PLATFORMS",
        help="platforms that yizhan.testing.conformance tests, several with commas; by default all that are registered",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "sandbox(**options): how the fixture `sandbox` is started, such as manual_logins=True, world_file=…",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the requests to the sandbox beside a failure."""
    report = yield
    seen = getattr(getattr(item, "funcargs", {}).get("sandbox"), "seen", None)
    if seen is not None and report.when == "call" and report.failed:
        report.sections.append(("Requests to the sandbox", seen()))
    return report


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """A sandbox of its own for every test, in the same process, on a free loopback port."""
    from yizhan.testing.running import RunningSandbox

    marker = request.node.get_closest_marker("sandbox")
    with RunningSandbox(**(marker.kwargs if marker is not None else {})) as running:
        yield running
