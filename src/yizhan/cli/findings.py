"""Results of checks, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from yizhan.cli.output import Output

if TYPE_CHECKING:
    from yizhan.platforms.base import Finding


def show_findings(out: Output, findings: Sequence[Finding], about: str = "") -> int:
    """Show findings to people and return how many are not fine."""
    for finding in findings:
        mark = "ok  " if finding.ok else "FAIL"
        out.line(
            f"{mark}  {about + ': ' if about else ''}{finding.what}" + (f": {finding.detail}" if finding.detail else "")
        )
        if not finding.ok and finding.remedy:
            out.line(f"      → {finding.remedy}")
    return sum(1 for finding in findings if not finding.ok)
