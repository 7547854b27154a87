"""Results of checks, printed for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yizhan.cli.output import Output

if TYPE_CHECKING:
    from yizhan.platforms.adapter import Finding


class Findings:
    """Shows findings to people one by one, each cause once; `wrong` counts the causes of the failed ones."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._before = ""
        self.wrong = 0

    def show(self, finding: Finding, about: str = "") -> None:
        # Failures with the same cause differ by the trace id of the request.
        cause = "" if finding.ok else f"{about} {re.sub(r'trace [^ ,)]+', '', finding.detail) or finding.what}"
        again = bool(cause) and cause == self._before
        self._before = cause
        self.wrong += bool(cause) and not again
        detail = "for the same reason" if again else finding.detail
        what = f"{about}: {finding.what}" if about else finding.what
        self._out.line(f"{'ok  ' if finding.ok else 'FAIL'}  {what}" + (f": {detail}" if detail else ""))
        if not finding.ok and finding.remedy and not again:
            self._out.line(f"      → {finding.remedy}")
