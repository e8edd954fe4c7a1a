"""Hub time: how long the greenlet of a request has run, in contrast to the time that it has waited.

While a greenlet runs, it holds the hub: no other request of the worker is served. The greenlet library reports each
switch, so a request that never waits costs nothing here. Greenlets that a request starts do not count.
"""
from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gworkers.hubs.base import Greenlet
    from gworkers.serving.greenlets import RequestHandler


def measure(active: Mapping[Greenlet, RequestHandler]) -> bool:
    """Add up ``waited`` of the connections in *active* from now on, in this native thread.

    While a greenlet waits, ``waited`` is negative, because the time at which the wait has begun is subtracted. The
    time at which it ends is added then. So ``waited + now`` is the sum during a wait.

    A trace function that is installed already is still called.

    :param active: the connections whose requests are being served, by greenlet
    :returns: false if this build of greenlet does not report switches
    """
    if not getattr(greenlet, "GREENLET_USE_TRACING", False):
        return False
    connection_of = active.get
    previous = greenlet.gettrace()

    def trace(event: Any, greenlets: Any) -> None:
        origin, target = greenlets
        connection = connection_of(origin)
        if connection is not None:
            connection.waited -= monotonic()
        connection = connection_of(target)
        if connection is not None:
            connection.waited += monotonic()

    def trace_for_both(event: Any, greenlets: Any) -> None:
        trace(event, greenlets)
        previous(event, greenlets)

    greenlet.settrace(trace if previous is None else trace_for_both)
    return True
