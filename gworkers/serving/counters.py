"""The counters of a worker.

The code that serves a request adds to them directly, because a call would cost more than the addition.
"""
from __future__ import annotations

#: The number of binary exponents that are counted: from -32 to 31.
EXPONENTS = 64


class Counters:
    """The counters of one worker. They only grow."""

    __slots__ = ("bytes_in", "bytes_out", "connections_refused", "hub_seconds", "request_seconds", "request_times",
                 "statuses")

    def __init__(self) -> None:
        #: the requests by the status of the response; 0 if there was none
        self.statuses = [0] * 1000
        #: the requests that a greenlet has served by duration: by the exponent of ``math.frexp(seconds)``. Negative
        #: exponents count from the end of the list.
        self.request_times = [0] * EXPONENTS
        #: the sum of these durations
        self.request_seconds = 0.0
        #: the time that the greenlets of requests have run, in contrast to their waits
        self.hub_seconds = 0.0
        #: bytes that were received from clients and sent to them, except on sockets that applications have taken over
        self.bytes_in = 0
        self.bytes_out = 0
        #: connections that were closed to make room for others
        self.connections_refused = 0
