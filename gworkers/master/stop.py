"""The end of the server: workers are reaped as soon as they exit."""
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gworkers.master.listeners import is_lost
from gworkers.master.signals import quick_stop_requested

if TYPE_CHECKING:
    from gworkers.master.reaping import Reaper

#: Seconds between two checks for workers that have exited. Gunicorn waits 0.1 s.
POLL = 0.01


class ServerStop:
    """What the master does, beside Gunicorn's own ``stop()``, while the server stops."""

    def __init__(self, arbiter: Any, reaper: Reaper) -> None:
        self._arbiter = arbiter
        self._reaper = reaper
        #: Whether the next signal to all workers is the one that stops them.
        self._begun = False

    def begin(self) -> None:
        """Prepare Gunicorn's ``stop()``, so that no exit status and no missing socket file interrupts it."""
        self._reaper.ignore_boot_failures()
        self._reaper.reap()
        listeners = self._arbiter.LISTENERS
        for listener in list(listeners):
            # A forked process that has failed also calls this method, and may have closed the socket.
            if listener.sock is not None and is_lost(listener.getsockname()):
                listeners.remove(listener)
                listener.close()
        self._begun = True

    def wait_for_workers(self) -> None:
        """If the last signal to the workers stops them, wait for them at most ``graceful_timeout`` seconds.

        Gunicorn would wait in steps of 0.1 s. Gunicorn 23 would leave the reaping to a signal handler.
        """
        if not self._begun:
            return
        self._begun = False
        arbiter = self._arbiter
        limit = time.monotonic() + arbiter.cfg.graceful_timeout
        while arbiter.WORKERS and time.monotonic() < limit and not quick_stop_requested(arbiter):
            time.sleep(POLL)
            self._reaper.reap()
