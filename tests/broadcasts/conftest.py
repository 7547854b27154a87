"""The engine, network and clock of the tests of sending."""

from __future__ import annotations

from tests.sending.conftest import engine, network
from tests.sending.test_windows import clock

__all__ = ["clock", "engine", "network"]
