"""The greenlets that requests run in, and the context that each request gets."""
from __future__ import annotations

from collections import deque
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import GreenletExit

from gworkers.hubs.base import Greenlet, Hub
from gworkers.hubs.guard import contain, hub_callback

if TYPE_CHECKING:
    from gworkers.logs.queue import LogQueue


class Servant(Protocol):
    """What a request belongs to: a connection."""

    @property
    def log(self) -> LogQueue:
        """Where to report an exception."""

    def serve(self, request: Any) -> None:
        """Serve *request*; runs in a request greenlet."""

    def recover(self) -> None:
        """Called after :meth:`serve` was not called, or has raised an exception."""


class RequestGreenlets:
    """Serves each request in a greenlet, in a fresh copy of a context.

    Requests wait until the hub has been through what was ready; then one greenlet after another takes
    from them until none is left. As long as none has to wait for anything that is one greenlet: it
    costs one switch for all, and like work is done together, parsing first, then the application.
    After *time_slice* the hub has its turn again: heartbeat, timers, and what has become ready.

    Creating a greenlet costs many times what resuming one does, so greenlets are used again
    unless *reuse* is false. What a request leaves in context variables goes with its context
    either way; what it leaves in thread-locals stays with its greenlet, as with a thread in a pool.

    :param hub: where the greenlets live
    :param log: where to report what goes wrong
    :param context: what every request starts from, as the worker's start left it
    :param reuse: whether a greenlet serves one request after another
    :param time_slice: seconds
    """

    def __init__(self, hub: Hub, log: LogQueue, context: Context, *, reuse: bool, time_slice: float) -> None:
        self._hub = hub
        self.log = log
        self._context = context
        self._time_slice = time_slice
        self._slice_end = 0.0
        self._body = self._loop if reuse else self._once
        self._requests: deque[tuple[Servant, Any]] = deque()
        self._scheduled = False
        self._idle: list[Greenlet] = []
        self._fewest_idle = 0

    def run(self, connection: Servant, request: Any) -> None:
        """Let *connection* serve *request* in a greenlet, soon."""
        self._requests.append((connection, request))
        if not self._scheduled:
            self._hub.call_soon(self._start)
            self._scheduled = True

    def next(self) -> object:
        """Return the request that is started next, for comparison, or None."""
        return self._requests[0] if self._requests else None

    def recover(self) -> None:
        """Go on with the requests that wait, once the hub had its turn."""
        self._scheduled = False
        if self._requests:
            # Not call_soon, behind which gevent may not look for what has become ready.
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
                self._hub.create_greenlet(self._body).switch(True)
            if monotonic() > self._slice_end:
                self.recover()
                return

    @hub_callback
    def trim(self) -> None:
        """Let greenlets end that nobody has needed since the last call."""
        superfluous = self._idle[:self._fewest_idle]
        del self._idle[:self._fewest_idle]
        for greenlet in superfluous:
            greenlet.switch(False)
        self._fewest_idle = len(self._idle)

    def _loop(self, wanted: bool) -> None:
        me, copy_context, requests = self._hub.current_greenlet(), self._context.copy, self._requests
        while wanted:
            while requests:
                connection, request = requests.popleft()
                try:
                    copy_context().run(connection.serve, request)
                except BaseException as error:
                    contain(connection, error)
                del connection, request
                if monotonic() > self._slice_end:
                    break
            self._idle.append(me)
            wanted = self._rest(me)

    def _rest(self, me: Greenlet) -> bool:
        """Wait until wanted again, or no more; what an earlier request has left running is not for the next one."""
        while True:
            try:
                wanted = self._hub.park()
            except GreenletExit:
                if me in self._idle:
                    self._idle.remove(me)
                return False
            except BaseException:
                # Such as a timeout that was started and never cancelled.
                continue
            if wanted is True or wanted is False:
                return wanted

    def _once(self, wanted: bool) -> None:
        connection, request = self._requests.popleft()
        try:
            self._context.copy().run(connection.serve, request)
        except BaseException as error:
            contain(connection, error)
