"""A limit on the log lines about invalid requests, which any peer can cause."""
from __future__ import annotations

from typing import TYPE_CHECKING

from gworkers.hubs.guard import hub_callback

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub
    from gworkers.logs.queue import LogQueue

#: Lines that are logged in one interval; further ones are counted.
LINES = 100
#: Seconds.
INTERVAL = 10.0


class InvalidRequestLog:
    """Logs what clients did wrong, at most :data:`LINES` lines in :data:`INTERVAL` seconds.

    :param hub: calls at the end of an interval
    :param log: where the lines go
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._count = 0
        self._running = False

    def report(self, peer: str, error: object) -> None:
        """Log that *peer* sent something invalid, unless too many lines have been logged already."""
        if not self._running:
            self._hub.call_later(INTERVAL, self._end_interval)
            self._running = True
        self._count += 1
        if self._count <= LINES:
            self.log.warning("Invalid request from ip=%s: %s", peer, error)

    def recover(self) -> None:
        """Begin a new interval."""
        self._running = False
        self._count = 0

    @hub_callback
    def _end_interval(self) -> None:
        omitted = self._count - LINES
        self.recover()
        if omitted > 0:
            self.log.warning("%s more invalid requests in the last %.0f seconds were not logged.", omitted, INTERVAL)
