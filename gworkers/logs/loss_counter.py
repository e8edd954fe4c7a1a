"""A counter of lost log records, which are reported at intervals instead of one by one."""
from __future__ import annotations

from time import monotonic

#: Seconds between two reports.
INTERVAL = 10.0


class LossCounter:
    """Counts losses until the next report is due."""

    def __init__(self) -> None:
        self._count = 0
        self._due = 0.0

    def add(self, count: int = 1) -> None:
        """Add *count* losses."""
        self._count += count

    def take_if_due(self) -> int:
        """Return the losses since the last report and reset the count if a report is due; otherwise 0."""
        if not self._count or monotonic() < self._due:
            return 0
        count, self._count, self._due = self._count, 0, monotonic() + INTERVAL
        return count
