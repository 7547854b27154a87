"""Times as people type them: a date with a time, a time alone, or a span from now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from yizhan.errors import Refused

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")


def time_at(text: str, now: datetime) -> datetime:
    """Read `2026-12-01T09:00+08:00` (without a zone: this machine's), or `09:00`, the next one after `now`.

    Raises:
        Refused: `text` is neither.
    """
    given = text.strip()
    try:
        if not _CLOCK.fullmatch(given):
            return datetime.fromisoformat(given).astimezone()
        clock = datetime.strptime(given, "%H:%M:%S" if given.count(":") == 2 else "%H:%M")
    except ValueError as error:
        raise Refused(f"--at: '{text}' is no time. Write 2026-12-01T09:00+08:00, or 09:00 for the next one.") from error
    local = now.astimezone()
    today = local.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
    return today if today > local else today + timedelta(days=1)


def time_before(text: str, now: datetime, option: str) -> datetime:
    """Read `2h` (so long before `now`), `09:00` (the last one before `now`), or `2026-12-01T09:00`.

    Raises:
        Refused: `text` is not a time; the error names `option`.
    """
    given = text.strip().lower()
    if _SPAN.fullmatch(given):
        return now - timedelta(seconds=seconds_in(given))
    try:
        at = time_at(text, now)
    except Refused as error:
        raise Refused(f"{option}: '{text}' is no time. Write 2h, 09:00 or 2026-12-01T09:00.") from error
    return at - timedelta(days=1) if _CLOCK.fullmatch(given) and at > now else at


def seconds_in(text: str) -> float:
    """Read `90s`, `30m`, `2h`, `1d` or a sum of them, `1h30m`, as seconds.

    Raises:
        Refused: `text` is not a span.
    """
    given = text.strip().lower()
    if not _SPAN.fullmatch(given):
        raise Refused(f"--in: '{text}' is no length of time. Write 90s, 30m, 2h, 1d or 1h30m.")
    return sum(float(piece[:-1]) * _UNITS[piece[-1]] for piece in re.findall(r"[\d.]+[smhd]", given))
