"""A queue of log records, which one greenlet passes to Gunicorn's logger.

Log handlers and filters belong to the application. They may raise exceptions, wait or hang. Such a
handler must not stop the hub or a request. So the server does not call the logger directly. It puts
records into this queue, and one greenlet, which may wait, passes them on. A faulty handler can lose
log records, but has no other effect on the server.
"""
from __future__ import annotations

import logging
import sys
from collections import deque
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Callable

from greenlet import GreenletExit

from gworkers.hubs.base import Greenlet, Hub
from gworkers.hubs.guard import hub_callback
from gworkers.logs.loss_counter import LossCounter

#: Maximum number of records in the queue. Further ones are dropped.
LIMIT = 2000
#: Seconds that the greenlet may run before it yields.
TIME_SLICE = 0.01

Record = tuple[Context, Callable[..., object], tuple[Any, ...], dict[str, Any]]


class LogQueue:
    """Replaces Gunicorn's logger. Its methods never raise and never wait.

    Each record is passed on in a copy of the context that created it, so that filters see the context
    variables of the request.

    :param hub: runs the greenlet
    :param logger: Gunicorn's logger, of any class
    :param ends_process: returns whether an exception must end this process
    """

    def __init__(self, hub: Hub, logger: Any, ends_process: Callable[[BaseException], bool]) -> None:
        self._hub = hub
        self._logger = logger
        self.ends_process = ends_process
        self._records: deque[Record] = deque()
        self._greenlet: Greenlet | None = None
        self._scheduled = False
        #: true while the greenlet passes on a record, so also while a handler waits or hangs
        self.busy = False
        #: called each time the queue becomes empty
        self.on_empty: Callable[[], None] | None = None
        #: the number of records that have left the queue
        self._passed_on = 0
        #: records that were dropped because the queue was full, and records whose handler raised an exception
        self._dropped, self._failed = LossCounter(), LossCounter()
        self._last_error = "none"

    @property
    def log(self) -> LogQueue:
        """This queue: :class:`gworkers.hubs.guard.Recoverable` requires the attribute."""
        return self

    @property
    def has_debug(self) -> bool:
        """Whether the log level includes debug."""
        return bool(self._logger.loglevel <= logging.DEBUG)

    def debug(self, message: str, *args: object) -> None:
        """Log details for developers. It is cheap unless the level is debug."""
        if self.has_debug:
            self.enqueue(self._logger.debug, message, *args)

    def info(self, message: str, *args: object) -> None:
        """Log an event."""
        self.enqueue(self._logger.info, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """Log a possible problem."""
        self.enqueue(self._logger.warning, message, *args)

    def error(self, message: str, *args: object) -> None:
        """Log a failure."""
        self.enqueue(self._logger.error, message, *args)

    def exception(self, message: str, *args: object) -> None:
        """Log a failure with the traceback of the exception that is being handled."""
        self.enqueue(self._logger.exception, message, *args, exc_info=sys.exc_info()[1] or True)

    def failure(self, owner: str, error: BaseException) -> None:
        """Log *error*, an exception in a hub callback from which *owner* has recovered."""
        try:
            self.enqueue(self._logger.error, "Exception in the server core (%s)", owner, exc_info=error)
        except BaseException:
            # Out of memory, most likely.
            self._failed.add()

    def enqueue(self, function: Callable[..., object], *args: Any, **named: Any) -> None:
        """Call *function*, a method of the logger, in the greenlet. The call is dropped if the queue is full."""
        if len(self._records) >= LIMIT:
            self._dropped.add()
            return
        self.enqueue_always(function, *args, **named)

    def enqueue_always(self, function: Callable[..., object], *args: Any, **named: Any) -> None:
        """Call *function* in the greenlet, even if the queue is full."""
        self._records.append((copy_context(), function, args, named))
        self._schedule()

    @property
    def pending(self) -> bool:
        """Whether the queue holds records, or one is being passed on."""
        return self.busy or bool(self._records)

    def clear(self) -> None:
        """Remove all records. Used in a forked process, where they belong to the parent."""
        self._records.clear()

    def next_step(self) -> object:
        """Return the number of the next record; None if the queue is empty or a record is being passed on.

        The self-check compares two results: the same number twice means that the queue is stuck.
        """
        return None if self.busy or not self._records else self._passed_on + 1

    def recover(self) -> None:
        """Schedule the greenlet again if the queue holds records."""
        self._scheduled = False
        if self._records:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self.busy:
            self._hub.call_soon(self._resume)
            self._scheduled = True

    @hub_callback
    def _resume(self) -> None:
        self._scheduled = False
        if self.busy:
            return
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = self._hub.create_greenlet(self._run)
        self._greenlet.switch()

    def _run(self) -> None:
        while True:
            self.busy = True
            try:
                self._pass_on()
            finally:
                self.busy = False
            if self.on_empty is not None:
                self.on_empty()
            try:
                self._hub.park()
            except GreenletExit:
                return
            except BaseException as error:
                # For example a gevent.Timeout that a handler has started and not cancelled.
                if self.ends_process(error):
                    raise

    def _pass_on(self) -> None:
        slice_end = monotonic() + TIME_SLICE
        while self._records:
            context, function, args, named = self._records.popleft()
            self._passed_on += 1
            try:
                context.run(function, *args, **named)
                if monotonic() > slice_end:
                    self._hub.yield_to_ready()
                    slice_end = monotonic() + TIME_SLICE
            except BaseException as error:
                if self.ends_process(error):
                    raise
                self._failed.add()
                self._last_error = f"{type(error).__name__}: {error}"
            # Release the references: a traceback keeps its frames alive.
            del context, function, args, named
            self._report(self._dropped, "the log handlers are slower than the worker")
            self._report(self._failed, "a log handler raised an exception")

    def _report(self, lost: LossCounter, reason: str) -> None:
        count = lost.take_if_due()
        if not count:
            return
        try:
            self._logger.error("Log records were lost: %s, because %s (last exception: %s). "
                               "Check the log handlers.",
                               count, reason, self._last_error)
        except BaseException as error:
            if self.ends_process(error):
                raise
            # Try again with the next report.
            lost.add(count)
