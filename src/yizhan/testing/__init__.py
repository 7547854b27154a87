"""For tests of programs that use yizhan or talk to these platforms: a sandbox in a fixture.

The pytest plugin registers itself; a test that takes `sandbox` gets a `RunningSandbox`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yizhan.testing.running import RunningSandbox

__all__ = ["RunningSandbox"]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin in every run; only tests that want a sandbox should pay for it.
    if name == "RunningSandbox":
        from yizhan.testing.running import RunningSandbox

        return RunningSandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
