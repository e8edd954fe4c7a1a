"""Limits on requests: how long one may take, and how many may run at once.

A request that takes too long is handled in two stages. First its client gets a response, or a reset if a response has
begun, and the request is overdue: its greenlet runs on, and what it still writes is discarded. Only if the
configuration asks for it, an exception is raised in the greenlet: in the middle of a driver's command it could leave a
pooled connection in a state in which the next request gets the rows of this one.
"""
from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from gworkers.errors import RequestTimeout
from gworkers.logs.loss_counter import LossCounter
from gworkers.serving.periodic_check import PeriodicCheck
from gworkers.serving.release import release_late
from gworkers.serving.stacks import stack_of, text

if TYPE_CHECKING:
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server

#: Seconds between two checks, and so the largest delay of a timeout.
TICK = 0.1
#: Seconds after which a client that was refused may try again.
RETRY_AFTER = 1


class RequestLimits(PeriodicCheck):
    """The limits of one server.

    :param server: the server
    :param seconds: ``request_timeout``; 0 for none
    :param cancels: whether :exc:`gworkers.RequestTimeout` is raised in a request that takes too long
    :param max_active: ``max_active_requests``; 0 for no limit
    """

    def __init__(self, server: Server, seconds: float, *, cancels: bool, max_active: int) -> None:
        super().__init__(server, TICK)
        self.seconds = seconds
        self._cancels = cancels
        self.max_active = max_active or inf
        #: when each request with a limit has to end
        self._ends: dict[Connection, float] = {}
        #: the connections of overdue requests, which are closed or closing
        self.overdue: set[Connection] = set()
        #: the number of requests so far that were refused, and of those that took too long
        self.shed = self.timed_out = 0
        self._refused = LossCounter()

    # How long

    def set(self, connection: Connection, seconds: float | None) -> None:
        """Let the request of *connection* end in *seconds* from now at the latest; None for no limit."""
        if seconds is None:
            self._ends.pop(connection, None)
        elif connection not in self.overdue:
            connection.limited = True
            self._ends[connection] = monotonic() + seconds
            self._start()

    def end(self, connection: Connection) -> None:
        """The request of *connection* is over."""
        connection.limited = False
        self._ends.pop(connection, None)
        self.overdue.discard(connection)

    def _has_connections(self) -> bool:
        return bool(self._ends)

    def _due(self, now: float) -> list[Connection]:
        return [connection for connection, end in self._ends.items() if end <= now]

    def _check(self, connection: Connection, now: float) -> None:
        # A request that was cancelled before may have ended this one, or another one has taken its place.
        if self._ends.get(connection, inf) <= now:
            del self._ends[connection]
            self._expire(connection)

    def _expire(self, connection: Connection) -> None:
        response = connection.response
        greenlet = self._server.greenlets.greenlet_of(connection)
        if response is None or greenlet is None or connection.released or connection.taken_over:
            return
        self.timed_out += 1
        self.overdue.add(connection)
        request = response.req
        frame: Any = getattr(greenlet, "gr_frame", None)
        self.log.warning(
            "Request timeout after %.1f s: %s %s from %s. %s The request %s. It waits here:\n%s",
            monotonic() - response.started, request.method, request.path, connection.peer_name,
            "The response had begun, so the connection is reset." if response.headers_sent else "The client gets 504.",
            "is cancelled" if self._cancels else "runs on, and its output is discarded",
            text(stack_of(frame)))
        del frame
        release_late(connection, response)
        if self._cancels:
            greenlet.throw(RequestTimeout("the request has exceeded its time limit"))

    # How many

    def refuse(self, connection: Connection) -> None:
        """Respond with 503 to a request above ``max_active_requests``, without a greenlet."""
        self.shed += 1
        self._server.counters.statuses[503] += 1
        self._refused.add()
        count = self._refused.take_if_due()
        if count:
            self.log.warning("Requests were refused with 503, because max_active_requests (%s) is reached: %s.",
                             self.max_active, count)
        connection.send_error(503, "Service Unavailable", "The server is busy. Try again later.",
                              f"Retry-After: {RETRY_AFTER}\r\n")
