"""A faulty log handler on the error log and the access log of every worker that the tests start.

TEST_LOG_HANDLER chooses the fault. ``raises``: each ``emit`` raises an exception. ``waits``: each ``emit`` waits 50 ms
cooperatively. ``locked``: a native thread holds the lock most of the time. The configuration file that launch.py
writes installs it after the configured handlers, so that a line reaches the test before this handler fails.

It is faulty in workers only, from ``init_signals`` on, which is after the patch and before the application is loaded,
and not for their last line. The master is not patched, so a handler cannot wait cooperatively there. An exception in
Gunicorn's own code would end the process, or prevent the call of ``worker_exit``.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

#: Seconds that ``waits`` waits for each record.
WAIT = 0.05
#: Seconds in which the native thread of ``locked`` holds the lock, and in which the lock is free.
HELD, FREE = 0.02, 0.005
#: Seconds between two attempts of a greenlet to acquire the lock.
RETRY = 0.001

LOGGERS = ("gunicorn.error", "gunicorn.access")


class LogHandlerError(Exception):
    """The exception of ``raises``. Tests ignore tracebacks that end with it."""


class LogHandler(logging.Handler):
    """Does nothing until :meth:`activate` is called."""

    #: the process that it is active in; not its forked children
    worker = 0

    def activate(self) -> None:
        """Activate the fault in this process, a patched worker."""
        self.worker = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() == self.worker and not str(record.msg).startswith("Worker exiting"):
            self.fail(record)

    def fail(self, record: logging.LogRecord) -> None:
        pass


class Raises(LogHandler):
    def fail(self, record: logging.LogRecord) -> None:
        raise LogHandlerError("TEST_LOG_HANDLER=raises")


class Waits(LogHandler):
    def fail(self, record: logging.LogRecord) -> None:
        time.sleep(WAIT)


class Locked(LogHandler):
    def activate(self) -> None:
        super().activate()
        originals = Originals.find()
        # The locks of the hubs are unsuitable: when a native thread releases one, eventlet wakes no greenlet, and
        # gevent wakes one so late that the thread may have acquired the lock again.
        self.lock = SharedLock(originals.new_lock)  # type: ignore[assignment]

        def hold() -> None:
            while True:
                with self.lock:  # type: ignore[union-attr]
                    originals.sleep(HELD)
                originals.sleep(FREE)

        originals.start(hold)


class SharedLock:
    """A lock for greenlets and native threads, which poll it."""

    def __init__(self, new_lock: Callable[[], Any]) -> None:
        self._new_lock = new_lock
        self._at_fork_reinit()

    def _at_fork_reinit(self) -> None:
        """Called by :mod:`logging` in a forked process."""
        self._lock = self._new_lock()

    def acquire(self) -> None:
        while not self._lock.acquire(False):
            time.sleep(RETRY)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Originals(NamedTuple):
    """Functions that the patch has replaced."""

    start: Callable[[Callable[[], None]], object]
    """Runs a function in a native daemon thread."""
    sleep: Callable[[float], None]
    new_lock: Callable[[], Any]

    @classmethod
    def find(cls) -> Originals:
        if "eventlet" in sys.modules:
            from eventlet.patcher import original

            threading = original("threading")
            return cls(lambda run: threading.Thread(target=run, daemon=True).start(), original("time").sleep,
                       threading.Lock)
        from gevent.monkey import get_original

        start, allocate = get_original("_thread", ["start_new_thread", "allocate_lock"])
        return cls(lambda run: start(run, ()), get_original("time", "sleep"), allocate)


KINDS = {"raises": Raises, "waits": Waits, "locked": Locked}


def install() -> None:
    """Add the handler to both logs whenever Gunicorn has set them up, and let it activate in workers.

    A configuration that is loaded again installs nothing again.
    """
    if hasattr(Logger.setup, "__wrapped__"):
        return
    handler = KINDS[os.environ["TEST_LOG_HANDLER"]]()
    set_up, begin = Logger.setup, Worker.init_signals

    @functools.wraps(set_up)
    def setup(self: Any, cfg: Any) -> None:
        set_up(self, cfg)
        for name in LOGGERS:
            # After the new handlers.
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).addHandler(handler)

    @functools.wraps(begin)
    def init_signals(self: Any) -> None:
        begin(self)
        handler.activate()

    Logger.setup = setup
    Worker.init_signals = init_signals
