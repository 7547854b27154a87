"""Which limits a send counts under: the windows of answers, or the quotas of active messages. From the rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from yizhan.model import Message, Target
from yizhan.platforms.base import Limit
from yizhan.platforms.qqbot.wire.quotas import PERIODS
from yizhan.platforms.rules import Rules


def limits(message: Message, target: Target, rules: Rules) -> list[Limit]:
    """Return the limits under which each part of `message` is sent to `target`; none while the rules are lifted."""
    if not rules.limited:
        return []
    if message.reply is not None:
        return list(_passive(message.reply.at, target, rules))
    return list(_active(target, rules))


def _passive(at: float, target: Target, rules: Rules) -> Iterator[Limit]:
    name = f"passive.{target.kind}"
    seconds = rules.number(f"{name}.seconds")
    count = rules.number(f"{name}.count")
    # An answer that comes too late stays too late: nobody can open its window again.
    until = at + seconds if at else None
    yield Limit(name, "reply", name, count or 1_000_000, None, at, until, "fail")


def _active(target: Target, rules: Rules) -> Iterator[Limit]:
    group = f"active.{target.kind}"
    margin = float(rules["active.margin_seconds"])
    for scope in ("account", "target"):
        for period, seconds in PERIODS:
            count = rules.get(f"{group}.{scope}_{period}", 0)
            if count:
                yield Limit(
                    f"{group}.{scope}_{period}",
                    "account" if scope == "account" else "target",
                    group,
                    int(count),
                    seconds + margin,
                )
