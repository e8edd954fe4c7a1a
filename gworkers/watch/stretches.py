"""How long requests hold the hub: exact times from the switches of greenlets, by request path.

A *stretch* is the time from the moment a greenlet begins to run until it yields to the hub, or until the request ends.
"""
from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import greenlet

if TYPE_CHECKING:
    from gworkers.hubs.base import Greenlet
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server

#: The most paths that are measured one by one.
PATHS = 1000
#: Stands for further paths, and for greenlets that serve no request, including those that a request has started.
OTHER_PATHS, OUTSIDE = "(other paths)", "(outside of requests)"


class HubUse:
    """How the requests of one path have held the hub."""

    __slots__ = ("longest", "requests", "seconds")

    def __init__(self) -> None:
        self.requests = 0
        self.seconds = self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Add one stretch."""
        self.seconds += seconds
        if seconds > self.longest:
            self.longest = seconds


class Stretches:
    """Measures the stretches of one server from :meth:`start` on.

    :param server: the server
    :param hub_greenlet: the greenlet of the hub
    """

    def __init__(self, server: Server, hub_greenlet: object) -> None:
        self._server = server
        self._hub_greenlet = hub_greenlet
        self._active = cast("dict[Greenlet, Connection]", server.greenlets.active)
        self._application = server.application
        self._previous: Any = None
        self._since = 0.0
        self._name = ""
        self._use: HubUse | None = None
        self._outside = HubUse()
        self._stopped = False
        #: whether the measurement has begun
        self.started = False
        self.paths: dict[str, HubUse] = {}

    def start(self) -> None:
        """Begin. Call this in the hub's thread, in a greenlet that serves no request."""
        if self._stopped or not getattr(greenlet, "GREENLET_USE_TRACING", False):
            return
        for connection in self._active.values():
            if connection.response is not None:
                self._use_of(_name_of(connection)).requests += 1
        self._application, self._server.application = self._server.application, self._call
        self._previous = greenlet.gettrace()
        self._since = monotonic()
        greenlet.settrace(self._trace)
        self.started = True

    def stop(self) -> None:
        """Let the next switch end the measurement. Any thread may call this."""
        self._stopped = True

    def current_request(self) -> str:
        """Return the name of the request that runs. Any thread may call this while one runs."""
        if self._name:
            return self._name
        for each, connection in list(self._active.items()):
            # Only the greenlet that runs has no frame.
            if getattr(each, "gr_frame", None) is None and not each.dead and connection.response is not None:
                return _name_of(connection)
        return OTHER_PATHS

    def result(self) -> list[list[Any]]:
        """Return name, requests, seconds and longest stretch of each path."""
        return [[name, use.requests, use.seconds, use.longest]
                for name, use in [*self.paths.items(), (OUTSIDE, self._outside)]]

    def _use_of(self, name: str) -> HubUse:
        use = self.paths.get(name)
        if use is None:
            if len(self.paths) >= PATHS:
                name = OTHER_PATHS
            use = self.paths.setdefault(name, HubUse())
        return use

    def _call(self, environ: Any, start_response: Any) -> Any:
        """Stands for the application, to see where a request begins."""
        if self._use is not None:
            # The greenlet has served another request before this one, without a switch.
            now = monotonic()
            self._use.add(now - self._since)
            self._since = now
        connection = self._active.get(greenlet.getcurrent())
        if connection is not None and connection.response is not None:
            self._name = _name_of(connection)
            self._use = self._use_of(self._name)
            self._use.requests += 1
        return self._application(environ, start_response)

    def _trace(self, event: Any, greenlets: Any) -> None:
        origin, target = greenlets
        now = monotonic()
        if self._use is not None:
            self._use.add(now - self._since)
        elif origin is not self._hub_greenlet:
            self._outside.add(now - self._since)
        self._since = now
        connection = self._active.get(target)
        if connection is not None and connection.response is not None:
            self._name = _name_of(connection)
            self._use = self._use_of(self._name)
        else:
            self._name, self._use = "", None
        if self._previous is not None:
            self._previous(event, greenlets)
        if self._stopped:
            self._end()

    def _end(self) -> None:
        # Another trace function, or another application, that was installed meanwhile calls this one.
        if greenlet.gettrace() == self._trace:
            greenlet.settrace(self._previous)
        if self._server.application == self._call:
            self._server.application = self._application
        self._name, self._use = "", None


def _name_of(connection: Connection) -> str:
    response = connection.response
    return "" if response is None else f"{response.req.method} {response.req.path}"
