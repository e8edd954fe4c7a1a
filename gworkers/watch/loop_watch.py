"""A watch on the asyncio loop of a worker, for the thread of the watchdog."""
from __future__ import annotations

import os
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from gworkers.serving.stacks import place, text

if TYPE_CHECKING:
    from traceback import FrameSummary, StackSummary

    from gworkers.coroutines.runner import Runner
    from gworkers.logs.thread_log import ThreadLog

#: Parts of the paths of modules in which code waits on a hub: in site-packages, or dist-packages on Debian.
HUB_LIBRARIES = ("-packages/eventlet/", "-packages/gevent/")
#: Seconds between two checks while the loop is blocked.
CHECK = 0.1


class LoopWatch:
    """Reports what blocks the loop, and so all coroutines of the worker.

    :param runner: has the loop
    :param log: the log
    :param limit: seconds after which a block is reported; 0 for no reports
    """

    def __init__(self, runner: Runner, log: ThreadLog, limit: float) -> None:
        self._runner = runner
        self._log = log
        self._limit = limit
        #: the beginning of the block at the last check; 0.0 if there was none
        self._since = 0.0
        self._is_reported = False

    def check(self) -> float:
        """Report a block that has begun or ended, and return the seconds until the next check.

        :returns: infinite if there is no loop
        """
        loop = self._runner.started_thread
        if loop is None or not self._limit:
            return inf
        now, since = monotonic(), loop.busy_since
        if self._is_reported and since != self._since:
            self._log.warning("The asyncio loop runs again. It was blocked for %.1f s.", now - self._since)
        age = now - since if since else 0.0
        if age < self._limit:
            self._since, self._is_reported = 0.0, False
            # A block that begins from now on is checked again when it is this old.
            return self._limit - age
        if since != self._since:
            # If the process was stopped, or the machine is overloaded, it runs on before the next check.
            self._since, self._is_reported = since, False
        elif not self._is_reported:
            stack = loop.stack()
            # If the block has ended meanwhile, this is the stack of other code.
            if stack and loop.busy_since == since:
                self._is_reported = True
                self._log.warning(
                    "The asyncio loop is blocked for %.1f s (pid:%s): %s. No other coroutine of this worker runs "
                    "meanwhile. Use an asynchronous library, or call a function that waits with asyncio.to_thread. "
                    "Stack:\n%s",
                    monotonic() - since, os.getpid(), place(_blocking_frame(stack)), text(stack))
        return CHECK


def _blocking_frame(stack: StackSummary) -> FrameSummary:
    """Return the innermost frame outside of the library of the hub, on which a blocking function may wait."""
    return next((frame for frame in reversed(stack) if not any(part in frame.filename for part in HUB_LIBRARIES)),
                stack[-1])
