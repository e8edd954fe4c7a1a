"""The release of a client before its request has ended: it has waited too long, or it has left.

The request is logged and counted as if it had ended. Its greenlet may run on; what it still writes is discarded.
"""
from __future__ import annotations

from math import frexp
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.http1.response import Response
    from gworkers.serving.connection import Connection


def release_late(connection: Connection, response: Response) -> None:
    """Respond with 504 to a request that takes too long, or reset its connection if a response has begun."""
    begun = response.headers_sent
    if not begun:
        response.status, response.status_code, response.headers = "504 Gateway Timeout", 504, []
    _release(connection, response)
    if begun:
        connection.reset()
    else:
        connection.send_error(504, "Gateway Timeout", "The request took too long.")


def release_gone(connection: Connection) -> None:
    """Close the connection of a client that has left."""
    response = connection.response
    if response is not None:
        if not response.headers_sent:
            response.status, response.status_code = "499 Client Closed Request", 499
        _release(connection, response)
        connection.close()


def _release(connection: Connection, response: Response) -> None:
    """Separate a request that still runs from its connection."""
    server = connection.server
    connection.released = True
    server.released.add(connection)
    elapsed = monotonic() - response.started
    counters = server.counters
    counters.request_seconds += elapsed
    counters.request_times[frexp(elapsed)[1]] += 1
    counters.statuses[response.status_code] += 1
    if server.access is not None and response.environ:
        # Not negative if the application has replaced the trace function before this wait.
        if server.measures_hub_time and connection.waited < 0:
            response.hub_time = -(connection.waited + response.started)
        server.access.record(response, response.req, response.environ, elapsed)
    response.discard_output()
    response.req.body.end()
