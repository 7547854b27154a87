"""The pace that a broadcast keeps below the platform's own limits."""

from __future__ import annotations

from yizhan.platforms.adapter import Limit


class Paces:
    """Sends a minute for each account, by broadcast."""

    def __init__(self) -> None:
        self._limits: dict[int, tuple[Limit, ...]] = {}

    def set(self, broadcast: int, per_minute: int | None) -> None:
        if pace := pace_of(broadcast, per_minute):
            self._limits[broadcast] = pace
        else:
            self._limits.pop(broadcast, None)

    def of(self, broadcast: int) -> tuple[Limit, ...]:
        return self._limits.get(broadcast, ())


def pace_of(broadcast: int, per_minute: int | None) -> tuple[Limit, ...]:
    """Return the limit that `per_minute` sends a minute come to; nothing without a pace."""
    if per_minute is None:
        return ()
    return (Limit(f"pace of b{broadcast}", "account", f"b{broadcast}", per_minute, 60.0),)
