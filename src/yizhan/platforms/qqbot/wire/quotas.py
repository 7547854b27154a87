"""Names of quotas in `rules.toml` (`<group>.<account|target>_<period>`), and the groups in which a message counts."""

from __future__ import annotations

PERIODS = (("per_second", 1.0), ("per_minute", 60.0), ("per_day", 86400.0), ("per_month", 30 * 86400.0))
"""Names and seconds. The vendor says "month"; thirty days slide instead, so that both ends count alike."""


def active(kind: str) -> tuple[str, str]:
    """Return the groups of an active message to a `kind` of target."""
    return f"active.{kind}", f"any.{kind}"


def passive(kind: str) -> tuple[str]:
    """Return the groups of an answer, which also counts against the message that it answers."""
    return (f"any.{kind}",)
