"""How much of a log was lost, to be reported now and then instead of each time."""
from __future__ import annotations

from time import monotonic

#: Seconds between two reports.
INTERVAL = 10.0


class LossCounter:
    """Counts losses until a report of them is due."""

    def __init__(self) -> None:
        self._count = 0
        self._due = 0.0

    def add(self, count: int = 1) -> None:
        """Count *count* more."""
        self._count += count

    def take_if_due(self) -> int:
        """Return how many have been counted since the last report, if another one is due; else 0."""
        if not self._count or monotonic() < self._due:
            return 0
        count, self._count, self._due = self._count, 0, monotonic() + INTERVAL
        return count
