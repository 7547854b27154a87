"""Limits from `rules.toml`, on both ends: `limit.NAME = { count = 20, seconds = 60, scope = "target" }`.

`send` counts every message, the name of a kind (`image`, `video` …) the messages with such a segment; other names are
counted by the platform itself. `scope` is `account` if it is left out; a count of 0 sets no limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from yizhan.model import Clock, Forward, Message
from yizhan.platforms.rules import Rules

KINDS = frozenset({"text", "image", "video", "voice", "file", "sticker"})


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of sends that are allowed in some time. From `rules.toml`; data, not code.

    `scope` says which sends are counted together: all of the account's in this `group`, those to one target, or the
    answers to one message. `per_seconds`: a sliding window; None counts from `since` on. `until`: after that
    moment nothing may be sent under this limit at all. All times in seconds since the epoch.
    """

    name: str
    scope: Literal["account", "target", "reply"]
    group: str
    count: int
    per_seconds: float | None = None
    since: float = 0.0
    until: float | None = None
    ends: Literal["hold", "fail"] = "hold"
    """The end of a delivery once `until` is past or a count without window is used up: hold it until the other side
    writes again, or fail it (the message it answers is too old)."""


def limit_named(rules: Rules, name: str) -> Limit | None:
    """Return the limit `limit.NAME`; None where the rules are lifted, have none, or allow any number."""
    count = int(rules.get(f"limit.{name}.count", 0))
    if not rules.limited or not count:
        return None
    scope: Literal["account", "target"] = "target" if rules.get(f"limit.{name}.scope") == "target" else "account"
    return Limit(name, scope, name, count, float(rules[f"limit.{name}.seconds"]))


def limits_of(message: Message, rules: Rules) -> list[Limit]:
    """Return the limits of the rules under which each part of `message` is sent."""
    names = ("send", *sorted(set(_kinds(message)) & KINDS))
    return [limit for name in names if (limit := limit_named(rules, name)) is not None]


def length_remedy(rules: Rules) -> str:
    """Return the rule that cures a refusal for length, in words for an error."""
    cut = f"{rules.number('text.max_chars')} characters"
    return (
        f"Texts are cut at {cut} by the rule text.max_chars (profile {rules.profile}). If the text is too long for the "
        "platform, set a smaller one for this account, rules={'text.max_chars': …}."
    )


def _kinds(message: Message) -> Iterator[str]:
    for segment in message.segments:
        # A forwarded picture counts as a picture.
        yield segment.kind if isinstance(segment, Forward) else str(segment.__struct_config__.tag)


class SlidingWindows:
    """The serving end of the limits: counts accepted calls by name of the limit and by account or target."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: dict[tuple[str, str], deque[float]] = {}

    def opens_in(self, limit: Limit, key: str) -> float:
        """Return the seconds until the window of `limit` has room for one more; 0 if it has."""
        times, window, now = self._times.get((limit.name, key)), limit.per_seconds or 0.0, self._clock.now()
        while times and times[0] <= now - window:
            times.popleft()
        return times[-limit.count] + window - now if times and len(times) >= limit.count else 0.0

    def add(self, limit: Limit, key: str) -> None:
        """Count one."""
        self._times.setdefault((limit.name, key), deque()).append(self._clock.now())

    def clear(self) -> None:
        self._times.clear()
