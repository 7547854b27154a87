"""The engine of the end-to-end tests, which commands are compared with."""

from tests.end_to_end.conftest import engine

__all__ = ["engine"]
