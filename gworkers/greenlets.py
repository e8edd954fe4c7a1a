"""The greenlets that requests run in, and the context that each request gets."""
from __future__ import annotations

from collections import deque
from contextvars import Context
from time import monotonic
from typing import Any, Callable

from greenlet import GreenletExit

from gworkers.hubs.base import Greenlet, Hub


class RequestGreenlets:
    """Runs each task in a greenlet, in a fresh copy of a context.

    Tasks wait until the hub has been through what was ready; then one greenlet after another takes
    from them until none is left. As long as none has to wait for anything that is one greenlet: it
    costs one switch for all, and like work is done together, parsing first, then the application.
    After *time_slice* the hub has its turn again: heartbeat, timers, and what has become ready.

    Creating a greenlet costs many times what resuming one does, so greenlets are used again
    unless *reuse* is false. What a task leaves in context variables goes with its context
    either way; what it leaves in thread-locals stays with its greenlet, as with a thread in a pool.

    :param hub: where the greenlets live
    :param context: what every request starts from, as the worker's start left it
    :param reuse: whether a greenlet serves one request after another
    :param time_slice: seconds
    """

    def __init__(self, hub: Hub, context: Context, *, reuse: bool, time_slice: float) -> None:
        self._hub = hub
        self._context = context
        self._time_slice = time_slice
        self._slice_end = 0.0
        self._body = self._loop if reuse else self._once
        self._tasks: deque[tuple[Callable[[Any], None], object]] = deque()
        self._idle: list[Greenlet] = []
        self._fewest_idle = 0

    def run(self, task: Callable[[Any], None], argument: object) -> None:
        """Call *task* with *argument* in a greenlet, soon."""
        if not self._tasks:
            self._hub.call_soon(self._start)
        self._tasks.append((task, argument))

    def _start(self) -> None:
        self._slice_end = monotonic() + self._time_slice
        while self._tasks:
            if self._idle:
                self._idle.pop().switch(True)
                if len(self._idle) < self._fewest_idle:
                    self._fewest_idle = len(self._idle)
            else:
                self._hub.greenlet(self._body).switch(True)
            if monotonic() > self._slice_end:
                # Not call_soon, behind which gevent may not look for what has become ready.
                self._hub.call_later(0, self._start)
                return

    def trim(self) -> None:
        """Let greenlets end that nobody has needed since the last call."""
        superfluous = self._idle[:self._fewest_idle]
        del self._idle[:self._fewest_idle]
        for greenlet in superfluous:
            greenlet.switch(False)
        self._fewest_idle = len(self._idle)

    def _loop(self, wanted: bool) -> None:
        me, copy_context, tasks = self._hub.current(), self._context.copy, self._tasks
        while wanted:
            while tasks:
                task, argument = tasks.popleft()
                copy_context().run(task, argument)
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
        task, argument = self._tasks.popleft()
        self._context.copy().run(task, argument)
