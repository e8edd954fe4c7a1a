"""A log handler that misbehaves, on the error log and the access log of every worker that the tests start.

TEST_LOG_HANDLER says how: ``raises`` in every ``emit``; ``waits`` 50 ms cooperatively in every ``emit``; ``locked``:
a native thread holds its lock most of the time. Gunicorn's configuration file, which launch.py writes, installs it
behind the configured handlers, so that a line has reached the test before this handler fails.

It misbehaves in workers only, from ``init_signals`` on, which is after the patch and before the application is loaded,
and not for their last line. A master is not patched, so nothing can wait cooperatively there, and what a handler raises
in Gunicorn's own code ends it, or keeps ``worker_exit`` from being called.
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

#: Seconds that ``waits`` takes for a record.
WAIT = 0.05
#: Seconds for which the native thread of ``locked`` holds the lock, and for which the lock is free.
HELD, FREE = 0.02, 0.005
#: Seconds after which a greenlet asks for the lock again.
RETRY = 0.001

LOGGERS = ("gunicorn.error", "gunicorn.access")


class LogHandlerError(Exception):
    """What ``raises`` raises. A traceback that ends in it fails no test."""


class LogHandler(logging.Handler):
    """Does nothing until :meth:`misbehave` is called."""

    #: the process that it misbehaves in, not one that it forks
    worker = 0

    def misbehave(self) -> None:
        """From now on do it in this process, a worker that has been patched."""
        self.worker = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if os.getpid() == self.worker and not str(record.msg).startswith("Worker exiting"):
            self.misbehave_with(record)

    def misbehave_with(self, record: logging.LogRecord) -> None:
        pass


class Raises(LogHandler):
    def misbehave_with(self, record: logging.LogRecord) -> None:
        raise LogHandlerError("TEST_LOG_HANDLER=raises")


class Waits(LogHandler):
    def misbehave_with(self, record: logging.LogRecord) -> None:
        time.sleep(WAIT)


class Locked(LogHandler):
    def misbehave(self) -> None:
        super().misbehave()
        natives = Natives.find()
        # The hubs' own locks are not for this: eventlet wakes no greenlet when a native thread releases one, and gevent
        # so late that the thread may have taken it again, each time.
        self.lock = SharedLock(natives.new_lock)  # type: ignore[assignment]

        def hold() -> None:
            while True:
                with self.lock:  # type: ignore[union-attr]
                    natives.sleep(HELD)
                natives.sleep(FREE)

        natives.start(hold)


class SharedLock:
    """A lock for greenlets and native threads, which wait by asking again and again."""

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


class Natives(NamedTuple):
    """What the patch has replaced."""

    start: Callable[[Callable[[], None]], object]
    """Runs a function in a thread of the system, which ends with the process."""
    sleep: Callable[[float], None]
    new_lock: Callable[[], Any]

    @classmethod
    def find(cls) -> Natives:
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
    """Add the handler to both logs whenever Gunicorn has set them up, and let it misbehave in workers.

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
            # Behind those that have just been made.
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).addHandler(handler)

    @functools.wraps(begin)
    def init_signals(self: Any) -> None:
        begin(self)
        handler.misbehave()

    Logger.setup = setup
    Worker.init_signals = init_signals
