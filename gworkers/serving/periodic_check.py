"""A check of connections at intervals, on one timer that runs only while there are any to check."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from gworkers.hubs.guard import contained, hub_callback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server


class PeriodicCheck(ABC):
    """Calls :meth:`_check` with each connection that is due.

    Thousands of connections may be due together, for example when a database stops. After each ``time_slice`` other
    requests have their turn before the rest.

    :param server: the server
    :param interval: seconds between two checks
    """

    def __init__(self, server: Server, interval: float) -> None:
        self._server = server
        self._interval = interval
        self.log = server.log
        self._scheduled = False
        #: the number of turns so far
        self._turns = 0
        #: the connections that the present check has not reached
        self._rest: deque[Connection] = deque()

    @abstractmethod
    def _has_connections(self) -> bool:
        """Whether another check is needed."""

    @abstractmethod
    def _due(self, now: float) -> Iterable[Connection]:
        """Return the connections to check."""

    @abstractmethod
    def _check(self, connection: Connection, now: float) -> None:
        """Check *connection*, whose request may have ended since :meth:`_due`."""

    def _start(self) -> None:
        """Let the hub call the check after the interval, unless it does already."""
        if not self._scheduled:
            self._server.hub.call_later(self._interval, self._turn)
            self._scheduled = True

    def next_step(self) -> object:
        """Return the number of the next turn, or None if there is nothing to check."""
        return self._turns + 1 if self._has_connections() else None

    def recover(self) -> None:
        """Check again after the interval if there is anything to check."""
        self._scheduled = False
        if self._has_connections():
            self._start()

    @hub_callback
    def _turn(self) -> None:
        self._turns += 1
        now = monotonic()
        if not self._rest:
            self._rest.extend(self._due(now))
        while self._rest:
            connection = self._rest.popleft()
            with contained(connection):
                self._check(connection, now)
            if self._rest and monotonic() > now + self._server.time_slice:
                self._server.hub.call_later(0, self._turn)
                return
        self.recover()
