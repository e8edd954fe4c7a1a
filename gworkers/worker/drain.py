"""The worker's side of a graceful stop: from the signal to the last answer."""
from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.worker.green import GreenWorker

#: The part of ``graceful_timeout``, and the most seconds of it, that requests have to come to an end once they are cut.
LAST_PART, LAST_SECONDS = 0.25, 1.0
#: Seconds, at most, that log records which still wait have at the end.
LOG_SECONDS = 0.5


def end_within(seconds: float) -> None:
    """From now on let this process live for *seconds* at most, whatever its threads and its exit handlers do."""
    # What is left of Python's own end gives signals their default back, which for this one is a death to be reported.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, LAST_SECONDS))


def drain(worker: GreenWorker) -> None:
    """Serve what has been begun, and what still comes on open connections, for at most ``graceful_timeout`` seconds.

    What is left of them is for the end of the process.
    """
    server = worker.server
    allowed = worker.cfg.graceful_timeout
    # The arbiter kills when the time is over.
    end = monotonic() + allowed
    cut = end - min(allowed * LAST_PART, LAST_SECONDS)

    def busy() -> bool:
        return server.connection_count > 0

    if worker.settings.drain_delay and not worker.is_replaced:
        _wait(worker, lambda: True, min(monotonic() + worker.settings.drain_delay, cut))
    server.stop()
    _wait(worker, busy, cut)
    if busy():
        requests = server.abort()
        if requests:
            server.log.warning("Worker graceful timeout (pid:%s): %s requests were cut", worker.pid, requests)
        _wait(worker, busy, end)
    # What has been logged is written, unless a handler hangs.
    server.log.on_empty = worker.wake
    _wait(worker, lambda: worker.log_streams.flush() or server.log.pending, monotonic() + LOG_SECONDS)
    # A handler that hangs would do so in Gunicorn's last log line, too.
    end_within(LAST_SECONDS if server.log.pending else end - monotonic())


def _wait(worker: GreenWorker, while_: Callable[[], bool], until: float) -> None:
    worker.exit_if_asked()
    while while_():
        left = until - monotonic()
        if left <= 0:
            return
        worker.beat(left)
