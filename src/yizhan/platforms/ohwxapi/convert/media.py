"""The media that the gateway accepts, by the rules: others are converted before `compose` sees them. Pure."""

from __future__ import annotations

from dataclasses import replace

from yizhan.model import Segment, Sticker
from yizhan.platforms.kit.media_rules import MediaRule, rule_of
from yizhan.platforms.rules import Rules

AROUND = 1024
"""Bytes of a frame that are not the media in it: the command, the recipient, the shown name."""


def frame_bytes(rules: Rules) -> int:
    """Return how many bytes of media fit into a frame of the WebSocket: Base64 has four characters for three bytes."""
    return max(1, (rules.number("socket.max_bytes") - AROUND) // 4 * 3)


def media_rule(segment: Segment, rules: Rules, *, over_socket: bool = False) -> MediaRule | None:
    """Return the rule for the media of `segment`; stickers go by their digest, so their bytes stay as they are."""
    rule = None if isinstance(segment, Sticker) else rule_of(segment, rules)
    if rule is None or not over_socket:
        return rule
    most = frame_bytes(rules)
    if rule.max_bytes and rule.max_bytes <= most:
        return rule
    return replace(rule, max_bytes=most, source=f"socket.max_bytes, rules {rules.profile}")
