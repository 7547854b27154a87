"""Limits of a send: windows of answers, quotas of active messages, the rate of the call. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from yizhan.model import Message, Target
from yizhan.platforms.adapter import Limit
from yizhan.platforms.qqbot.convert.stream import continues_stream
from yizhan.platforms.qqbot.wire import SCENES, SEND_TO_CHANNEL, SEND_TO_DM, STREAM_TO_USER
from yizhan.platforms.qqbot.wire.quotas import PERIODS, active, passive
from yizhan.platforms.rules import Rules

_CALLS = {
    **{name: scene.send.name for name, scene in SCENES.items()},
    "channel": SEND_TO_CHANNEL.name,
    "dm": SEND_TO_DM.name,
}


def limits(message: Message, target: Target, rules: Rules) -> list[Limit]:
    """Return the limits under which each part of `message` is sent to `target`; none while the rules are lifted."""
    if not rules.limited:
        return []
    margin = float(rules["active.margin_seconds"])
    if continues_stream(message):
        return _rate(STREAM_TO_USER.name, margin, rules)
    found = [_window(message.reply.at, target, rules)] if message.reply is not None else []
    for group in active(target.kind) if message.reply is None else passive(target.kind):
        found += _quotas(group, margin, rules)
    return found + _rate(_CALLS[target.kind], margin, rules)


def _window(at: float, target: Target, rules: Rules) -> Limit:
    name = f"passive.{target.kind}"
    seconds = rules.number(f"{name}.seconds")
    count = rules.number(f"{name}.count")
    # The window of an answer does not open again.
    until = at + seconds if at else None
    return Limit(name, "reply", name, count or 1_000_000, None, at, until, "fail")


def _quotas(group: str, margin: float, rules: Rules) -> Iterator[Limit]:
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


def _rate(call: str, margin: float, rules: Rules) -> list[Limit]:
    name = f"rates.{call}"
    count = rules.number(name)
    return [Limit(name, "account", name, count, 1.0 + margin)] if count else []
