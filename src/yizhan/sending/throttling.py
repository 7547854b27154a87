"""Throttling without a time: charged to the target first, to the account only when other targets meet it, too."""

from __future__ import annotations

from yizhan.model import Target


class Throttles:
    """Counts refusals for being too fast since something last arrived. One per account."""

    def __init__(self) -> None:
        self._of_delivery: dict[int, int] = {}
        self._targets: set[Target] = set()
        """Targets that were refused since a send to any target succeeded."""

    def count(self, seq: int) -> int:
        """Return how often in a row a delivery was refused."""
        return self._of_delivery.get(seq, 0)

    def refused(self, seq: int, target: Target) -> None:
        self._of_delivery[seq] = self.count(seq) + 1
        self._targets.add(target)

    def others_met(self, target: Target) -> int:
        """Return how many other targets were refused, too, since a send to any target succeeded."""
        return len(self._targets - {target})

    def succeeded(self) -> None:
        """A send arrived: the account as a whole is not too fast."""
        self._targets.clear()

    def forget(self, seq: int) -> None:
        self._of_delivery.pop(seq, None)
