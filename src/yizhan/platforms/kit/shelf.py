"""Values that are forgotten after a while: uploads, codes, tickets of the sandbox."""

from __future__ import annotations

from typing import Generic, TypeVar

from yizhan.model import Clock

T = TypeVar("T")


class Shelf(Generic[T]):
    """Values by key, each with an end. `most`: the oldest goes when there are more."""

    def __init__(self, clock: Clock, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._held: dict[str, tuple[T, float]] = {}

    def put(self, key: str, value: T, seconds: float = 0.0) -> None:
        """Keep `value` for `seconds`; 0 for ever."""
        self._held.pop(key, None)
        self._held[key] = value, self._clock.now() + seconds if seconds else float("inf")
        if len(self._held) > self._most:
            del self._held[next(iter(self._held))]

    def get(self, key: str) -> T | None:
        """Return the value of `key`; None if there is none, or its time is over."""
        value, ends_at = self._held.get(key, (None, 0.0))
        if ends_at > self._clock.now():
            return value
        self._held.pop(key, None)
        return None

    def clear(self) -> None:
        self._held.clear()

    def __len__(self) -> int:
        return len(self._held)
