"""The log of invalid requests, with a rate limit, because every peer can cause such lines."""
from __future__ import annotations

from typing import TYPE_CHECKING

from gworkers.hubs.guard import hub_callback

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue

#: Maximum number of lines in one interval. Further ones are counted.
LINES = 100
#: Seconds in one interval.
INTERVAL = 10.0


class InvalidRequestLog:
    """Logs invalid requests, at most :data:`LINES` lines in :data:`INTERVAL` seconds.

    :param hub: provides the timer
    :param log: receives the lines
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._count = 0
        self._running = False

    def report(self, peer: str, error: object) -> None:
        """Log that *peer* sent an invalid request, unless the limit of this interval is reached."""
        if not self._running:
            self._hub.call_later(INTERVAL, self._end_interval)
            self._running = True
        self._count += 1
        if self._count <= LINES:
            self.log.warning("Invalid request from ip=%s: %s", peer, error)

    def recover(self) -> None:
        """Start a new interval."""
        self._running = False
        self._count = 0

    @hub_callback
    def _end_interval(self) -> None:
        omitted = self._count - LINES
        self.recover()
        if omitted > 0:
            self.log.warning("Invalid requests in the last %.0f s that were not logged: %s.", INTERVAL, omitted)
