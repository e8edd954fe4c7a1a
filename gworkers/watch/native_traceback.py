"""Tracebacks that the interpreter writes in C, for blocks during which no Python code can run.

A call into C that keeps the interpreter's lock also stops the thread of the watchdog. :mod:`faulthandler` does not need
the lock. It writes to a file descriptor, and knows nothing of log formats.
"""
from __future__ import annotations

import faulthandler
import os
import posix
import sys
from typing import Any


class NativeTraceback:
    """Writes the stack of the hub's thread to the error log when :attr:`arm` was not called again in time.

    An application that calls :func:`faulthandler.dump_traceback_later` itself replaces this.

    :param logger: Gunicorn's logger, of any class
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        # A duplicate, because the number of a closed log file may be used again for a connection.
        self._fd = os.dup(_log_fd(logger))
        self._enabled = False

    def reopen(self) -> None:
        """Write to the log file that has been reopened."""
        os.dup2(_log_fd(self._logger), self._fd, inheritable=False)

    def arm(self, seconds: float) -> None:
        """Write the stacks of all threads after *seconds*, unless this or :meth:`disarm` is called before."""
        # PyPy has no such function.
        if hasattr(faulthandler, "dump_traceback_later"):
            faulthandler.dump_traceback_later(seconds, file=self._fd)

    def disarm(self) -> None:
        """Write nothing."""
        if hasattr(faulthandler, "dump_traceback_later"):
            faulthandler.cancel_dump_traceback_later()

    def write_on_abort(self) -> None:
        """Write the stack of the hub's thread when SIGABRT or the signal of a crash arrives, then call its handler.

        Call this after the handlers are installed.
        """
        # If the application has enabled it, its choice stays.
        if not faulthandler.is_enabled():
            self._enabled = True
            faulthandler.enable(file=self._fd, all_threads=False)

    def release_after_fork(self) -> None:
        """Close the file descriptor in a forked process, in which nothing is armed."""
        # Not disarm(), which would wait for a thread that the process does not have.
        if self._enabled:
            faulthandler.disable()
        posix.close(self._fd)


def _log_fd(logger: Any) -> int:
    """Return the file descriptor of the error log, or of stderr if the log goes elsewhere."""
    for handler in getattr(getattr(logger, "error_log", None), "handlers", ()):
        try:
            fd: int = handler.stream.fileno()
        except (AttributeError, OSError, ValueError):
            continue
        return fd
    return sys.stderr.fileno() if sys.stderr is not None else 2
