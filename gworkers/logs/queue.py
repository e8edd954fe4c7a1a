"""Log records on their way to Gunicorn's logger, which one greenlet calls.

Log handlers and filters belong to the application. They may raise, wait or hang. The hub can do
neither, and a request should not. So the serving core calls no logger. It puts records into this
queue, and one greenlet, which may wait, passes them on. A handler that misbehaves costs log records
and nothing else.
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

#: Records that may wait. Further ones are dropped.
LIMIT = 2000
#: Seconds that the greenlet may run before it yields.
TIME_SLICE = 0.01

Record = tuple[Context, Callable[..., object], tuple[Any, ...], dict[str, Any]]


class LogQueue:
    """Stands for Gunicorn's logger. Its methods never raise and never wait.

    Each record is passed on in a copy of the context it was made in, so that filters see the
    request's context variables.

    :param hub: where the greenlet lives
    :param logger: Gunicorn's logger, of whatever class
    :param ends_process: says whether an exception is to end this process
    """

    def __init__(self, hub: Hub, logger: Any, ends_process: Callable[[BaseException], bool]) -> None:
        self._hub = hub
        self._logger = logger
        self.ends_process = ends_process
        self._records: deque[Record] = deque()
        self._greenlet: Greenlet | None = None
        self._scheduled = False
        #: whether the greenlet is passing on a record; for as long as a handler waits or hangs
        self.busy = False
        #: called when the queue has become empty
        self.on_empty: Callable[[], None] | None = None
        #: how many records have left the queue
        self._passed = 0
        #: records that found the queue full, and those on which a handler raised an exception
        self._dropped, self._failed = LossCounter(), LossCounter()
        self._last_error = "none"

    @property
    def log(self) -> LogQueue:
        """Itself, as the guard of hub callbacks wants it."""
        return self

    @property
    def has_debug(self) -> bool:
        """Whether records of the level debug are logged."""
        return bool(self._logger.loglevel <= logging.DEBUG)

    def debug(self, message: str, *args: object) -> None:
        """Log for developers; costs nothing unless the level is debug."""
        if self.has_debug:
            self.enqueue(self._logger.debug, message, *args)

    def info(self, message: str, *args: object) -> None:
        """Log what happened."""
        self.enqueue(self._logger.info, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """Log what should be looked at."""
        self.enqueue(self._logger.warning, message, *args)

    def error(self, message: str, *args: object) -> None:
        """Log what failed."""
        self.enqueue(self._logger.error, message, *args)

    def exception(self, message: str, *args: object) -> None:
        """Log what failed, with the traceback of the exception that is being handled."""
        self.enqueue(self._logger.exception, message, *args, exc_info=sys.exc_info()[1] or True)

    def failure(self, owner: str, error: BaseException) -> None:
        """Log an exception that was contained; *owner* has recovered from it."""
        try:
            self.enqueue(self._logger.error, "Exception in the server core (%s)", owner, exc_info=error)
        except BaseException:
            # No memory is left to say so.
            self._failed.add()

    def enqueue(self, function: Callable[..., object], *args: Any, **named: Any) -> None:
        """Call *function*, something of the logger's, in the greenlet. The call is dropped if too many wait."""
        if len(self._records) >= LIMIT:
            self._dropped.add()
            return
        self.enqueue_always(function, *args, **named)

    def enqueue_always(self, function: Callable[..., object], *args: Any, **named: Any) -> None:
        """Do the same, however many wait."""
        self._records.append((copy_context(), function, args, named))
        self._schedule()

    @property
    def pending(self) -> bool:
        """Whether records wait, or one is being passed on."""
        return self.busy or bool(self._records)

    def clear(self) -> None:
        """Forget all records: in a forked process they are the parent's."""
        self._records.clear()

    def next(self) -> object:
        """Return the number of the next record, for comparison; None if none waits, or if a handler waits or hangs."""
        return None if self.busy or not self._records else self._passed + 1

    def recover(self) -> None:
        """Wake the greenlet again, if records wait."""
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
                # Such as a timeout that a handler started and never cancelled.
                if self.ends_process(error):
                    raise

    def _pass_on(self) -> None:
        slice_end = monotonic() + TIME_SLICE
        while self._records:
            context, function, args, named = self._records.popleft()
            self._passed += 1
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
            # A traceback keeps whatever its frames refer to.
            del context, function, args, named
            self._report(self._dropped, "the log handlers are slower than the worker")
            self._report(self._failed, "a log handler raised an exception")

    def _report(self, lost: LossCounter, reason: str) -> None:
        count = lost.take_if_due()
        if not count:
            return
        try:
            self._logger.error("Log records were lost: %s, because %s (the last exception: %s). "
                               "Check the log handlers.",
                               count, reason, self._last_error)
        except BaseException as error:
            if self.ends_process(error):
                raise
            # Later, perhaps.
            lost.add(count)
