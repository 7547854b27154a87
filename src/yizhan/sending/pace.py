"""The pace that a broadcast keeps below the platform's own limits."""

from __future__ import annotations

from yizhan.platforms.adapter import Limit


class Paces:
    """Sends a minute for each account, by broadcast."""

    def __init__(self) -> None:
        self._limits: dict[int, tuple[Limit, ...]] = {}

    def set(self, broadcast: int, per_minute: int | None) -> None:
        if per_minute is None:
            self._limits.pop(broadcast, None)
        else:
            name = f"pace of b{broadcast}"
            self._limits[broadcast] = (Limit(name, "account", f"b{broadcast}", per_minute, 60.0),)

    def of(self, broadcast: int) -> tuple[Limit, ...]:
        return self._limits.get(broadcast, ())
