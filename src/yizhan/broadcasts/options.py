"""How a broadcast runs: its pace, its hours, and when it pauses by itself. Plain values."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from yizhan.errors import Refused

DEFAULT_LATE = 3600.0
"""Seconds after its time within which a scheduled broadcast still starts by itself."""

_Hour = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """Hours of the day in which nothing leaves: `{"zone": "Asia/Shanghai", "from": "22:00", "to": "08:00"}`."""

    start: _Hour
    end: _Hour
    zone: str = "Asia/Shanghai"

    def until(self, now: float) -> float | None:
        """Return when the quiet hours around `now` end; None outside of them. Both in seconds since the epoch."""
        zone = zone_named(self.zone)
        local = datetime.fromtimestamp(now, UTC).astimezone(zone)
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        clock = local.time().replace(tzinfo=None)
        if start <= end:
            inside, tomorrow = start <= clock < end, False
        else:
            inside, tomorrow = clock >= start or clock < end, clock >= start
        if not inside:
            return None
        day = local.date() + timedelta(days=1) if tomorrow else local.date()
        return datetime.combine(day, end, zone).timestamp()


class PauseAfter(Struct, frozen=True, forbid_unknown_fields=True):
    """When too much fails. Whichever limit is reached first pauses the broadcast."""

    failed_percent: Annotated[float, Meta(gt=0, le=100)] = 5.0
    """Of those that have ended."""
    of_at_least: Annotated[int, Meta(ge=1)] = 50
    """How many must have ended before the percentage counts."""
    in_a_row: Annotated[int, Meta(ge=1)] = 20

    def reached(self, failed: int, ended: int, failed_in_a_row: int) -> str:
        """Return what was reached, in words; empty if nothing."""
        if failed_in_a_row >= self.in_a_row:
            return f"{failed_in_a_row} failed in a row"
        if ended >= self.of_at_least and failed * 100 >= self.failed_percent * ended:
            return f"{failed} of {ended} failed ({failed * 100 / ended:.0f} %, the limit is {self.failed_percent:g} %)"
        return ""


class BroadcastOptions(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a broadcast runs. Times in seconds since the epoch."""

    stop_at: float | None = None
    """Recipients that have not been begun then expire."""
    quiet: QuietHours | None = None
    late: Literal["send", "ask"] | Annotated[float, Meta(ge=0)] = DEFAULT_LATE
    """A scheduled start that was missed by more seconds than this pauses and waits for a person."""
    per_minute: Annotated[int, Meta(ge=1)] | None = None
    """Sends a minute for each account, below the platform's own limits."""
    pause_after: PauseAfter | None = None
    """None: it does not pause because of errors."""

    @property
    def unrestricted(self) -> bool:
        """Whether deliveries may leave as soon as the platform allows."""
        return self.quiet is None and self.per_minute is None

    def too_late(self, start_at: float, now: float) -> bool:
        if isinstance(self.late, str):
            return self.late == "ask" and now > start_at + 1
        return now > start_at + self.late


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"There is no time zone '{name}'. Use a name such as Asia/Shanghai or UTC.") from None
