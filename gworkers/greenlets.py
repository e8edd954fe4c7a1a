"""The greenlets that requests run in, and the context that each request gets."""
from __future__ import annotations

from contextvars import Context
from typing import Any, Callable

from gworkers.hubs.base import Greenlet, Hub


class RequestGreenlets:
    """Runs each task in a greenlet, in a fresh copy of a context.

    Creating a greenlet costs many times what resuming one does, so greenlets are used again
    unless *reuse* is false. What a task leaves in context variables goes with its context
    either way; what it leaves in thread-locals stays with its greenlet, as with a thread in a pool.

    :param hub: where the greenlets live
    :param context: what every request starts from, as the worker's start left it
    :param reuse: whether a greenlet serves one request after another
    """

    def __init__(self, hub: Hub, context: Context, reuse: bool = True) -> None:
        self._hub = hub
        self._context = context
        self._reuse = reuse
        self._idle: list[Greenlet] = []
        self._fewest_idle = 0

    def run(self, task: Callable[[Any], None], argument: object) -> None:
        """Call *task* with *argument* in a greenlet; return when it waits for the first time or ends."""
        if self._idle:
            self._idle.pop().switch((task, argument))
            if len(self._idle) < self._fewest_idle:
                self._fewest_idle = len(self._idle)
        else:
            self._hub.greenlet(self._loop if self._reuse else self._once).switch((task, argument))

    def trim(self) -> None:
        """Let greenlets end that nobody has needed since the last call."""
        for _ in range(self._fewest_idle):
            self._idle.pop().switch(None)
        self._fewest_idle = len(self._idle)

    def _loop(self, work: tuple[Callable[[Any], None], object] | None) -> None:
        me, copy_context, rest, park = self._hub.current(), self._context.copy, self._idle.append, self._hub.park
        while work is not None:
            task, argument = work
            copy_context().run(task, argument)
            rest(me)
            work = park()

    def _once(self, work: tuple[Callable[[Any], None], object]) -> None:
        task, argument = work
        self._context.copy().run(task, argument)
