"""How long requests hold the hub: exact times from the switches of greenlets, by request path.

A *stretch* is the time from the moment a greenlet begins to run until it yields to the hub, or until the request ends.
"""
from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, cast

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

    __slots__ = ("longest", "path", "requests", "seconds")

    def __init__(self, path: str) -> None:
        self.path = path
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
        self._outside = HubUse(OUTSIDE)
        #: by the path of the request, and by PATH_INFO
        self._uses: dict[str, HubUse] = {}
        self._current: Callable[[], HubUse | None] = lambda: None
        self._stopped = False
        #: whether the measurement has begun
        self.started = False

    def start(self) -> None:
        """Begin. Call this in the hub's thread, in a greenlet that serves no request."""
        if self._stopped or not getattr(greenlet, "GREENLET_USE_TRACING", False):
            return
        for connection in self._active.values():
            use = self._use_of(connection)
            if use is not None:
                use.requests += 1
        self._install()
        self.started = True

    def stop(self) -> None:
        """Let the next switch end the measurement. Any thread may call this."""
        self._stopped = True

    def current_path(self) -> str:
        """Return the path of the request that runs; empty if it is not known. Any thread may call this."""
        use = self._current()
        return "" if use is None else use.path

    def result(self) -> list[list[Any]]:
        """Return path, requests, seconds and longest stretch of each path."""
        return [[use.path, use.requests, use.seconds, use.longest]
                for use in {id(use): use for use in [*self._uses.values(), self._outside]}.values()]

    def _use_of(self, connection: Connection) -> HubUse | None:
        response = connection.response
        return None if response is None else self._uses.get(response.req.path) or self._new_use(response.req.path)

    def _new_use(self, path: str) -> HubUse:
        path = OTHER_PATHS if len(self._uses) >= PATHS else path
        return self._uses.setdefault(path, HubUse(path))

    def _install(self) -> None:
        """Install a trace function, and a function in place of the application.

        They are called for each switch and each request, so they have no attributes to look up.
        """
        server, hub_greenlet, outside = self._server, self._hub_greenlet, self._outside
        application, previous = server.application, greenlet.gettrace()
        connection_of, use_of, known = self._active.get, self._use_of, self._uses.get
        current_greenlet = greenlet.getcurrent
        since = monotonic()
        use: HubUse | None = None

        def call(environ: Any, start_response: Any) -> Any:
            nonlocal since, use
            if use is not None:
                # The greenlet has served another request before this one, without a switch.
                now = monotonic()
                took = now - since
                use.seconds += took
                if took > use.longest:
                    use.longest = took
                since = now
            use = known(environ["PATH_INFO"])
            if use is None:
                connection = connection_of(current_greenlet())
                use = None if connection is None else use_of(connection)
                if use is not None and use.path != OTHER_PATHS:
                    self._uses[environ["PATH_INFO"]] = use
            if use is not None:
                use.requests += 1
            return application(environ, start_response)

        def trace(event: Any, greenlets: Any) -> None:
            nonlocal since, use
            now = monotonic()
            took = now - since
            since = now
            if use is not None:
                use.seconds += took
                if took > use.longest:
                    use.longest = took
                use = None
            elif greenlets[0] is not hub_greenlet:
                outside.add(took)
            connection = connection_of(greenlets[1])
            if connection is not None:
                # Not PATH_INFO, which an application may change.
                use = use_of(connection)
            if previous is not None:
                previous(event, greenlets)
            if self._stopped:
                use = None
                # Another function that was installed meanwhile stays, and calls this one.
                if greenlet.gettrace() is trace:
                    greenlet.settrace(previous)
                if server.application is call:
                    server.application = application

        self._current = lambda: use
        greenlet.settrace(trace)
        server.application = call
