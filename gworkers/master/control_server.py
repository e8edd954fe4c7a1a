"""Gunicorn's control server, a thread of the master that stops before each fork and starts again after it."""
from __future__ import annotations

import os
import time
import warnings
from typing import Any

#: Seconds that the control server may take to start. After that the master does not wait for it any longer.
START_TIMEOUT = 1.0

#: The attributes by which a control server that is starting is recognized.
STATE = ("_running", "_server", "_thread")

#: How Python's warning about a fork in a process with threads begins.
FORK_WARNING = r"This process \(pid=\d+\) is multi-threaded, use of fork\(\)"


def ignore_fork_warning() -> None:
    """Ignore the warning that a process with threads forks, in this process but not in its children.

    It is a false alarm in the master. If the name of a process contains a space, as Gunicorn's does with
    setproctitle, CPython counts the threads after the fork, when the control server has started again. Since
    Python 3.15 ``os.fork()`` raises the warning if warnings are errors, and that would end the master.
    """
    warnings.filterwarnings("ignore", FORK_WARNING, DeprecationWarning)
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    added = filters[0]

    def restore() -> None:
        if added in filters:
            filters.remove(added)

    os.register_at_fork(after_in_child=restore)


class ControlServerStart:
    """Waits until the control server can be stopped.

    The server is a thread, which Gunicorn stops before each fork and at the end. In Gunicorn 25.3 a thread that has
    just been started ignores the stop. Gunicorn waits until a timeout, then leaves the thread and its file
    descriptors behind.
    """

    def __init__(self) -> None:
        self._server: Any = None

    def watch(self, server: Any) -> None:
        """Wait for *server*, which Gunicorn has started, before each fork. Ignore Python's warning about the fork."""
        if server is not None:
            ignore_fork_warning()
        if not hasattr(server, "_ready") and all(hasattr(server, name) for name in STATE):
            self._server = server
            # Such functions are called in reverse order, so this one is called before Gunicorn's own.
            os.register_at_fork(before=self.wait)

    def wait(self) -> None:
        """Wait until the control server can be stopped, if there is one."""
        server, until = self._server, time.monotonic() + START_TIMEOUT
        while (server is not None and server._running and server._server is None and server._thread.is_alive()
               and time.monotonic() < until):
            # In a patched master the thread is a greenlet, which runs in this pause.
            time.sleep(0.001)
