"""How quotas are named in `rules.toml`: `active.<kind>.<account|target>_<period>`."""

from __future__ import annotations

PERIODS = (("per_second", 1.0), ("per_minute", 60.0), ("per_day", 86400.0), ("per_month", 30 * 86400.0))
"""Names and seconds. The vendor says "month"; thirty days slide instead, so that both ends count alike."""
