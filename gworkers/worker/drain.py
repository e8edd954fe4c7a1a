"""The graceful shutdown of a worker, from the signal to the last response."""
from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from gworkers.serving.runs import text_of
from gworkers.worker import exit_deadline

if TYPE_CHECKING:
    from gworkers.worker.green import GreenWorker

#: The part of ``graceful_timeout`` that is reserved for aborted requests to end.
ABORT_SHARE = 0.25
#: The maximum of this part in seconds.
ABORT_SECONDS = 1.0
#: Maximum number of seconds in which cancelled asyncio tasks end.
TASK_SECONDS = 1.0
#: The maximum part of the remaining time in which they end. The rest is for the exit of the process.
TASK_SHARE = 0.5
#: Maximum number of seconds in which the remaining log records are written.
LOG_SECONDS = 0.5


def drain(worker: GreenWorker) -> None:
    """Finish requests, and accept new ones on open connections, for at most ``graceful_timeout`` seconds.

    Requests that are not finished by then are aborted. The rest of the time limits the exit of the process.
    """
    server = worker.server
    allowed = worker.cfg.graceful_timeout
    # The arbiter kills the worker at this time.
    end = monotonic() + allowed
    abort_time = end - min(allowed * ABORT_SHARE, ABORT_SECONDS)

    def busy() -> bool:
        return server.is_busy or server.runs.is_busy

    worker.scheduler.stop()
    if worker.settings.drain_delay and not worker.is_replaced:
        _beat_while(worker, lambda: True, min(monotonic() + worker.settings.drain_delay, abort_time))
    server.stop()
    server.runs.on_idle = worker.wake
    _beat_while(worker, busy, abort_time)
    if busy():
        abandoned = server.runs.abandon()
        if abandoned:
            server.log.warning("Worker graceful timeout (pid:%s). Background functions that have not ended: %s. Set "
                               "graceful_timeout above the longest one.", worker.pid, text_of(abandoned))
        requests, sockets = server.abort()
        if requests:
            server.log.warning("Worker graceful timeout (pid:%s). Aborted requests: %s. "
                               "Set graceful_timeout above the longest request.", worker.pid, requests)
        if sockets:
            # Clients of WebSockets stay for hours and connect again, so this is not a problem.
            server.log.info("Worker graceful timeout (pid:%s). Disconnected WebSockets, or other connections that the "
                            "application handles itself: %s.", worker.pid, sockets)
        _beat_while(worker, busy, end)
    _cancel_tasks(worker, min((end - monotonic()) * TASK_SHARE, TASK_SECONDS))
    # Write the log records that are left, unless a log handler hangs.
    server.log.on_empty = worker.wake
    _beat_while(worker, lambda: worker.log_streams.flush() or server.log.pending, monotonic() + LOG_SECONDS)
    # A hanging log handler would also hang in the last log line of Gunicorn.
    exit_deadline.exit_within(exit_deadline.MINIMUM if server.log.pending else end - monotonic())


def _cancel_tasks(worker: GreenWorker, seconds: float) -> None:
    """Cancel the asyncio tasks that are left, so that their ``finally`` blocks run, for at most *seconds*."""
    left = [True]

    def end() -> None:
        left.clear()
        worker.wake()

    worker.loop_runner.cancel_tasks(end)
    _beat_while(worker, lambda: left, monotonic() + seconds)
    # There may be none: the loop has not run yet if the requests have used up the time.
    names = worker.loop_runner.task_names() if left else []
    if names:
        worker.server.log.warning("Asyncio tasks that did not end when they were cancelled (pid:%s): %s. The worker "
                                  "exits.", worker.pid, text_of(names))


def _beat_while(worker: GreenWorker, condition: Callable[[], object], until: float) -> None:
    worker.exit_if_asked()
    while condition():
        left = until - monotonic()
        if left <= 0:
            return
        worker.beat(left)
