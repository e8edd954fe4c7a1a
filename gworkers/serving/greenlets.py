"""The greenlets that requests run in, and the context of each request."""
from __future__ import annotations

from collections import deque
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import GreenletExit

from gworkers.hubs.base import Greenlet, Hub
from gworkers.hubs.guard import contain, hub_callback
from gworkers.thread_locals import close_connections

if TYPE_CHECKING:
    from gworkers.logs.queue import LogQueue


class RequestHandler(Protocol):
    """Serves requests: a connection."""

    #: see :func:`gworkers.serving.hub_time.measure`
    waited: float

    @property
    def log(self) -> LogQueue:
        """Where to report exceptions."""

    def serve(self, request: Any) -> None:
        """Serve *request*. Called in a request greenlet."""

    def recover(self) -> None:
        """Called if :meth:`serve` could not be called or has raised an exception."""


class RequestGreenlets:
    """Runs each request in a greenlet and in its own copy of a context.

    Requests are queued until the hub has called everything that was ready, so they are parsed together before the
    application is called. Then a greenlet serves one request after the other. When one of them waits, another
    greenlet continues with the rest. So any number of requests that do not wait costs one switch. After *time_slice*
    the hub runs again: the heartbeat, timers, and everything that has become ready.

    A greenlet is used again unless *reuse* is false, because creating one costs many times as much as resuming
    one. Context variables that a request sets are gone with its context. Thread-locals stay with the greenlet, as
    in a thread pool.

    :param hub: the hub
    :param log: where to report exceptions
    :param context: the context to copy for each request
    :param reuse: whether a greenlet serves one request after another
    :param time_slice: seconds
    """

    def __init__(self, hub: Hub, log: LogQueue, context: Context, *, reuse: bool, time_slice: float) -> None:
        self._hub = hub
        self.log = log
        self._context = context
        self._time_slice = time_slice
        self._slice_end = 0.0
        self._run_greenlet = self._loop if reuse else self._once
        self._requests: deque[tuple[RequestHandler, Any]] = deque()
        self._scheduled = False
        #: the connections whose requests are being served, by greenlet
        self.active: dict[Greenlet, RequestHandler] = {}
        self._idle: list[Greenlet] = []
        #: the smallest number of idle greenlets since the last call of :meth:`trim`
        self._fewest_idle = 0

    def run(self, connection: RequestHandler, request: Any) -> None:
        """Let *connection* serve *request* in a greenlet soon."""
        self._requests.append((connection, request))
        if not self._scheduled:
            self._hub.call_soon(self._start)
            self._scheduled = True

    @property
    def count(self) -> int:
        """The number of requests that are served or queued."""
        return len(self.active) + len(self._requests)

    @property
    def queued(self) -> int:
        """The number of requests that no greenlet serves yet."""
        return len(self._requests)

    @property
    def idle(self) -> list[Greenlet]:
        """The greenlets that wait for a request."""
        return list(self._idle)

    @property
    def total(self) -> int:
        """The number of greenlets that serve requests or wait for one."""
        return len(self.active) + len(self._idle)

    def greenlet_of(self, connection: RequestHandler) -> Greenlet | None:
        """Return the greenlet that serves a request of *connection*; None if there is none."""
        return next((greenlet for greenlet, served in self.active.items() if served is connection), None)

    def next_step(self) -> object:
        """Return the request that is started next, or None."""
        return self._requests[0] if self._requests else None

    def recover(self) -> None:
        """Start the queued requests after the hub had its turn."""
        self._scheduled = False
        if self._requests:
            # Not call_soon, which gevent may call before it polls for what has become ready.
            self._hub.call_later(0, self._start)
            self._scheduled = True

    @hub_callback
    def _start(self) -> None:
        self._scheduled = False
        self._slice_end = monotonic() + self._time_slice
        while self._requests:
            if self._idle:
                self._idle.pop().switch(True)
                if len(self._idle) < self._fewest_idle:
                    self._fewest_idle = len(self._idle)
            else:
                self._hub.create_greenlet(self._run_greenlet).switch(True)
            if monotonic() > self._slice_end:
                self.recover()
                return

    @hub_callback
    def trim(self) -> None:
        """End the greenlets that were not needed since the last call."""
        unneeded = self._idle[:self._fewest_idle]
        del self._idle[:self._fewest_idle]
        for greenlet in unneeded:
            greenlet.switch(False)
        self._fewest_idle = len(self._idle)

    def _loop(self, needed: bool) -> None:
        current, copy_context, requests = self._hub.current_greenlet(), self._context.copy, self._requests
        active = self.active
        while needed:
            while requests:
                connection, request = requests.popleft()
                active[current] = connection
                try:
                    copy_context().run(connection.serve, request)
                except BaseException as error:
                    contain(connection, error)
                del connection, request
                if monotonic() > self._slice_end:
                    break
            active.pop(current, None)
            self._idle.append(current)
            needed = self._wait_for_request(current)
        close_connections(self.log)

    def _wait_for_request(self, current: Greenlet) -> bool:
        """Wait for the next request. Exceptions that an earlier request has left behind are ignored.

        :returns: false if the greenlet is to end
        """
        while True:
            try:
                needed = self._hub.park()
            except GreenletExit:
                if current in self._idle:
                    self._idle.remove(current)
                return False
            except BaseException:
                # For example a timeout that an earlier request started and did not cancel.
                continue
            if needed is True or needed is False:
                return needed

    def _once(self, needed: bool) -> None:
        connection, request = self._requests.popleft()
        current = self._hub.current_greenlet()
        self.active[current] = connection
        try:
            self._context.copy().run(connection.serve, request)
        except BaseException as error:
            contain(connection, error)
        finally:
            del self.active[current]
            close_connections(self.log)
