"""The pauses between failed attempts to boot a worker."""
from __future__ import annotations

from time import monotonic

#: Seconds until the next attempt: after the first failure, and the maximum. Each pause is twice as long as the last.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class BootBackoff:
    """The failed attempts since a worker booted, or since the last reload."""

    def __init__(self) -> None:
        #: The number of failed attempts.
        self.failures = 0
        self._pause = FIRST_PAUSE / 2
        self._next_at = 0.0

    def fail(self) -> float:
        """Count a failed attempt, and return the seconds until the next one."""
        self.failures += 1
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._next_at = monotonic() + self._pause
        return self._pause

    def is_due(self) -> bool:
        """Whether the pause is over."""
        return monotonic() >= self._next_at

    def includes(self, born: float) -> bool:
        """Whether a worker that was forked at *born* belongs to the attempt that has not been counted yet."""
        return born >= self._next_at
