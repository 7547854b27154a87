"""The engine of the end-to-end tests, for commands that are held against it."""

from tests.end_to_end.conftest import engine

__all__ = ["engine"]
